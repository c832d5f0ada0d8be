"""Views of photographs: the face as it is and its copies, whatever the company and the number of jobs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.degrade.random import OPERATIONS
from cameraborn.degrade.residual_statistics import noise_of, residual_statistics
from cameraborn.detect.detector import Detector
from cameraborn.engine.local import map_in_order
from cameraborn.errors import CopyOfAnother
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.views import ViewOptions, ViewStage, take_views
from cameraborn.photo.patches import shrink_to

from ..conftest import viewed

OPTIONS = ViewOptions(copies=1, jobs=1)


def test_a_photographs_views_do_not_depend_on_its_company(network_bundle, photographs):
    given = photographs["calibration"][:4]
    together = [view.feature for view in viewed(network_bundle, given, OPTIONS)]
    alone = [view.feature for view in viewed(network_bundle, given[3:], OPTIONS)]
    assert len(together) == 8
    np.testing.assert_array_equal(together[6:], alone)


def test_a_photograph_that_was_stored_anew_counts_once(network_bundle, photographs, tmp_path):
    path = tmp_path / "anew.jpg"
    first, second = photographs["calibration"][:2]
    path.write_bytes(Path(first.path).read_bytes() + b"x")
    anew, told = replace(first, path=str(path)), {}
    taken = take_views(network_bundle, [first, anew, second], OPTIONS, told.__setitem__)
    assert [views[0].photograph for views in taken] == [first, second]
    assert told[str(path)] == f"{path}: shows what {first.path} shows, and counts once"


def test_identical_files_count_once(network_bundle, photographs, tmp_path):
    path = tmp_path / "copy.jpg"
    first, second = photographs["calibration"][:2]
    path.write_bytes(Path(first.path).read_bytes())
    copy, told = replace(first, path=str(path)), {}
    taken = take_views(network_bundle, [first, copy, second], OPTIONS, told.__setitem__)
    assert [views[0].photograph for views in taken] == [first, second]
    assert told[str(path)] == f"{path}: is the same file as {first.path}, and counts once"
    assert isinstance(told[str(path)], CopyOfAnother)


def test_a_photograph_that_was_saved_again_with_loss_or_resized_counts_once(
    network_bundle, photographs, tmp_path
):
    first, second = photographs["calibration"][:2]
    anew, told = [], {}
    with Image.open(first.path) as opened:
        for name, size, quality in (("lossy", 1.0, 40), ("small", 0.7, 90)):
            anew.append(replace(first, path=str(tmp_path / f"{name}.jpg")))
            image = opened.resize((round(opened.width * size), round(opened.height * size)))
            image.save(anew[-1].path, quality=quality)
    taken = take_views(network_bundle, [first, *anew, second], OPTIONS, told.__setitem__)
    assert [views[0].photograph for views in taken] == [first, second]
    for one in anew:
        assert told[one.path] == (
            f"{one.path}: shows what {first.path} shows, saved again or resized, and counts once"
        )


@pytest.mark.parametrize("copies", [0, 2])
def test_views_are_the_face_as_it_is_and_its_conditions(network_bundle, photographs, copies):
    options = ViewOptions(copies=copies, jobs=1)
    seen = viewed(network_bundle, photographs["calibration"][:1], options)
    assert len(seen) == 1 + copies
    path = photographs["calibration"][0].path
    detector = Detector(network_bundle)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    (box,) = detector.boxes(pixels, whole_image=False)
    expected = detector.observer.feature(detector.crop(pixels, box, whole_image=False))
    np.testing.assert_array_equal(seen[0].feature, expected)
    assert seen[0].condition.jpeg_quality == 70


def test_copies_after_operations_have_been_through_more(network_bundle, photographs):
    given = photographs["calibration"][:1]
    seen = {}
    for operations in (False, True):
        options = ViewOptions(copies=40, operations=operations, jobs=1)
        as_it_is, *seen[operations] = viewed(network_bundle, given, options)
    assert not any(view.condition.size > as_it_is.condition.size for view in seen[False])
    assert any(view.condition.size > as_it_is.condition.size for view in seen[True])
    spread = {
        operations: np.std([noise_of(view.statistics) for view in views])
        for operations, views in seen.items()
    }
    assert spread[True] > 1.2 * spread[False]


def test_views_have_the_residual_statistics_of_their_crop(network_bundle, photographs):
    options = ViewOptions(copies=0, jobs=1)
    (view,) = viewed(network_bundle, photographs["calibration"][:1], options)
    with Image.open(photographs["calibration"][0].path) as image:
        pixels = np.asarray(image.convert("RGB"))
    detector = Detector(network_bundle)
    (box,) = detector.boxes(pixels, whole_image=False)
    crop = detector.crop(pixels, box, whole_image=False)
    seen = shrink_to(crop, network_bundle.info.preprocessing.sides[0])
    np.testing.assert_array_equal(view.statistics, residual_statistics(crop, seen))


def test_every_operation_gives_one_view_if_asked(network_bundle, photographs):
    given = photographs["calibration"][:1]
    options = ViewOptions(copies=2, operations=True, jobs=1)
    plain = viewed(network_bundle, given, options)
    every = viewed(network_bundle, given, replace(options, every_operation=True))
    assert len(plain) == 3
    for one, other in zip(plain, every, strict=False):
        np.testing.assert_array_equal(one.feature, other.feature)
    assert len(every) == 3 + len(OPERATIONS)
    sizes = [view.condition.size for view in every[3:]]
    assert sizes[list(OPERATIONS).index("enlarged")] > every[0].condition.size
    assert sizes[list(OPERATIONS).index("shrunk")] < every[0].condition.size
    compressed = every[3 + list(OPERATIONS).index("compressed")]
    assert compressed.condition.jpeg_quality is None or 40 <= compressed.condition.jpeg_quality < 90


def test_the_middle_of_photographs_without_a_face_is_taken_if_asked(network_bundle, photographs, tmp_path):
    wide = np.full((90, 200, 3), 90, np.uint8)
    wide[:, 55:145] = np.random.default_rng(0).integers(0, 256, (90, 90, 3))
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide[:60]).save(tmp_path / "small.png")
    options = ViewOptions(copies=0, jobs=1, faceless=True)
    given = [Photograph(str(tmp_path / name), "") for name in ("wide.png", "small.png")]
    (view,) = viewed(network_bundle, given, options)
    observer = Detector(network_bundle).observer
    np.testing.assert_array_equal(view.feature, observer.feature(wide[:, 55:145]))
    assert view.condition.size == round(90 / 1.3)
    face = photographs["calibration"][0]
    (with_face,) = viewed(network_bundle, [face], options)
    (as_ever,) = viewed(network_bundle, [face], ViewOptions(copies=0, jobs=1))
    np.testing.assert_array_equal(with_face.feature, as_ever.feature)


def test_the_stage_travels_to_another_process(network_bundle, photographs):
    stage = ViewStage(network_bundle, OPTIONS, frozenset(photographs["calibration"][:1]))
    given = photographs["calibration"][:3]
    here, there = (list(map_in_order(stage, given, 2, processes=processes)) for processes in (False, True))
    for one, other in zip(here, there, strict=True):
        assert (one.path, one.problem, len(one.examples)) == (other.path, other.problem, len(other.examples))
        for view, travelled in zip(one.views, other.views, strict=True):
            np.testing.assert_array_equal(view.feature, travelled.feature)
            assert view.condition == travelled.condition
    assert [bool(one.examples) for one in there] == [True, False, False]
