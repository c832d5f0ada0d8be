"""The measurement: everything accounted for, nothing measured twice, and the detectors' own answers."""

import csv
import dataclasses

import pytest

from cameraborn import load, open_picture
from cameraborn.bench.bundles import BundleJudge
from cameraborn.bench.cache import FeatureCache
from cameraborn.bench.config import DetectorSection, PhotographSection, SetSection
from cameraborn.bench.protocol import paper_threshold, run_protocol
from cameraborn.bench.run import RUN, run
from cameraborn.bench.scores import format_row, read_scores
from cameraborn.bench.sets import read_photographs, read_set
from cameraborn.data.cues import CUES
from cameraborn.errors import BenchError, PictureError
from cameraborn.report.results import Results


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


def test_degraded_pictures_are_judged_as_delivered(finished, album, tiny_bundle):
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


def test_a_file_that_changed_is_an_error(tmp_path, config_of, album):
    file = tmp_path / "photos" / "a.jpg"
    file.parent.mkdir()
    file.write_bytes(next((album / "photos").glob("0*.jpg")).read_bytes())
    sets = [{"name": "x", "photographs": {"x": file.parent}}]
    config = config_of(tmp_path / "out", sets=sets, detectors=["sharpness"], degradations=["none"])
    specimen = read_set(config.sets[0])[0]
    from cameraborn.bench.run import _bytes_of

    file.write_bytes(file.read_bytes() + b"x")
    problem, data = _bytes_of(specimen)
    assert "not the file that was imported" in problem
    assert data == b""
    file.unlink()
    assert "cannot be read" in _bytes_of(specimen)[0]


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
    judged = []
    for name in ("one", "two"):
        config = config_of(
            tmp_path / name,
            cache=cache,
            degradations=["none"],
            detectors=[config_of("x").detectors[0].model_dump()],
        )
        run(config, jobs=1)
        judged.append([row for row in read_scores(config.output / "scores.csv") if row.scope == "ok"])
    assert all(row.seconds is not None and row.seconds > 0 for row in judged[0])
    assert all(row.seconds is None for row in judged[1])
    assert [row.score for row in judged[0]] == [row.score for row in judged[1]]


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


def test_another_bundle_under_the_same_name_is_measured_anew(tmp_path, tiny_bundle):
    with FeatureCache(tmp_path / "f.sqlite") as cache:
        keys = [
            BundleJudge(DetectorSection(bundle=str(tiny_bundle), **extra), cache).key
            for extra in ({}, {"name": "x"}, {"whole_image": True}, {"sources": ["mine"]})
        ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_features_are_found_again_without_the_file(tmp_path, tiny_bundle, album):
    specimen = read_photographs(PhotographSection(folders=[album / "fit"]), limit=1)[0]
    with FeatureCache(tmp_path / "f.sqlite") as cache:
        judge = BundleJudge(DetectorSection(bundle=str(tiny_bundle)), cache)
        first = judge.look(specimen.file, specimen.sha256)
        again = judge.look(tmp_path / "gone.jpg", specimen.sha256)
        assert first.scope == again.scope == "ok"
        assert (first.feature == again.feature).all()
        with pytest.raises(PictureError, match="not the file"):
            judge.look(specimen.file, "0" * 64)
    (tmp_path / "text").write_text("no data base at all, but long enough to be looked at" * 20)
    with pytest.raises(BenchError, match="not a file of features"):
        FeatureCache(tmp_path / "text")


def test_sets_refuse_what_would_fool(tmp_path, album):
    both = SetSection(name="x", photographs={"a": album / "gan"}, generated={"b": album / "gan"})
    with pytest.raises(BenchError, match="same file, once as a photograph and once as generated"):
        read_set(both)
    with pytest.raises(BenchError, match="no picture in it"):
        read_set(SetSection(name="x", photographs={"a": tmp_path}))
    doubled = SetSection(name="x", photographs={"a": album / "fit", "b": album / "fit"})
    assert len(read_set(doubled)) == 16
    limited = SetSection(name="x", photographs={"a": album / "fit"}, generated={"b": album / "gan"}, limit=3)
    assert [s.label for s in read_set(limited)] == ["photo"] * 3 + ["generated"] * 3
    assert read_set(limited) == read_set(limited)


def test_photographs_serve_one_purpose(tmp_path, config_of, album):
    config = config_of(tmp_path / "out")
    for purpose, words in (("fit", "both fitted to and held out"), ("photos", "both learnt from and tested")):
        protocol = config.protocol.model_dump() | {"held_out": {"folders": [album / purpose]}}
        with pytest.raises(BenchError, match=words):
            run_protocol(config_of(tmp_path / "out", protocol=protocol), jobs=1)
    with pytest.raises(BenchError, match="labelled generated"):
        read_photographs(PhotographSection(manifests=[album / "set.jsonl"]))


def test_the_papers_threshold_is_the_papers():
    import numpy as np

    likelihoods = np.random.default_rng(0).permutation(np.arange(41.0))
    assert paper_threshold(likelihoods, 0.05) == 2.0  # element int(.05 x 41) of the sorted ones
    assert (likelihoods < 2.0).sum() == 2


def test_protocol_rows_hold_both_decisions(finished):
    results = Results(finished.output)
    judges = [detector for detector in results.judges if detector.kind == "aigfd"]
    assert [judge.name for judge in judges] == ["tiny (aigfd)", "<b>whole| (aigfd)"]
    rows = [row for row in read_scores(finished.output / "scores.csv") if row.detector == "tiny (aigfd)"]
    judged = [row for row in rows if row.scope == "ok"]
    assert len(rows) == 16
    assert len(judged) >= 14
    flagged = [row.score for row in judged if row.flagged]
    others = [row.score for row in judged if not row.flagged]
    assert max(others, default=-1e9) < min(flagged, default=1e9)
    assert all(row.p_value is not None and row.score is not None for row in judged)
    by_score = sorted(judged, key=lambda row: row.score)
    assert [row.p_value for row in by_score] == sorted((row.p_value for row in judged), reverse=True)


def test_two_detectors_of_one_name_are_refused(tmp_path, config_of):
    with pytest.raises(BenchError, match="two detectors are called 'sharpness'"):
        run(config_of(tmp_path / "out", detectors=["sharpness", "sharpness"]), jobs=1)


def test_one_detector_under_two_names_is_refused(tmp_path, config_of):
    detectors = ["sharpness", {"cue": "sharpness", "name": "other"}]
    with pytest.raises(BenchError, match="'sharpness' and 'other' are one and the same detector"):
        run(config_of(tmp_path / "out", detectors=detectors), jobs=1)


def test_a_run_says_what_it_was(finished):
    assert Results(finished.output).config == finished
    assert (finished.output / RUN).read_text().startswith("{")
    with (finished.output / "scores.csv").open(newline="") as lines:
        assert next(csv.reader(lines))[:3] == ["path", "sha256", "detector"]
