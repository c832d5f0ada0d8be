"""A bundle becomes a binary detector that calibrates, verifies and scores like any other."""

import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from cameraborn.binary.fit import fit_binary, with_unit_length
from cameraborn.binary.perceptron import PerceptronOptions
from cameraborn.data.manifest import sha256_of
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.errors import CalibrationError
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.photographs import Photograph, find_generated
from cameraborn.fit.views import ViewOptions, features_of
from cameraborn.library import load
from tests.conftest import EXAMPLES, viewed

GENERATED = sorted(EXAMPLES.glob("generated-*.jpg"))
OPTIONS = ViewOptions(copies=2, jobs=1)
SETTINGS = {
    "components": 2,
    "dimensions": 2,
    "perceptron": PerceptronOptions(pseudo_outliers=0.1, epochs=60, batch=16),
    "options": OPTIONS,
}


@pytest.fixture(scope="module")
def fitted(network_bundle, photographs):
    return fit_binary(network_bundle, photographs["fit"], list(find_generated(GENERATED)), **SETTINGS)


def scores_of(bundle, paths):
    photographs = [Photograph(str(path), "") for path in paths]
    views = viewed(bundle, photographs, ViewOptions(jobs=1, copies=0))
    assert len(views) == len(photographs)
    return bundle.scores(features_of(views))


def test_what_it_has_seen_it_tells_apart(fitted, photographs):
    fakes = scores_of(fitted, GENERATED)
    photos = scores_of(fitted, [photograph.path for photograph in photographs["fit"]])
    assert (fakes[:, None] > photos[None, :]).mean() > 0.9


def test_the_score_is_the_heads_log_odds_of_features_of_unit_length(fitted, network_bundle):
    (plain,) = viewed(network_bundle, [Photograph(str(GENERATED[0]), "")], ViewOptions(jobs=1, copies=0))
    x = plain.feature / np.linalg.norm(plain.feature)
    head = safetensors.numpy.load(fitted.files["generators.safetensors"])
    hidden = np.maximum(x @ head["0.weight"].T + head["0.bias"], 0)
    logits = hidden @ head["2.weight"].T + head["2.bias"]
    assert float(scores_of(fitted, GENERATED[:1])[0]) == pytest.approx(float(logits[1] - logits[0]), abs=1e-3)
    assert head["0.weight"].shape == (2 * len(x), len(x))


def test_it_calibrates_and_verifies_like_any_bundle(fitted, photographs, tmp_path):
    done = calibrate(fitted, photographs["calibration"][:12], options=OPTIONS)
    write_bundle(done, tmp_path / "binary")
    detector = load(tmp_path / "binary", verify=True)
    (verdict,) = detector.score(GENERATED[0], false_alarm_rate=0.5)
    assert verdict.scope == "ok"
    assert verdict.score == pytest.approx(float(scores_of(fitted, GENERATED[:1])[0]))
    assert 0 < verdict.p_value <= 1
    assert math.isfinite(verdict.score)
    assert set(verdict.evidence) == {"photographs", "generators"}
    assert verdict.evidence["generators"].p_value == verdict.p_value


def test_both_classes_are_marked_as_seen_and_none_may_calibrate(fitted, photographs):
    seen = fitted.files["seen.txt"].decode().split()
    for path in (*GENERATED, photographs["fit"][0].path):
        assert sha256_of(Path(path))[:16] in seen
    with pytest.raises(CalibrationError, match="already seen"):
        calibrate(fitted, photographs["fit"], options=OPTIONS)


def test_an_older_calibration_is_dropped(tiny_bundle, photographs):
    fitted = fit_binary(
        read_bundle(tiny_bundle), photographs["fit"], list(find_generated(GENERATED)), **SETTINGS
    )
    assert not {"calibration.csv", "golden.json"} & set(fitted.files)
    assert fitted.info.coverage is None


def test_the_same_call_gives_the_same_bytes(fitted, network_bundle, photographs):
    again = fit_binary(network_bundle, photographs["fit"], list(find_generated(GENERATED)), **SETTINGS)
    assert again.files["generators.safetensors"] == fitted.files["generators.safetensors"]


def test_a_picture_in_both_classes_is_refused(network_bundle, photographs):
    mixed = [Photograph(str(GENERATED[0]), ""), photographs["fit"][0]]
    with pytest.raises(CalibrationError, match="is also among the photographs"):
        fit_binary(network_bundle, photographs["fit"], mixed, **SETTINGS)


def test_a_photograph_that_a_generator_has_redrawn_may_be_a_generated_picture(
    network_bundle, photographs, tmp_path
):
    """It looks like the photograph, as does one that was saved again; two that show the same count once."""
    told = {}
    generated = [Photograph(str(tmp_path / f"redrawn-{quality}.jpg"), "") for quality in (50, 90)]
    with Image.open(photographs["fit"][0].path) as opened:
        for one, quality in zip(generated, (50, 90), strict=True):
            opened.save(one.path, quality=quality)
    given = [Photograph(str(GENERATED[0]), ""), *generated]
    fit_binary(network_bundle, photographs["fit"], given, **SETTINGS | {"report": told.__setitem__})
    assert told[generated[0].path] is None
    assert told[generated[1].path] == (
        f"{generated[1].path}: shows what {generated[0].path} shows, saved again or resized, and counts once"
    )


@pytest.mark.parametrize("empty", ["photographs", "generated pictures"])
def test_a_class_without_a_face_is_refused(network_bundle, photographs, empty, tmp_path):
    blank = tmp_path / "blank.png"
    Image.new("RGB", (300, 300), "grey").save(blank)
    nothing = [Photograph(str(blank), "")]
    classes = [photographs["fit"], list(find_generated(GENERATED))]
    classes[empty == "generated pictures"] = nothing
    with pytest.raises(CalibrationError, match=f"none of the {empty} shows a usable face"):
        fit_binary(network_bundle, *classes, **SETTINGS)


def test_features_have_unit_length(network_bundle, photographs):
    bundle = with_unit_length(network_bundle)
    views = viewed(bundle, photographs["fit"][:2], OPTIONS)
    np.testing.assert_allclose(np.linalg.norm(features_of(views), axis=1), 1, rtol=1e-5)
