"""A run read back: every score at its picture, whatever the order of the rows."""

import shutil
from collections import Counter

import numpy as np
import pytest

from cameraborn.errors import BenchError
from cameraborn.report.results import Results

from .made_run import made_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_run(tmp_path_factory.mktemp("made")).output


def test_scorers_are_the_detectors_and_then_the_cues(run):
    results = Results(run)
    assert [one.name for one in results.detectors] == ["plain", "keen, <b>whole|", "plain (aigfd)"]
    assert [one.name for one in results.cues] == ["sharpness"]
    assert results.scorers == (*results.detectors, *results.cues)
    assert [results.degradations(one) for one in results.detectors] == [["none", "jpeg:60"]] * 2 + [["none"]]


def test_strata_are_photographs_and_generators_of_a_track(run):
    results = Results(run)
    assert {(one.shown, len(one), one.grouped) for one in results.photographs} == {
        ("dev/face", 24, False),
        ("dev/scene", 24, True),
        ("avatars", 15, False),
    }
    assert {(one.name, len(one.generated)) for one in results.comparisons} == {
        ("StyleGAN2 (dev/face)", 15),
        ("StyleGAN2 (dev/scene)", 15),
        ("SDXL, base (dev/face)", 9),
    }


def test_predictions_keep_what_is_missing_seen_failed_and_undecided(run):
    results = Results(run)
    plain, _, aigfd = results.detectors
    photos = results.comparisons[0].photos
    predictions = results.predictions(plain, photos)
    assert Counter(predictions.scope.tolist()) == {"ok": 21, "beyond-calibration": 1, "no-face": 1, "seen": 1}
    assert predictions.scored.sum() == 22  # the undecided one has a score
    assert predictions.decided.sum() == 21
    assert (results.predictions(plain, photos, "jpeg:60").scope == "unreadable").sum() == 1
    assert (results.predictions(aigfd, photos).scope == "missing").sum() == 1
    assert results.predictions(aigfd, photos, "jpeg:60") is None
    assert results.pair(aigfd, results.comparisons[0], "jpeg:60") is None
    assert (results.predictions(results.cues[0], photos).flagged == -1).all()


def test_the_order_of_rows_changes_no_picture_of_any_detector(run, tmp_path):
    shutil.copytree(run, tmp_path / "turned")
    head, *lines = (run / "scores.csv").read_text().splitlines(keepends=True)
    (tmp_path / "turned" / "scores.csv").write_text(head + "".join(reversed(lines)))
    pictures = []
    for results in (Results(run), Results(tmp_path / "turned")):
        photos = next(one for one in results.photographs if one.shown == "dev/face")
        predictions = [results.predictions(detector, photos).score for detector in results.detectors]
        pictures.append(
            sorted(zip(*np.nan_to_num(predictions, nan=-9), strict=True))
        )  # of each picture by all three
    assert pictures[0] == pictures[1]


def test_sources_are_told_with_their_pictures(run):
    results = Results(run)
    found = list(results.by_source(results.detectors[0]))
    assert [(stratum.shown, source, here.sum()) for stratum, source, _, here in found] == [
        ("dev/face", "camera 0", 12),
        ("dev/face", "camera 1", 12),
        ("dev/scene", "camera 0", 12),
        ("dev/scene", "camera 1", 12),
        ("avatars", "", 15),
    ]


def test_rows_of_other_detectors_sets_and_degradations_are_not_of_this_run(run, tmp_path):
    shutil.copytree(run, tmp_path / "more")
    path = tmp_path / "more" / "scores.csv"
    head, line, *_ = path.read_text().splitlines(keepends=True)
    assert ",plain-key,dev,face,none," in line
    strangers = [
        line.replace(",plain-key,", ",old-key,"),
        line.replace(",dev,face,", ",gone,face,"),
        line.replace(",none,", ",blur:9,"),
    ]
    path.write_text(head + "".join(strangers))
    with pytest.raises(BenchError, match="no score of the configuration's detectors yet"):
        Results(tmp_path / "more")
    path.write_text(head + line + "".join(strangers))
    assert [len(one) for one in Results(tmp_path / "more").photographs] == [1]
