"""Calibrating: on other photographs than were fitted to, each once in a category."""

from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.degrade.random import OPERATIONS
from cameraborn.detect.bundle import SEEN_DIGITS
from cameraborn.detect.condition import Taxonomy
from cameraborn.detect.held_out import CalibrationRow
from cameraborn.errors import BundleError, CalibrationError
from cameraborn.fit.calibrate import (
    calibrate,
    calibrate_on,
    calibration_rows,
    drawn_in_categories,
    observe_held_out,
    taxonomy_of,
    with_scores,
)
from cameraborn.fit.density import fit
from cameraborn.fit.photographs import Photograph, find_photographs
from cameraborn.fit.views import ViewOptions, take_views

from ..conftest import EXAMPLES, viewed

OPTIONS = ViewOptions(copies=1, jobs=1)


@pytest.fixture(scope="module")
def fitted(network_bundle, photographs):
    return fit(network_bundle, photographs["fit"], components=1, dimensions=4, options=OPTIONS)


def test_fit_and_calibrate_on_the_same_photographs_is_refused(fitted, photographs):
    with pytest.raises(CalibrationError, match=r"already seen .* held out") as caught:
        calibrate(fitted, [photographs["calibration"][0], photographs["fit"][2]], options=OPTIONS)
    assert photographs["fit"][2].path in str(caught.value)


def test_what_was_fitted_to_calibrates_where_it_was_left_out(fitted, network_bundle, photographs):
    out, held_out = photographs["fit"][2], photographs["calibration"][:8]
    others = [photograph for photograph in photographs["fit"] if photograph != out]
    without = fit(network_bundle, others, components=1, dimensions=4, options=OPTIONS)
    done = calibrate(fitted, [*held_out, out], options=OPTIONS, class_size=3, apart=[without])
    assert done.seen == fitted.seen
    everything = replace(OPTIONS, operations=True, every_operation=True)
    for photograph, judge in [(out, without), *((one, fitted) for one in held_out)]:
        (views,) = take_views(fitted, [photograph], everything, lambda *_: None)
        surprises = {round(row.surprises["photographs"], 4) for row in calibration_rows(judge, views)}
        rows = [row for row in done.calibration_rows if row.photograph == views[0].sha256[:SEEN_DIGITS]]
        assert rows
        assert {row.score for row in rows} <= surprises
    with pytest.raises(CalibrationError, match="already seen"):
        calibrate(fitted, [*held_out, photographs["fit"][3]], options=OPTIONS, apart=[without])


def test_only_a_bundle_of_the_same_features_stands_apart(fitted, photographs, network_bundle):
    (network,) = fitted.info.networks
    changed = replace(fitted, files={**fitted.files, network.file: b"another"}, origin="another")
    for other, what in ((changed, "another: has other networks than"), (network_bundle, "other channels of")):
        with pytest.raises(BundleError, match=what):
            calibrate(fitted, photographs["calibration"][:4], options=OPTIONS, apart=[other])


def test_a_copy_under_another_name_has_been_seen_too(fitted, photographs, tmp_path):
    copy = tmp_path / "renamed.jpg"
    copy.write_bytes((EXAMPLES / "photo-3.jpg").read_bytes())
    with pytest.raises(CalibrationError, match="already seen"):
        calibrate(fitted, [Photograph(str(copy), "")], options=OPTIONS)


def test_a_photograph_that_was_stored_anew_has_been_seen_too(fitted, tmp_path):
    anew = tmp_path / "anew.jpg"
    anew.write_bytes((EXAMPLES / "photo-3.jpg").read_bytes() + b"x")
    with pytest.raises(CalibrationError, match="already seen"):
        calibrate(fitted, [Photograph(str(anew), "")], options=OPTIONS)


def test_what_was_made_from_a_photograph_has_been_seen_with_it(fitted, network_bundle, photographs, tmp_path):
    shown = EXAMPLES / "photo-3.jpg"
    smaller = tmp_path / "smaller.jpg"
    with Image.open(shown) as opened:
        opened.resize((300, 300)).save(smaller)
    row = Row(path=str(smaller), sha256=sha256_of(smaller), original=sha256_of(shown))
    write_manifest([row], tmp_path / "made.jsonl")
    made = list(find_photographs([tmp_path / "made.jsonl"]))
    with pytest.raises(CalibrationError, match="already seen"):
        calibrate(fitted, made, options=OPTIONS)
    unseen = photographs["calibration"][:9]
    again = fit(network_bundle, [*unseen, *made], components=1, dimensions=1, options=OPTIONS)
    assert all(map(again.has_seen, row.hashes))


