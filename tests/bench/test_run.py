"""The measurement: everything accounted for, nothing measured twice, and the detectors' own answers."""

import csv
import dataclasses
from contextlib import closing

import numpy as np
import pytest

from cameraborn import load, open_picture
from cameraborn.bench.config import BenchConfig
from cameraborn.bench.detectors import Detectors
from cameraborn.bench.kinds import KINDS, Kind
from cameraborn.bench.record import RUN
from cameraborn.bench.run import Measure, Missing, Tally, run
from cameraborn.bench.scores import ScoreRow, format_row, read_scores
from cameraborn.bench.sets import read_set
from cameraborn.data.cues import CUES
from cameraborn.engine.local import map_in_order
from cameraborn.report.results import Results

from ..conftest import encoded


@pytest.fixture(scope="module")
def folders(album):
    return {"name": "folders", "photographs": {"mine": album / "photos"}, "generated": {"gan": album / "gan"}}


def test_rows_are_what_the_detector_says(finished, album, tiny_bundle):
    rows = [row for row in read_scores(finished.output / "scores.csv") if row.degradation == "none"]
    detector, seen = load(tiny_bundle), 0
    for row in rows:
        path = (album / row.path).resolve()
        if row.detector == "tiny":
            verdict = detector.score(path)[0]
            assert (row.scope, row.score, row.p_value, row.flagged) == (
                verdict.scope,
                verdict.score,
                verdict.p_value,
                verdict.flagged,
            )
            assert row.in_source == (row.source == "copies")
            seen += 1
        elif row.detector == "sharpness":
            assert row.score == CUES["sharpness"](open_picture(path))
            assert (row.p_value, row.flagged) == (None, None)
    assert seen == 16
    assert {row.detector for row in rows} == {
        "tiny",
        "<b>whole|",
        "sharpness",
        "tiny (aigfd)",
        "<b>whole| (aigfd)",
    }


def test_degraded_pictures_are_scored_from_their_bytes(finished, album, tiny_bundle):
    from PIL import Image

    rows = [r for r in read_scores(finished.output / "scores.csv") if r.degradation == "jpeg:60"]
    row = next(r for r in rows if r.detector == "tiny")
    import io

    buffer = io.BytesIO()
    Image.fromarray(open_picture(album / row.path).pixels).save(buffer, "JPEG", quality=60)
    verdict = load(tiny_bundle).score(buffer.getvalue())[0]
    assert (row.scope, row.score) == (verdict.scope, verdict.score)


def test_every_picture_is_a_row_and_an_error_is_no_score(tmp_path, config_of, folders):
    config = config_of(tmp_path / "out", sets=[folders], degradations=["none"])
    tally = run(config, jobs=2)
    rows = list(read_scores(config.output / "scores.csv"))
    assert len(rows) == 2 * (13 + 4)
    failed = [row for row in rows if row.error]
    assert [row.path for row in failed] == ["photos/broken.jpg"] * 2
    assert all((row.score, row.p_value, row.flagged) == (None, None, None) for row in failed)
    assert tally.errors == 2
    assert tally.scored + tally.abstained == 32


def test_an_interrupted_run_goes_on(tmp_path, config_of):
    config = config_of(tmp_path / "out")
    first = run(config, jobs=1)
    path = config.output / "scores.csv"
    whole = sorted(map(without_time, read_scores(path)))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:20]) + lines[20][:30])
    second = run(config, jobs=1)
    assert second.known == 19
    assert first.known == 0
    assert first.scored + first.abstained == second.scored + second.abstained + 19
    assert sorted(map(without_time, read_scores(path))) == whole
    third = run(config, jobs=1)
    assert (third.scored, third.known) == (0, len(whole))


def without_time(row):
    return format_row(dataclasses.replace(row, seconds=None))


def test_what_the_cache_answers_has_no_time(tmp_path, config_of):
    cache = tmp_path / "features.sqlite"
    scored = []
    for name in ("one", "two"):
        config = config_of(
            tmp_path / name,
            cache=cache,
            degradations=["none"],
            detectors=[config_of("x").detectors[0].model_dump()],
        )
        run(config, jobs=1)
        scored.append([row for row in read_scores(config.output / "scores.csv") if row.scope == "ok"])
    assert all(row.seconds is not None and row.seconds > 0 for row in scored[0])
    assert all(row.seconds is None for row in scored[1])
    assert [row.score for row in scored[0]] == [row.score for row in scored[1]]


