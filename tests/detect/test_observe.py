"""Observations: what is measured of each face, once; and features that a store already knows."""

import io

import numpy as np
import pytest
from PIL import Image

from cameraborn.degrade.residual_statistics import noise_of, residual_statistics
from cameraborn.detect.detector import Detector
from cameraborn.detect.observe import Observer, has_colour, longer_side
from cameraborn.detect.store import read_bundle
from cameraborn.photo.decode import open_picture
from cameraborn.photo.patches import shrink_to

from ..conftest import EXAMPLES, encoded

PHOTO = EXAMPLES / "photo-1.jpg"


class Store:
    """Features in a dictionary."""

    def __init__(self):
        self.known, self.asked = {}, []

    def find(self, crop):
        self.asked.append(crop)
        return self.known.get(crop)

    def keep(self, crop, feature):
        self.known[crop] = feature


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return read_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def picture():
    return open_picture(PHOTO)


def test_a_face_is_measured(bundle, picture):
    observer = Observer(bundle)
    (seen,) = observer.observe(picture)
    crop = observer.crop(picture.pixels, seen.box, whole_image=False)
    np.testing.assert_array_equal(seen.crop, crop)
    assert (seen.face, seen.scope) == (0, "ok")
    np.testing.assert_array_equal(seen.measured.feature, observer.feature(crop))
    statistics = residual_statistics(crop, shrink_to(crop, bundle.info.preprocessing.sides[0]))
    np.testing.assert_array_equal(seen.measured.statistics, statistics)
    condition = seen.measured.condition
    assert (condition.size, condition.jpeg_quality) == (longer_side(seen.box), picture.jpeg_quality)
    assert condition.noise == noise_of(statistics)
    assert condition.operation == bundle.operation_classifier.operation_of(statistics)
    assert seen.measured.colour
    assert not seen.measured.remembered


def test_a_small_face_has_a_box_and_no_measurement(bundle, picture):
    small = open_picture(np.asarray(Image.fromarray(picture.pixels).resize((72, 72))))
    (seen,) = Observer(bundle).observe(small)
    assert (seen.scope, seen.measured) == ("too-small", None)


def test_a_whole_picture_and_as_many_faces_as_are_asked_for(bundle, picture):
    observer = Observer(bundle)
    (whole,) = observer.observe(picture, whole_image=True)
    assert (whole.face, whole.box) == (None, (0, 0, 320, 320))
    assert observer.observe(picture, most=0) == []
    assert observer.observe(open_picture(np.full((200, 200, 3), 90, np.uint8))) == []


def test_a_store_remembers_features_by_the_pixels_that_the_network_sees(bundle, picture):
    store = Store()
    detector = Detector(bundle, features=store)
    (first,), (second,) = detector.observe(picture), detector.observe(picture)
    assert (first.measured.remembered, second.measured.remembered) == (False, True)
    assert list(store.known) == [first.measured.digest] == [second.measured.digest]
    np.testing.assert_array_equal(first.measured.feature, second.measured.feature)
    (other,) = detector.observe(open_picture(EXAMPLES / "photo-2.jpg"))
    assert not other.measured.remembered
    assert len(store.known) == 2
    (plain,) = Detector(bundle).score(PHOTO, false_alarm_rate=0.5)
    (remembered,) = detector.score(PHOTO, false_alarm_rate=0.5)
    assert plain == remembered
    assert len(store.asked) == 4


def test_has_colour(picture):
    grey = np.asarray(Image.fromarray(picture.pixels).convert("L").convert("RGB"))
    assert has_colour(picture.pixels)
    assert not has_colour(grey)
    compressed = np.asarray(Image.open(io.BytesIO(encoded(grey, quality=70))))
    assert not has_colour(compressed)
    sepia = (grey * np.array([1.0, 0.9, 0.7])).astype(np.uint8)
    assert has_colour(sepia)