def test_every_usable_photograph_gives_one_score_and_nothing_else_is_lost(fitted, photographs, tmp_path):
    broken, empty = tmp_path / "broken.jpg", tmp_path / "empty.png"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(empty)
    given = photographs["calibration"][:12]
    given = [*given[:5], Photograph(str(broken), ""), *given[5:], Photograph(str(empty), "")]
    told = {}
    done = calibrate(fitted, given, options=OPTIONS, report=lambda path, why: told.update({path: why}))
    assert len(done.calibration_rows) == 12
    assert list(told) == [photograph.path for photograph in given]
    assert {path for path, why in told.items() if why} == {str(broken), str(empty)}
    assert "damaged" in told[str(broken)]
    assert told[str(empty)] == f"{empty}: no usable face"
    assert {row.source for row in done.calibration_rows} == {"copies"}
    assert set(done.files) == {*fitted.files, "calibration.csv", "golden.json"}
    assert all(done.files[name] == data for name, data in fitted.files.items())


def test_coverage_is_what_the_calibration_had_been_through(fitted, photographs, tmp_path):
    plain = ViewOptions(copies=0, jobs=1)
    done = calibrate(fitted, photographs["calibration"][:12], options=plain)
    assert done.info.coverage.jpeg_quality == (70, 100)
    assert done.info.coverage.colour
    grey = [tmp_path / f"{n}.png" for n in (1, 2)]
    for path, source in zip(grey, photographs["calibration"][10:], strict=False):
        with Image.open(source.path) as image:
            image.convert("L").save(path)
    some_grey = [*photographs["calibration"][:10], *(Photograph(str(path), "") for path in grey)]
    assert not calibrate(fitted, some_grey, options=plain).info.coverage.colour


def test_the_number_of_jobs_changes_nothing(network_bundle, photographs):
    made = []
    for jobs in (1, 3):
        options = ViewOptions(copies=2, jobs=jobs)
        bundle = fit(network_bundle, photographs["fit"], components=2, dimensions=2, options=options)
        made.append(calibrate(bundle, photographs["calibration"][:8], options=options).files)
    assert made[0] == made[1]


def test_calibration_parts_operations_whatever_the_options_say(fitted, photographs):
    given, options = photographs["calibration"][:16], ViewOptions(copies=6, operations=False, jobs=1)
    done = calibrate(fitted, given, options=options, class_size=6)
    again = calibrate(fitted, given, options=replace(options, operations=True), class_size=6)
    assert done.files == again.files
    coverage = done.coverage
    low, high = coverage.noise_edges
    assert low < high
    assert coverage.operations == tuple(OPERATIONS)
    assert len({cell[2:] for cells in coverage.categories for cell in cells}) == 3 * len(OPERATIONS)
    assert len(coverage.categories) > 3
    assert done.calibration.smallest >= 6
    for number, cells in enumerate(coverage.categories):
        rows = [row for row in done.calibration_rows if coverage.taxonomy.cell_of(row.condition) in cells]
        assert len({row.photograph for row in rows}) == len(rows) == len(done.calibration.scores[number])


