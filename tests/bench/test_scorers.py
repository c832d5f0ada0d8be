"""What a configuration says of a detector, and which detectors are of which protocol."""

from contextlib import closing

import pytest
from pydantic import ValidationError
from safetensors.torch import save_file

from cameraborn.bench.bundles import BundleScorer
from cameraborn.bench.cache import FeatureCache
from cameraborn.bench.kinds import CueScorer
from cameraborn.bench.rivals import EncoderFeatures, RivalScorer
from cameraborn.bench.scorers import DetectorSection, FeatureSource, Uncalibrated
from cameraborn.rivals.ladeda import TinyLadedaNetwork
from cameraborn.rivals.published import NETWORKS

from ..rivals.formula import formula_


@pytest.mark.parametrize("wrong", [{"weight": ["x"]}, {"whole_image": "often"}, {"sources": "mine"}])
def test_unknown_or_wrong_fields_are_refused(wrong):
    with pytest.raises(ValidationError):
        DetectorSection.model_validate({"kind": "cue", "which": "sharpness"} | wrong)


def test_a_section_is_not_changed_once_it_is_read():
    section = DetectorSection(kind="cue", which="sharpness")
    assert (section.name, section.whole_image, section.sources, section.weights) == ("", False, (), ())
    with pytest.raises(ValidationError, match="frozen"):
        section.which = "brightness"


@pytest.fixture(scope="module")
def opened(tmp_path_factory, tiny_bundle):
    """One detector of each sort, by its kind."""
    folder = tmp_path_factory.mktemp("scorers")
    files = {}
    for name, network in (
        ("tiny-ladeda", TinyLadedaNetwork()),
        ("efficientnet-lite0", NETWORKS["efficientnet-lite0"]()),
    ):
        files[name] = folder / f"{name}.safetensors"
        metadata = {"network": name, "layout": name, "sha256": "ab" * 32}
        save_file(formula_(network).state_dict(), files[name], metadata)

    def section(kind, which):
        return DetectorSection(kind=kind, which=which, weights=[files[which]] if which in files else ())

    with closing(FeatureCache(folder / "features.sqlite")) as cache:
        yield {
            "cue": CueScorer(section("cue", "sharpness")),
            "bundle": BundleScorer(section("bundle", str(tiny_bundle)), cache),
            "encoder": EncoderFeatures(section("encoder", "efficientnet-lite0"), cache),
            "rival": RivalScorer(section("rival", "tiny-ladeda"), cache),
        }


def test_bundles_and_encoders_give_features_and_rivals_are_calibrated(opened):
    assert {kind for kind, one in opened.items() if isinstance(one, FeatureSource)} == {
        "bundle",
        "encoder",
        "rival",  # its features are its scores: `Detectors.encoders` leaves it out
    }
    assert {kind for kind, one in opened.items() if isinstance(one, Uncalibrated)} == {"rival"}


def test_each_has_a_key_of_its_own(opened):
    keys = [one.key for one in opened.values()]
    assert len(set(keys)) == len(keys)
    for kind in ("bundle", "encoder", "rival"):
        assert opened[kind].encoder_key != opened[kind].key  # features may be shared, scores not
