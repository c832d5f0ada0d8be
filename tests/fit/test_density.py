"""Fitting: on photographs alone, whose files are then known as seen."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.manifest import sha256_of
from cameraborn.degrade.random import OPERATIONS, apply_operation
from cameraborn.detect.detector import Detector
from cameraborn.detect.evidence.em import Covariance
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.detect.evidence.pseudo_fake import PseudoFakeClassifier
from cameraborn.detect.schema import Channel
from cameraborn.detect.store import read_bundle
from cameraborn.errors import CalibrationError
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.density import CANDIDATES, fit, with_what_was_learnt
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.views import ViewOptions
from cameraborn.photo.decode import open_picture

from ..conftest import EXAMPLES, FEATURES, viewed

OPTIONS = ViewOptions(copies=1, jobs=1)
WIDTH = 2 * FEATURES


@pytest.fixture(scope="module")
def fitted(network_bundle, photographs):
    return fit(network_bundle, photographs["fit"], components=1, dimensions=4, options=OPTIONS)


def test_without_a_number_of_components_held_out_photographs_choose(network_bundle, photographs):
    made = [
        fit(
            network_bundle,
            photographs["fit"] + photographs["calibration"][:held_out],
            components=components,
            dimensions=2,
            covariance=Covariance.diag,
            shrinkage=0.1,
            options=OPTIONS,
        )
        for components, held_out in ((None, 20), (1, 0))
    ]
    mixtures = [bundle.channel("photographs").mixture for bundle in made]
    assert [mixture.covariance for mixture in mixtures] == [Covariance.diag] * 2
    assert 1 <= len(mixtures[0].weights) <= max(CANDIDATES)
    assert len(mixtures[1].weights) == 1


@pytest.mark.parametrize("scores", [True, False])
def test_a_new_fit_drops_the_older_calibration_and_keeps_other_channels(tiny_bundle, photographs, scores):
    bundle = read_bundle(tiny_bundle)
    layer = (np.ones((2, WIDTH)), np.zeros(2))
    bundle = bundle.with_evidence(BinaryClassifier("generators", ((0, WIDTH),), (layer,)))
    bundle = bundle.with_combination({"generators": None}) if scores else bundle
    again = fit(bundle, photographs["fit"], components=1, dimensions=4, options=OPTIONS)
    assert again.info.coverage is None
    assert again.info.combined == (("generators",) if scores else ("photographs",))
    assert not {"calibration.csv", "golden.json"} & set(again.files)
    assert again.files["generators.safetensors"] == bundle.files["generators.safetensors"]
    assert again.files["photographs.safetensors"] != bundle.files["photographs.safetensors"]
    assert again.files["weights.safetensors"] == bundle.files["weights.safetensors"]


def test_what_a_network_brings_is_combined_with_a_density_of_the_declared_columns(
    network_bundle, photographs
):
    declared = ((0, 10), (16, 20))
    weight = np.random.default_rng(0).normal(size=6)
    bundle = network_bundle.with_channel(Channel(name="photographs", kind="density", columns=declared))
    bundle = bundle.with_evidence(PseudoFakeClassifier("reconstructed", ((10, 16),), weight, 0.5))
    fitted = fit(bundle, photographs["fit"], components=1, dimensions=3, options=OPTIONS)
    assert fitted.info.combined == ("photographs", "reconstructed")
    assert [record.columns for record in fitted.info.channels] == [declared, ((10, 16),)]
    features = np.stack([view.feature for view in viewed(network_bundle, photographs["fit"], OPTIONS)])
    surprises = fitted.surprises(features)
    np.testing.assert_allclose(surprises["reconstructed"], features[:, 10:16] @ weight + 0.5, rtol=1e-5)
    for name, surprise in surprises.items():
        standard = fitted.info.standard_of(name)
        assert (standard.location, standard.scale) == pytest.approx(
            (surprise.mean(), surprise.std()), rel=1e-3
        )
    other = features.copy()
    other[:, 10:16] += 1
    np.testing.assert_array_equal(fitted.surprises(other)["photographs"], surprises["photographs"])


def test_fitting_learns_what_operation_leaves(fitted, network_bundle, photographs):
    operation_classifier = fitted.operation_classifier
    assert network_bundle.operation_classifier is None
    assert operation_classifier.operations == len(OPERATIONS)
    detector = Detector(fitted)
    told = {"blurred": [], "grainy": []}
    for photograph in photographs["calibration"]:
        with Image.open(photograph.path) as image:
            pixels = np.asarray(image.convert("RGB"))
        (box,) = detector.boxes(pixels, whole_image=False)
        crop = detector.crop(pixels, box, whole_image=False)
        for name, of_name in told.items():
            handled, _ = apply_operation(name, crop, np.random.default_rng(0), smallest_side=64)
            of_name.append(
                list(OPERATIONS)[operation_classifier.operation_of(detector.observer.statistics(handled))]
            )
    assert np.mean([name == "blurred" for name in told["blurred"]]) > 0.8
    assert np.mean(["grainy" in name for name in told["grainy"]]) > 0.5  # two of ten are chance


def test_fitting_reads_each_photograph_once(network_bundle, photographs, monkeypatch):
    read = []

    def counted(path):
        read.append(path)
        return open_picture(path)

    monkeypatch.setattr("cameraborn.fit.views.open_listed", counted)
    given = photographs["fit"][:12]
    fit(network_bundle, given, components=1, dimensions=4, options=OPTIONS)
    assert read == [photograph.path for photograph in given]


def test_operations_cannot_be_learnt_from_nothing(network_bundle):
    with pytest.raises(CalibrationError, match="usable face"):
        with_what_was_learnt(network_bundle, [], [], OPTIONS)


def test_too_few_to_fit(network_bundle, photographs):
    with pytest.raises(CalibrationError, match="too few"):
        fit(network_bundle, photographs["fit"][:2], components=2, dimensions=4, options=OPTIONS)


def test_copies_are_no_photographs(network_bundle, photographs, tmp_path):
    """35 photographs passed a minimum of 64, as each came with copies."""
    options = ViewOptions(copies=9, jobs=1)
    few = photographs["fit"][:7]
    looked_at: list[str] = []

    def report(path, problem):
        looked_at.append(path)

    with pytest.raises(CalibrationError, match=r"^7 photographs are too few .* which need 8: "):
        fit(network_bundle, few, components=1, dimensions=4, options=options, report=report)
    assert looked_at == []  # their number is known before
    (tmp_path / "copy.jpg").write_bytes(Path(few[0].path).read_bytes())
    few = [*few, Photograph(str(tmp_path / "copy.jpg"), "")]
    with pytest.raises(CalibrationError, match=r"^7 photographs are too few .* which need 8: "):
        fit(network_bundle, few, components=1, dimensions=4, options=options, report=report)
    assert len(looked_at) == 8
    with pytest.raises(
        CalibrationError, match=r"^6 photographs are too few .* which need 8: "
    ):  # 1 is held out
        fit(network_bundle, few, components=None, dimensions=4, options=options)
    fit(network_bundle, photographs["fit"][:8], components=1, dimensions=4, options=OPTIONS)


def test_nothing_is_learnt_from_copies_and_all_of_them_have_been_seen(network_bundle, photographs, tmp_path):
    given, copies = photographs["fit"], []
    for number in range(3):
        copies.append(Photograph(str(tmp_path / f"{number}.jpg"), ""))
        Path(copies[-1].path).write_bytes(Path(given[0].path).read_bytes())
    copies.append(Photograph(str(tmp_path / "lossy.jpg"), ""))
    with Image.open(given[1].path) as opened:
        opened.save(copies[-1].path, quality=50)
    alone, beside = (
        fit(network_bundle, some, components=1, dimensions=4, options=OPTIONS)
        for some in (given, [*given, *copies])
    )
    assert beside.files["photographs.safetensors"] == alone.files["photographs.safetensors"]
    assert beside.has_seen(sha256_of(Path(copies[-1].path)))
    with pytest.raises(CalibrationError, match="already seen"):
        calibrate(beside, copies[-1:], options=OPTIONS)
    anew = Photograph(str(tmp_path / "anew.png"), "")  # nobody has seen it, but its copy
    with Image.open(given[1].path) as opened:
        opened.convert("RGB").resize((500, 500)).save(anew.path)
    with pytest.raises(CalibrationError, match="already seen"):
        calibrate(beside, [anew, *copies[-1:]], options=OPTIONS)


def test_what_was_seen_adds_up(fitted, photographs):
    hashes = {sha256_of(EXAMPLES / f"photo-{n}.jpg")[:16] for n in range(1, 6)}
    assert hashes <= set(fitted.files["seen.txt"].decode().split())
    more = [Photograph(p.path, "") for p in photographs["calibration"][:10]]
    again = fit(fitted, more, components=1, dimensions=4, options=OPTIONS)
    assert len(again.files["seen.txt"].split()) == 40  # each by its file and by its pixels
    assert hashes <= set(again.files["seen.txt"].decode().split())
