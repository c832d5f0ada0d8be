"""Kinds of detector: one entry makes a new kind known to configurations, runs and reports."""

import numpy as np
import pytest

from cameraborn import open_picture
from cameraborn.bench.config import BenchConfig
from cameraborn.bench.kinds import KINDS, CueScorer, Kind
from cameraborn.bench.run import run
from cameraborn.bench.scorers import DetectorSection
from cameraborn.bench.scores import read_scores
from cameraborn.data.cues import CUES
from cameraborn.detect.verdict import Scored
from cameraborn.report.results import Results

from ..conftest import encoded


class Judge:
    """Flags large files."""

    sources, calibration_size = ("mine",), 0

    def __init__(self, section, cache):
        self.name, self.key = section.name or section.which, f"judge-{section.which}"

    def check(self, false_alarm_rate):
        """Any rate will do."""

    def has_seen(self, sha256):
        return False

    def score(self, data, name, false_alarm_rate):
        return Scored("ok", float(len(data)), None, len(data) > 3000)


@pytest.fixture
def judge():
    KINDS.add("judge", Kind(Judge, choices=("loud", "quiet")))
    yield
    KINDS._things.pop("judge")


def config_of(tmp_path, detectors):
    rng = np.random.default_rng(0)
    for place, side in (("photos/a.png", 16), ("gan/b.png", 64)):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(rng.integers(0, 256, (side, side, 3), np.uint8), "PNG"))
    sets = {"photographs": {"mine": tmp_path / "photos"}, "generated": {"gan": tmp_path / "gan"}}
    return BenchConfig.model_validate(
        {"output": tmp_path / "out", "detectors": detectors, "sets": [{"name": "x", **sets}]}
    )


def test_one_entry_adds_a_kind(tmp_path, judge):
    config = config_of(tmp_path, ["quiet", {"judge": "loud", "name": "theirs"}, "brightness"])
    assert [(one.kind, one.which) for one in config.detectors] == [
        ("judge", "quiet"),
        ("judge", "loud"),
        ("cue", "brightness"),
    ]
    run(config, jobs=1)
    rows = [row for row in read_scores(config.output / "scores.csv") if row.detector == "theirs"]
    assert [(row.label, row.flagged, row.in_source) for row in rows] == [
        ("photo", False, True),
        ("generated", True, False),
    ]
    results = Results(config.output)
    assert [(one.name, one.kind) for one in results.detectors] == [("quiet", "judge"), ("theirs", "judge")]
    assert [one.name for one in results.cues] == ["brightness"]


def test_a_kind_is_registered_once(judge):
    with pytest.raises(ValueError, match="kind of detector 'judge' is registered twice"):
        KINDS.add("judge", Kind(Judge))


def test_the_choices_of_a_new_kind_are_checked(tmp_path, judge):
    with pytest.raises(ValueError, match="no judge is called 'silent': choose from loud, quiet"):
        config_of(tmp_path, [{"judge": "silent"}])
    with pytest.raises(
        ValueError, match="a detector is one of bundle, cue, rival, encoder, judge: give exactly one"
    ):
        config_of(tmp_path, [{"judge": "loud", "cue": "sharpness"}])


@pytest.mark.parametrize("cue", CUES)
def test_a_cue_scores_and_decides_nothing(cue):
    data = encoded(np.random.default_rng(0).integers(0, 256, (19, 17, 3), np.uint8), "PNG")
    scorer = CueScorer(DetectorSection(kind="cue", which=cue))
    scorer.check(0.001)
    scored = scorer.score(data, "x.png", 0.05)
    assert (scored.scope, scored.score) == ("ok", CUES[cue](open_picture(data)))
    assert (scored.p_value, scored.flagged, scorer.has_seen("0" * 64)) == (None, None, False)
    broken = scorer.score(b"no picture", "x.png", 0.05)
    assert (broken.scope, broken.score) == ("unreadable", None)
    assert "x.png" in broken.error


def test_a_cue_keeps_its_key_under_any_name():
    """Rows of scores know a detector by its key: another key would measure everything anew."""
    keys = {
        CueScorer(DetectorSection(kind="cue", which="sharpness", name=name)).key for name in ("", "other")
    }
    assert keys == {"cue-ddfb96f4b010"}