def test_networks_run_on_what_stands_for_a_photograph_alone(fitted, photographs, tmp_path):
    """The rows are those of a calibration in which they ran on every view."""
    pair = [
        np.asarray(Image.open(EXAMPLES / f"photo-{n}.jpg").convert("RGB").resize((320, 320))) for n in (2, 4)
    ]
    Image.fromarray(np.hstack(pair)).save(tmp_path / "pair.png")
    given = [*photographs["calibration"][:12], Photograph(str(tmp_path / "pair.png"), "pairs")]
    options = ViewOptions(copies=5, jobs=1)
    looked = observe_held_out(fitted, given, options=options)
    ran = [sum(view.feature is not None for view in views) for views in looked.values()]
    assert ran == [1] * 12 + [2]  # the faces as they are
    again = []

    @contextmanager
    def counting(total):
        again.append(total)
        yield lambda path, problem: again.append(path)

    done = calibrate_on(fitted, looked, options=options, class_size=5, again=counting)
    assert again[0] == len(again) - 1 > 6
    assert set(again[1:]) <= {photograph.path for photograph in given}

    everything = replace(options, operations=True, every_operation=True)
    expected = []
    for views in take_views(fitted, given, everything, lambda *_: None):
        rows = with_scores(done, calibration_rows(fitted, views))
        expected += [rows[n] for n in drawn_in_categories(rows, done.coverage.taxonomy, options)]
    assert len(expected) < sum(map(len, looked.values()))
    key = attrgetter("score", "photograph", "face_size", "jpeg_quality", "noise", "operation")
    written = [replace(row, score=round(row.score, 4)) for row in expected]
    assert sorted(map(repr, map(key, done.calibration_rows))) == sorted(map(repr, map(key, written)))
    assert calibrate(fitted, given, options=options, class_size=5).files == done.files


def test_a_photograph_that_changes_meanwhile_is_named(fitted, photographs, tmp_path):
    paths = [tmp_path / f"{n}.jpg" for n in range(8)]
    for path, photograph in zip(paths, photographs["calibration"], strict=False):
        path.write_bytes(Path(photograph.path).read_bytes())
    options = ViewOptions(copies=5, jobs=1)
    looked = observe_held_out(fitted, [Photograph(str(path), "") for path in paths], options=options)
    for path in paths:
        path.write_bytes(Path(photographs["calibration"][20].path).read_bytes())
    with pytest.raises(CalibrationError, match=r"\d.jpg: has changed while it was calibrated on: run"):
        calibrate_on(fitted, looked, options=options, class_size=3)


def test_a_photograph_stands_as_it_is_in_its_own_category_and_once_in_others():
    views = [
        CalibrationRow(float(n), "s", f"{7:016x}", 100, quality)
        for n, quality in enumerate((95, 80, 80, 95, None))
    ]
    taxonomy = Taxonomy(categories=tuple((cell,) for cell in Taxonomy().cells))
    drawn = [views[n].score for n in drawn_in_categories(views, taxonomy, ViewOptions())]
    assert len(drawn) == 3
    assert drawn[0] in (1, 2)
    assert drawn[1:] == [0, 4]
    merged = taxonomy_of([views], (130,), (), 2)
    assert merged.categories == (tuple(merged.cells),)  # one photograph cannot make two categories of two


def test_nothing_usable(network_bundle, fitted, tmp_path):
    empty, other = tmp_path / "empty.png", tmp_path / "other.png"
    for path in (empty, other):
        Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(path)
    for act in (
        lambda: fit(
            network_bundle,
            [Photograph(str(empty), ""), Photograph(str(other), "")],
            components=1,
            dimensions=1,
            options=OPTIONS,
        ),
        lambda: calibrate(fitted, [], options=OPTIONS),
    ):
        with pytest.raises(CalibrationError, match="none of the photographs shows a usable face"):
            act()


def test_copies_of_a_file_are_counted_once(fitted, photographs, tmp_path):
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(Path(photographs["calibration"][0].path).read_bytes())
    given = photographs["calibration"][:6]
    alone = calibrate(fitted, given, options=OPTIONS)
    again = calibrate(fitted, [*given, Photograph(str(copy), "")], options=OPTIONS)
    assert len(again.calibration_rows) == len(alone.calibration_rows)


def test_each_channels_surprise_is_kept_beside_the_score(fitted, photographs):
    done = calibrate(fitted, photographs["calibration"][:10], options=OPTIONS)
    (as_it_is, *_) = viewed(fitted, photographs["calibration"][:1], OPTIONS)
    surprise = float(fitted.channel("photographs").surprise(as_it_is.feature[None])[0])
    own = [row for row in done.calibration_rows if row.photograph == as_it_is.sha256[:16]]
    assert min(abs(row.surprises["photographs"] - surprise) for row in own) < 1e-4
    assert all(row.score == row.surprises["photographs"] for row in done.calibration_rows)
    header, *_ = done.files["calibration.csv"].decode().splitlines()
    assert header.endswith(",operation,surprise_photographs")