def test_what_a_bundle_has_learnt_from_is_set_apart(tmp_path, config_of, photographs):
    from pathlib import Path

    learnt = Path(photographs["fit"][0].path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "known.jpg").write_bytes(learnt.read_bytes())
    sets = [{"name": "x", "photographs": {"x": tmp_path / "photos"}}]
    config = config_of(tmp_path / "out", sets=sets, degradations=["none"])
    tally = run(config, jobs=1)
    rows = {row.detector: row for row in read_scores(config.output / "scores.csv")}
    assert (rows["tiny"].scope, rows["tiny"].score) == ("seen", None)
    assert rows["sharpness"].scope == "ok"
    assert tally.seen == 1


@pytest.fixture
def small(tmp_path):
    """A configuration of one cue, and the samples of its set: two photographs of 20 px and one generated."""
    rng = np.random.default_rng(0)
    for place in ("photos/a.png", "photos/b.png", "gan/c.png"):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(rng.integers(0, 256, (20, 20, 3), np.uint8), "PNG"))
    config = BenchConfig.model_validate(
        {
            "output": tmp_path / "out",
            "detectors": ["brightness"],
            "degradations": ["none", "jpeg:60"],
            "sets": [
                {
                    "name": "small",
                    "photographs": {"mine": tmp_path / "photos"},
                    "generated": {"gan": tmp_path / "gan"},
                }
            ],
        }
    )
    return config, read_set(config.sets[0])


def test_a_file_that_changed_is_an_error(small):
    config, (sample, *_) = small
    with closing(Detectors(config)) as detectors:
        detectors.open()
        (key,) = detectors.by_key()
        scored = Missing(sample, (("none", (key,)), ("jpeg:60", (key,))))
        stage = Measure(detectors, 0.05)
        stage.setup()
        assert [row.error for row in stage.work(scored)] == ["", ""]
        sample.file.write_bytes(sample.file.read_bytes() + b"x")
        changed = stage.work(scored)
        sample.file.unlink()
        gone = stage.work(scored)
    assert [(row.degradation, row.score, row.scope) for row in changed] == [
        ("none", None, "unreadable"),
        ("jpeg:60", None, "unreadable"),
    ]
    assert all("not the file that was imported" in row.error for row in changed)
    assert all("cannot be read" in row.error for row in gone)


def test_the_work_can_be_sent_to_another_process(small):
    """What travels is the configuration; the detectors are opened where the work is done."""
    config, samples = small
    with closing(Detectors(config)) as detectors:
        detectors.open()
        (key,) = detectors.by_key()
        items = [Missing(sample, (("none", (key,)),)) for sample in samples]
        ours, theirs = (
            [
                without_time(row)
                for rows in map_in_order(Measure(detectors, 0.05), items, 1, **how)
                for row in rows
            ]
            for how in ({}, {"processes": True})
        )
    assert ours == theirs
    assert len(ours) == 3


def test_setting_up_again_opens_nothing_again(small):
    config, _ = small
    with closing(Detectors(config)) as detectors:
        detectors.open()
        scorers = list(detectors)
        Measure(detectors, 0.05).setup()
        assert all(one is other for one, other in zip(detectors, scorers, strict=True))
    assert list(detectors) == []


def test_what_a_detector_cannot_do_is_an_error_of_its_row(small):
    config, (sample, *_) = small

    class Broken:
        name, key, sources, calibration_size = "broken", "broken", (), 0

        def check(self, false_alarm_rate):
            """Nothing to check."""

        def has_seen(self, sha256):
            return False

        def score(self, data, name, false_alarm_rate):
            raise RuntimeError("no such layer\nin detail")

    KINDS.add("broken", Kind(lambda section, cache: Broken()))
    try:
        config = BenchConfig.model_validate(
            config.model_dump() | {"detectors": [{"broken": "x"}, "brightness"], "degradations": ["none"]}
        )
        tally = run(config, jobs=1)
    finally:
        KINDS._things.pop("broken")
    assert (tally.scored, tally.errors) == (3, 3)
    assert tally.problems[0] == f"{sample.path}: broken failed (no such layer)"


def test_a_tally_counts_every_row_once_and_keeps_the_first_problems():
    row = ScoreRow(*("x",) * 11, False, "ok", 1.0, None, None, None, "")
    rows = [
        row,
        dataclasses.replace(row, scope="seen", score=None),
        dataclasses.replace(row, scope="no-face", score=None),
        *(dataclasses.replace(row, scope="unreadable", score=None, error=f"error {n}") for n in range(7)),
    ]
    tally = Tally()
    tally.add(rows[:5])
    tally.add(rows[5:])
    assert (tally.scored, tally.seen, tally.abstained, tally.errors) == (1, 1, 1, 7)
    assert tally.problems == [f"error {n}" for n in range(5)]


def test_a_run_says_what_it_was(finished):
    assert Results(finished.output).config == finished
    assert (finished.output / RUN).read_text().startswith("{")
    with (finished.output / "scores.csv").open(newline="") as lines:
        assert next(csv.reader(lines))[:3] == ["path", "sha256", "detector"]
