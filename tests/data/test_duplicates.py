"""Copies of a picture are found whatever it has been through, and other pictures are not taken for copies."""

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.duplicates import Fingerprint, FirstShown, fingerprint, near_duplicates
from cameraborn.degrade.named import STANDARD, degrade

from ..conftest import EXAMPLES


@pytest.fixture(scope="module")
def portraits():
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(EXAMPLES.glob("*.jpg"))]


def test_different_portraits_are_no_copies(portraits):
    assert near_duplicates([fingerprint(pixels) for pixels in portraits]) == []


@pytest.mark.parametrize("name", [name for name in STANDARD if not name.startswith("crop")])
def test_a_degraded_copy_is_found(portraits, name):
    count = len(portraits)
    pictures = [*portraits, *(degrade(pixels, name) for pixels in portraits)]
    found = near_duplicates([fingerprint(pixels) for pixels in pictures])
    assert found == [[index, index + count] for index in range(count)]


def test_copies_of_copies_are_one_set(portraits):
    pictures = [portraits[0], portraits[1], *(degrade(portraits[0], f"jpeg:{q}") for q in (90, 60, 30))]
    assert near_duplicates([fingerprint(pixels) for pixels in pictures]) == [[0, 2, 3, 4]]


AGAIN = ["jpeg:30", "jpeg:75", "webp:50", "resize:0.5", "resize:0.25+jpeg:60"]


@pytest.mark.parametrize("name", AGAIN)
def test_the_first_that_shows_the_same_is_told_one_after_another(portraits, name):
    first = FirstShown()
    assert [first.same_as(fingerprint(pixels)) for pixels in portraits] == [None] * len(portraits)
    again = [first.same_as(fingerprint(degrade(pixels, name))) for pixels in portraits]
    assert again == list(range(len(portraits)))


@pytest.mark.parametrize("name", ["jpeg:75", "jpeg:90", "resize:0.5"])
@pytest.mark.parametrize("brightness", [0.3, 0.1])
def test_a_dark_photograph_is_known_again_and_taken_for_no_other(portraits, name, brightness):
    dark = [(pixels * brightness).astype(np.uint8) for pixels in portraits]
    first = FirstShown()
    assert [first.same_as(fingerprint(pixels)) for pixels in dark] == [None] * len(dark)
    again = [first.same_as(fingerprint(degrade(pixels, name))) for pixels in dark]
    assert again == list(range(len(dark)))


def test_a_crop_is_not_the_same(portraits):
    first = FirstShown()
    for pixels in portraits:
        assert first.same_as(fingerprint(pixels)) is None
        assert first.same_as(fingerprint(pixels[8:-8, 8:-8])) is None


def test_the_first_is_found_among_more_than_there_was_room_for(portraits):
    rng = np.random.default_rng(0)
    first, noise = FirstShown(), rng.integers(0, 256, (300, 9, 9, 3), dtype=np.uint8)
    pictures = [np.asarray(Image.fromarray(one).resize((90, 90))) for one in noise]
    assert {first.same_as(fingerprint(pixels)) for pixels in pictures} == {None}
    assert [first.same_as(fingerprint(pixels)) for pixels in pictures] == list(range(300))


def test_blank_pictures_are_no_copies_of_each_other():
    blank = [np.full((50, 60, 3), value, np.uint8) for value in (0, 128, 128, 255)]
    assert near_duplicates([fingerprint(pixels) for pixels in blank]) == []
    first = FirstShown()
    assert [first.same_as(fingerprint(pixels)) for pixels in blank] == [None] * 4


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures(portraits, count):
    assert near_duplicates([fingerprint(portraits[0])] * count) == ([[0, 1]] if count == 2 else [])


def test_copies_are_found_among_many():
    """Hashes of 5,000 pictures, 500 of them again with up to 8 bits changed: what all pairs would find."""
    rng = np.random.default_rng(0)
    N, M = 5_000, 500
    bits = rng.random((N, 128)) < rng.uniform(0.1, 0.9, 128)  # skewed, as of portraits in one pose
    copies = bits[:M].copy()
    for copy in copies:
        copy[rng.choice(128, rng.integers(9), replace=False)] ^= True
    hashes = np.packbits(np.concatenate([bits, copies]), axis=1)
    thumbnails = rng.integers(0, 256, (N, 324), np.uint8)
    thumbnails = np.concatenate([thumbnails, thumbnails[:M]])
    found = near_duplicates(
        [Fingerprint(h.tobytes(), t.tobytes()) for h, t in zip(hashes, thumbnails, strict=True)]
    )
    wanted = [[index, N + index] for index in range(M)]
    assert sum(pair in found for pair in wanted) >= 0.99 * M
    assert all(pair in wanted for pair in found)
