"""Fitting and calibrating: on photographs alone, on different ones, the same whatever the number of jobs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.degrade.random import OPERATIONS, apply_operation
from cameraborn.degrade.residual_statistics import noise_of, residual_statistics
from cameraborn.detect.bundle import Bundle, CalibrationRow, read_bundle
from cameraborn.detect.conformal import Grid
from cameraborn.detect.detector import Detector
from cameraborn.detect.evidence.em import Covariance
from cameraborn.errors import CalibrationError, ManifestError
from cameraborn.fit.learn import (
    CANDIDATES,
    LearnOptions,
    Photograph,
    at_most,
    calibrate,
    find_photographs,
    fit,
    look,
    one_a_class,
    operation_classifier_of,
    parted,
    spread_out,
)
from cameraborn.photo.decode import open_picture
from cameraborn.photo.patches import shrink_to

from ..conftest import EXAMPLES, varied_copies

OPTIONS = LearnOptions(copies=1, jobs=1)


@pytest.fixture(scope="module")
def fitted(network_bundle, photographs):
    return fit(network_bundle, photographs["fit"], components=1, dimensions=4, options=OPTIONS)


def test_fit_and_calibrate_on_the_same_photographs_is_refused(fitted, photographs):
    with pytest.raises(CalibrationError, match=r"already seen .* held out") as caught:
        calibrate(fitted, [photographs["calibration"][0], photographs["fit"][2]], options=OPTIONS)
    assert photographs["fit"][2].path in str(caught.value)


def test_a_copy_under_another_name_has_been_seen_too(fitted, photographs, tmp_path):
    copy = tmp_path / "renamed.jpg"
    copy.write_bytes((EXAMPLES / "photo-3.jpg").read_bytes())
    with pytest.raises(CalibrationError, match="already seen"):
        calibrate(fitted, [Photograph(str(copy), "")], options=OPTIONS)


def test_what_was_seen_adds_up(fitted, photographs):
    hashes = {sha256_of(EXAMPLES / f"photo-{n}.jpg")[:16] for n in range(1, 6)}
    assert hashes <= set(fitted.files["seen.txt"].decode().split())
    more = [Photograph(p.path, "") for p in photographs["calibration"][:10]]
    again = fit(fitted, more, components=1, dimensions=4, options=OPTIONS)
    assert len(again.files["seen.txt"].split()) == 20
    assert hashes <= set(again.files["seen.txt"].decode().split())


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
    plain = LearnOptions(copies=0, jobs=1)
    done = calibrate(fitted, photographs["calibration"][:12], options=plain)
    assert done.info.coverage.jpeg_quality == (70, 100)
    assert done.info.coverage.colour
    grey = [tmp_path / f"{n}.png" for n in (1, 2)]
    for path, source in zip(grey, photographs["calibration"], strict=False):
        with Image.open(source.path) as image:
            image.convert("L").save(path)
    some_grey = [*photographs["calibration"][:10], *(Photograph(str(path), "") for path in grey)]
    assert not calibrate(fitted, some_grey, options=plain).info.coverage.colour


def test_without_a_number_of_components_held_out_photographs_choose(network_bundle, photographs):
    made = [
        fit(
            network_bundle,
            photographs["fit"] + photographs["calibration"],
            components=components,
            dimensions=2,
            covariance=Covariance.diag,
            shrinkage=0.1,
            options=OPTIONS,
        )
        for components in (None, 1)
    ]
    assert [bundle.mixture.covariance for bundle in made] == [Covariance.diag] * 2
    assert 1 <= len(made[0].mixture.weights) <= max(CANDIDATES)
    assert len(made[1].mixture.weights) == 1


def test_a_new_fit_drops_the_older_calibration(tiny_bundle, photographs):
    bundle = read_bundle(tiny_bundle)
    bundle = Bundle(bundle.info, {**bundle.files, "head.safetensors": b"of a classifier"}, bundle.origin)
    again = fit(bundle, photographs["fit"], components=1, dimensions=4, options=OPTIONS)
    assert again.info.coverage is None
    assert not {"head.safetensors", "calibration.csv", "golden.json"} & set(again.files)
    assert again.files["weights.safetensors"] == bundle.files["weights.safetensors"]


def test_the_number_of_jobs_changes_nothing(network_bundle, photographs):
    made = []
    for jobs in (1, 3):
        options = LearnOptions(copies=2, jobs=jobs)
        bundle = fit(network_bundle, photographs["fit"], components=2, dimensions=3, options=options)
        made.append(calibrate(bundle, photographs["calibration"][:8], options=options).files)
    assert made[0] == made[1]


def test_a_photographs_views_do_not_depend_on_its_company(network_bundle, photographs):
    given = photographs["calibration"][:4]
    together = [view.feature for view in look(network_bundle, given, OPTIONS, lambda *_: None)]
    alone = [view.feature for view in look(network_bundle, given[3:], OPTIONS, lambda *_: None)]
    assert len(together) == 8
    np.testing.assert_array_equal(together[6:], alone)


@pytest.mark.parametrize(("copies", "as_is", "views"), [(0, True, 1), (3, False, 3), (2, True, 3)])
def test_views_are_the_face_as_it_is_and_its_conditions(network_bundle, photographs, copies, as_is, views):
    options = LearnOptions(copies=copies, as_is=as_is, jobs=1)
    seen = list(look(network_bundle, photographs["calibration"][:1], options, lambda *_: None))
    assert len(seen) == views
    if as_is:
        path = photographs["calibration"][0].path
        detector = Detector(network_bundle)
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        (box,) = detector.boxes(pixels, whole_image=False)
        expected = detector.encoder.feature(detector.crop(pixels, box, whole_image=False))
        np.testing.assert_array_equal(seen[0].feature, expected)
        assert seen[0].jpeg_quality == 70


def test_handled_copies_have_been_through_more(network_bundle, photographs):
    given = photographs["calibration"][:1]
    seen = {}
    for handled in (False, True):
        options = LearnOptions(copies=40, handled=handled, jobs=1)
        as_it_is, *seen[handled] = look(network_bundle, given, options, lambda *_: None)
    assert not any(view.face_size > as_it_is.face_size for view in seen[False])
    assert any(view.face_size > as_it_is.face_size for view in seen[True])
    spread = {handled: np.std([noise_of(view.traces) for view in views]) for handled, views in seen.items()}
    assert spread[True] > 1.2 * spread[False]


def test_views_have_the_traces_of_their_crop(network_bundle, photographs):
    options = LearnOptions(copies=0, jobs=1)
    (view,) = look(network_bundle, photographs["calibration"][:1], options, lambda *_: None)
    with Image.open(photographs["calibration"][0].path) as image:
        pixels = np.asarray(image.convert("RGB"))
    detector = Detector(network_bundle)
    (box,) = detector.boxes(pixels, whole_image=False)
    crop = detector.crop(pixels, box, whole_image=False)
    seen = shrink_to(crop, network_bundle.info.preprocessing.sides[0])
    np.testing.assert_array_equal(view.traces, residual_statistics(crop, seen))


def test_every_operation_is_looked_at_once_if_asked(network_bundle, photographs):
    given = photographs["calibration"][:1]
    options = LearnOptions(copies=2, handled=True, jobs=1)
    plain = list(look(network_bundle, given, options, lambda *_: None))
    every = list(look(network_bundle, given, replace(options, every_operation=True), lambda *_: None))
    assert len(plain) == 3
    for one, other in zip(plain, every, strict=False):
        np.testing.assert_array_equal(one.feature, other.feature)
    assert len(every) == 3 + len(OPERATIONS)
    sizes = [view.face_size for view in every[3:]]
    assert sizes[list(OPERATIONS).index("enlarged")] > every[0].face_size
    assert sizes[list(OPERATIONS).index("shrunk")] < every[0].face_size
    compressed = every[3 + list(OPERATIONS).index("compressed")]
    assert compressed.jpeg_quality is None or 40 <= compressed.jpeg_quality < 90


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
                list(OPERATIONS)[operation_classifier.operation_of(detector.encoder.traces_of(handled))]
            )
    assert np.mean([name == "blurred" for name in told["blurred"]]) > 0.8
    assert np.mean(["grainy" in name for name in told["grainy"]]) > 0.5  # two of ten are chance


def test_fitting_reads_each_photograph_once(network_bundle, photographs, monkeypatch):
    read = []

    def counted(path):
        read.append(path)
        return open_picture(path)

    monkeypatch.setattr("cameraborn.fit.learn.open_picture", counted)
    given = photographs["fit"][:12]
    fit(network_bundle, given, components=1, dimensions=4, options=OPTIONS)
    assert read == [photograph.path for photograph in given]


def test_operations_cannot_be_learnt_from_nothing():
    with pytest.raises(CalibrationError, match="usable face"):
        operation_classifier_of([], OPTIONS)


@pytest.mark.parametrize(("count", "every"), [(0, 1), (5, 1), (6, 1), (7, 2), (12, 2), (13, 3)])
def test_some_of_many_are_from_all_through_the_list(count, every):
    photographs = [Photograph(str(n), "") for n in range(count)]
    assert spread_out(photographs, 6) == photographs[::every]
    assert len(spread_out(photographs, 6)) <= 6


def test_calibration_parts_operations_whatever_the_options_say(fitted, photographs):
    given, options = photographs["calibration"][:16], LearnOptions(copies=6, handled=False, jobs=1)
    done = calibrate(fitted, given, options=options, class_size=6)
    again = calibrate(fitted, given, options=replace(options, handled=True), class_size=6)
    assert done.files == again.files
    coverage = done.coverage
    low, high = coverage.noise_edges
    assert low < high
    assert coverage.operations == tuple(OPERATIONS)
    assert len({cell[2:] for cells in coverage.classes for cell in cells}) == 3 * len(OPERATIONS)
    assert len(coverage.classes) > 3
    assert done.calibration.smallest >= 6
    for number, cells in enumerate(coverage.classes):
        rows = [row for row in done.calibration_rows if coverage.grid.cell_of(row.condition) in cells]
        assert len({row.photograph for row in rows}) == len(rows) == len(done.calibration.scores[number])


def test_a_photograph_stands_as_it_is_in_its_own_class_and_once_in_others():
    looks = [
        CalibrationRow(float(n), "s", f"{7:016x}", 100, quality)
        for n, quality in enumerate((95, 80, 80, 95, None))
    ]
    classes = tuple((cell,) for cell in Grid().cells)
    drawn = [row.score for row in one_a_class(looks, classes, Grid(), LearnOptions())]
    assert len(drawn) == 3
    assert drawn[0] in (1, 2)
    assert drawn[1:] == [0, 4]
    grid, merged = parted([looks], (130,), (), 2)
    assert merged == (tuple(grid.cells),)  # one photograph cannot make two classes of two


def test_nothing_usable(network_bundle, fitted, tmp_path):
    empty = tmp_path / "empty.png"
    Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(empty)
    for act in (
        lambda: fit(
            network_bundle, [Photograph(str(empty), "")], components=1, dimensions=1, options=OPTIONS
        ),
        lambda: calibrate(fitted, [], options=OPTIONS),
    ):
        with pytest.raises(CalibrationError, match="none of the photographs shows a usable face"):
            act()


def test_the_middle_of_photographs_without_a_face_is_taken_if_asked(network_bundle, photographs, tmp_path):
    wide = np.full((90, 200, 3), 90, np.uint8)
    wide[:, 55:145] = np.random.default_rng(0).integers(0, 256, (90, 90, 3))
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide[:60]).save(tmp_path / "small.png")
    options = LearnOptions(copies=0, jobs=1, faceless=True)
    given = [Photograph(str(tmp_path / name), "") for name in ("wide.png", "small.png")]
    (view,) = look(network_bundle, given, options, lambda *_: None)
    encoder = Detector(network_bundle).encoder
    np.testing.assert_array_equal(view.feature, encoder.feature(wide[:, 55:145]))
    assert view.face_size == round(90 / 1.3)
    face = photographs["calibration"][0]
    (with_face,) = look(network_bundle, [face], options, lambda *_: None)
    (as_ever,) = look(network_bundle, [face], LearnOptions(copies=0, jobs=1), lambda *_: None)
    np.testing.assert_array_equal(with_face.feature, as_ever.feature)


def test_too_few_to_fit(network_bundle, photographs):
    with pytest.raises(CalibrationError, match="too few"):
        fit(network_bundle, photographs["fit"][:2], components=2, dimensions=4, options=OPTIONS)


@pytest.fixture
def album(tmp_path):
    """Six photographs in a folder, and a manifest of them."""
    paths = varied_copies(tmp_path / "album", 6, seed=4)
    (tmp_path / "album" / "notes.txt").write_text("no picture")
    rows = [
        Row(
            path=str(path),
            sha256=sha256_of(path),
            split="fit" if n < 4 else "test",
            kind="ab"[n % 2],
            source=f"s{n}",
        )
        for n, path in enumerate(paths)
    ]
    write_manifest(rows, tmp_path / "album.jsonl")
    return tmp_path, paths, rows


def names(photographs):
    return [int(photograph.path[-7:-4]) for photograph in photographs]


def test_photographs_are_found_in_files_folders_and_manifests(album):
    folder, paths, _ = album
    assert names(find_photographs([folder / "album"])) == [0, 1, 2, 3, 4, 5]
    assert [p.source for p in find_photographs([folder])] == [folder.name] * 6
    assert list(find_photographs([paths[2]])) == [Photograph(str(paths[2]), "album")]
    manifest = folder / "album.jsonl"
    assert [p.source for p in find_photographs([manifest])] == [f"s{n}" for n in range(6)]
    assert names(find_photographs([manifest], split="fit")) == [0, 1, 2, 3]
    assert names(find_photographs([manifest], split="fit", kinds=["b"])) == [1, 3]
    assert names(find_photographs([manifest], kinds=["a", "b"])) == [0, 1, 2, 3, 4, 5]
    assert names(find_photographs([manifest, paths[0]], split="test")) == [4, 5, 0]


def test_manipulated_photographs_are_passed_over(album):
    folder, _, rows = album
    changed = [rows[0], *(row.model_copy(update={"manipulation": "eye"}) for row in rows[1:3]), *rows[3:]]
    write_manifest(changed, folder / "manipulated.jsonl")
    assert names(find_photographs([folder / "manipulated.jsonl"], split="fit")) == [0, 3]


def test_generated_pictures_are_refused(album):
    folder, _, rows = album
    rows[5] = rows[5].model_copy(update={"label": "generated"})
    write_manifest(rows, folder / "mixed.jsonl")
    with pytest.raises(CalibrationError, match="labelled generated: a one-class model"):
        list(find_photographs([folder / "mixed.jsonl"]))
    assert names(find_photographs([folder / "mixed.jsonl"], split="fit")) == [0, 1, 2, 3]


def test_missing_paths(tmp_path):
    with pytest.raises(CalibrationError, match="no such file or folder: check the path"):
        list(find_photographs([tmp_path / "none"]))
    with pytest.raises(ManifestError, match="no such manifest"):
        list(find_photographs([tmp_path / "none.jsonl"]))


def test_no_source_gives_more_than_its_share():
    photographs = [Photograph(f"{n}.jpg", "a" if n % 3 else "b") for n in range(12)]
    chosen = [photograph.path for photograph in at_most(photographs, 2)]
    assert chosen == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


def test_a_split_or_kind_without_photographs_is_named(manifest_of_two_splits):
    with pytest.raises(CalibrationError, match="no photograph of split 'trian': check the path, --split"):
        list(find_photographs([manifest_of_two_splits], split="trian"))
    with pytest.raises(CalibrationError, match="no photograph of kind crop"):
        list(find_photographs([manifest_of_two_splits], kinds=["crop"]))


def test_copies_of_a_file_are_counted_once(fitted, photographs, tmp_path):
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(Path(photographs["calibration"][0].path).read_bytes())
    alone = calibrate(fitted, photographs["calibration"], options=OPTIONS)
    again = calibrate(fitted, [*photographs["calibration"], Photograph(str(copy), "")], options=OPTIONS)
    assert len(again.calibration_rows) == len(alone.calibration_rows)


@pytest.fixture
def manifest_of_two_splits(tmp_path):
    file = tmp_path / "one.png"
    Image.new("RGB", (64, 64)).save(file)
    rows = [
        Row(path=str(file), sha256=sha256_of(file), split=split, kind="face") for split in ("train", "val")
    ]
    write_manifest(rows, tmp_path / "m.jsonl")
    return tmp_path / "m.jsonl"
