"""The papers' protocol: their threshold, and both decisions on the same scores."""

import hashlib
import math

import numpy as np
import pytest

from cameraborn.bench.config import BenchConfig, ProtocolSection
from cameraborn.bench.protocol import (
    FittedProtocol,
    fit_density,
    fit_protocol,
    paper_threshold,
    run_protocol,
    section_of,
    stacked,
)
from cameraborn.bench.scorers import DetectorSection
from cameraborn.bench.scores import read_scores
from cameraborn.errors import BenchError, CalibrationError
from cameraborn.report.results import Results

PHOTOGRAPHS = {"folders": ["x"]}


def section(**changes):
    return ProtocolSection.model_validate({"fit": PHOTOGRAPHS, "held_out": PHOTOGRAPHS} | changes)


def test_the_papers_threshold_is_the_papers():
    likelihoods = np.random.default_rng(0).permutation(np.arange(41.0))
    assert paper_threshold(likelihoods, 0.05) == 2.0  # element int(.05 x 41) of the sorted ones
    assert (likelihoods < 2.0).sum() == 2


def test_one_gaussian_is_the_normal_density():
    features = np.random.default_rng(0).normal(size=(400, 3)) * [1, 2, 3] + 5
    density = fit_density(features, section(components=1))
    mean, covariance = features.mean(axis=0), np.cov(features.T, bias=True)
    x = features[:5] - mean
    literal = [
        -0.5
        * (d @ np.linalg.inv(covariance) @ d + np.log(np.linalg.det(covariance)) + 3 * math.log(2 * math.pi))
        for d in x
    ]
    np.testing.assert_allclose(density.log_likelihood(features[:5]), literal, atol=1e-3)
    assert len(fit_density(features, section(components=2)).weights) == 2
    assert len(fit_density(features, section(components=2), components=3).weights) == 3
    with pytest.raises(CalibrationError):
        fit_density(features[:4], section(components=8))


def test_the_gaussians_share_a_covariance_where_the_configuration_says_so():
    features = np.random.default_rng(0).normal(size=(60, 3))
    shapes = {
        name: fit_density(features, section(components=2, covariance=name)).precisions_cholesky.shape
        for name in ("full", "tied", "diag")
    }
    assert shapes == {"full": (2, 3, 3), "tied": (3, 3), "diag": (2, 1, 3)}


class Source:
    """What has features."""

    name, encoder_key = "x", "e"
    section = DetectorSection(kind="encoder", which="farl")


def test_another_covariance_is_another_detector():
    """Under `full` the key is that of before there was a choice, so that what was measured is not measured again."""
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(60, 3)).astype(np.float32), rng.normal(size=(20, 3)).astype(np.float32)
    fitted = {
        name: fit_protocol(Source, section(components=2, covariance=name), frozenset(), *arrays)
        for name in ("full", "tied", "diag")
    }
    literal = hashlib.sha256(b"('e', False)")
    literal.update(b'{"components":2,"dimensions":null,"quantile":0.05,"seed":2024}')
    for array in arrays:
        literal.update(array.tobytes())
    assert fitted["full"].key == literal.hexdigest()[:16]
    assert len({one.key for one in fitted.values()}) == 3
    assert fitted["tied"].note.startswith("2 Gaussians of tied covariance on 60 photographs")
    assert (fitted["tied"].record.which, fitted["tied"].record.kind) == ("farl", "aigfd")


def test_a_feature_is_flagged_by_the_papers_threshold_and_has_a_held_out_p_value():
    features = np.random.default_rng(0).normal(size=(200, 2))
    density = fit_density(features, section(components=1))
    held_out = -density.log_likelihood(np.random.default_rng(1).normal(size=(9, 2)))
    threshold = paper_threshold(density.log_likelihood(features), 0.05)
    fitted = FittedProtocol("n", "k", frozenset(), density, threshold, held_out, "note")
    for feature in (np.zeros(2), np.array([1.0, 1.5]), np.array([9.0, 9.0])):
        scored = fitted.score(feature)
        likelihood = float(density.log_likelihood(feature[None])[0])
        assert (scored.scope, scored.score) == ("ok", -likelihood)
        assert scored.flagged == (likelihood < threshold)
        assert scored.p_value == (1 + sum(held_out >= -likelihood)) / 10
    assert (fitted.score(np.zeros(2)).flagged, fitted.score(np.full(2, 9.0)).flagged) == (False, True)
    assert (fitted.record.kind, fitted.record.calibration_size) == ("aigfd", 9)


def test_pictures_without_a_feature_are_left_out():
    features = [np.zeros(2), None, np.ones(2)]
    assert stacked(features, "photographs").tolist() == [[0, 0], [1, 1]]
    with pytest.raises(BenchError, match="none of the held-out photographs shows a usable face"):
        stacked([None], "held-out photographs")


def test_a_configuration_without_a_protocol_says_what_to_name():
    config = BenchConfig.model_validate(
        {"output": "x", "detectors": ["sharpness"], "sets": [{"name": "x", "manifest": "x.jsonl"}]}
    )
    with pytest.raises(BenchError, match=r"no \[protocol\]"):
        section_of(config)


def test_photographs_serve_one_purpose(tmp_path, config_of, album):
    config = config_of(tmp_path / "out")
    for purpose, words in (("fit", "both fitted to and held out"), ("photos", "both learnt from and tested")):
        protocol = config.protocol.model_dump() | {"held_out": {"folders": [album / purpose]}}
        with pytest.raises(BenchError, match=words):
            run_protocol(config_of(tmp_path / "out", protocol=protocol), jobs=1)


def test_protocol_rows_hold_both_decisions(finished):
    results = Results(finished.output)
    fitted = [detector for detector in results.detectors if detector.kind == "aigfd"]
    assert [detector.name for detector in fitted] == ["tiny (aigfd)", "<b>whole| (aigfd)"]
    rows = [row for row in read_scores(finished.output / "scores.csv") if row.detector == "tiny (aigfd)"]
    decided = [row for row in rows if row.scope == "ok"]
    assert len(rows) == 16
    assert len(decided) >= 14
    flagged = [row.score for row in decided if row.flagged]
    others = [row.score for row in decided if not row.flagged]
    assert max(others, default=-1e9) < min(flagged, default=1e9)
    assert all(row.p_value is not None and row.score is not None for row in decided)
    by_score = sorted(decided, key=lambda row: row.score)
    assert [row.p_value for row in by_score] == sorted((row.p_value for row in decided), reverse=True)
