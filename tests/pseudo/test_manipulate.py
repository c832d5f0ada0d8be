"""Manipulations against slow, literal ones; what they leave alone; what they refuse."""

import numpy as np
import pytest
from PIL import Image

from cameraborn.errors import CamerabornError
from cameraborn.photo.crops import square_window
from cameraborn.photo.decode import open_picture
from cameraborn.photo.faces import FaceFinder, landmarks_68
from cameraborn.pseudo.manipulate import (
    KINDS,
    PAPER_KINDS,
    ManipulationOptions,
    draw_kind,
    enlarged,
    manipulate,
    regions,
    round_trip,
)
from cameraborn.pseudo.names import MANIPULATIONS, REGIONS

from ..conftest import EXAMPLES

LOCAL = [kind for kind in KINDS if kind != "affine"]
OWN_SIZE = ManipulationOptions(side=None)


@pytest.fixture(scope="module")
def face():
    """A face of 224 pixels and its landmarks."""
    pixels = open_picture(EXAMPLES / "photo-1.jpg").pixels
    finder = FaceFinder()
    found = finder.find(pixels)[0]
    x0, y0, x1, y1 = square_window(pixels.shape[1], pixels.shape[0], found.box, 1.7)
    crop = Image.fromarray(pixels[y0:y1, x0:x1]).resize((224, 224))
    points = landmarks_68(finder.landmarks(pixels, found)) - (x0, y0)
    return np.asarray(crop), points * 224 / (x1 - x0)


def shrunk(face, side):
    pixels, landmarks = face
    return np.asarray(Image.fromarray(pixels).resize((side, side))), landmarks * side / 224


def literal(pixels, region, turn, ratio):
    """Pixel by pixel: the pixel that lies opposite in the patch, as far as the mask lets it through."""
    out = pixels.astype(float)
    left, top, right, bottom = region.patch
    for y in range(top, bottom):
        for x in range(left, right):
            source = {
                "left-right": (y, right - 1 - (x - left)),
                "half-turn": (bottom - 1 - (y - top), right - 1 - (x - left)),
                "up-down": (bottom - 1 - (y - top), x),
            }[turn]
            weight = ratio * region.mask[y, x]
            out[y, x] = weight * pixels[source] + (1 - weight) * pixels[y, x]
    return out


TURNS = [
    ("eye", "both-axes", "left-right"),
    ("mouth", "both-axes", "left-right"),
    ("mouth-vertical", "both-axes", "half-turn"),
    ("mouth-vertical", "vertical", "up-down"),
    ("nose", "both-axes", "half-turn"),
    ("nose", "vertical", "up-down"),
]


@pytest.mark.parametrize(("kind", "upside_down", "turn"), TURNS)
@pytest.mark.parametrize(("seed", "ratio"), [(0, 1), (11, 0.75)])
def test_a_flip_is_the_literal_one(face, kind, upside_down, turn, seed, ratio):
    pixels, landmarks = face
    options = ManipulationOptions(upside_down=upside_down)
    assert (0.75, 1, 1, 1)[np.random.default_rng(seed).integers(4)] == ratio
    made = manipulate(pixels, landmarks, kind, np.random.default_rng(seed), options)
    (region,) = regions(landmarks, kind, 224, 224, options)
    assert np.abs(made - literal(pixels, region, turn, ratio)).max() <= 0.51  # rounding


@pytest.mark.parametrize("kind", LOCAL)
def test_where_the_mask_is_1_the_flip_is_exact_and_outside_the_patch_nothing_changes(face, kind):
    pixels, landmarks = face
    seed = next(s for s in range(20) if np.random.default_rng(s).integers(4) > 0)  # a blend ratio of 1
    made = manipulate(pixels, landmarks, kind, np.random.default_rng(seed))
    (region,) = regions(landmarks, kind, 224, 224)
    left, top, right, bottom = region.patch
    flipped = pixels.copy()
    patch = pixels[top:bottom, left:right]
    flipped[top:bottom, left:right] = patch[:, ::-1] if kind in ("eye", "mouth") else patch[::-1, ::-1]
    full = region.mask == 1
    assert full.any()
    assert (made[full] == flipped[full]).all()
    outside = np.ones((224, 224), bool)
    outside[top:bottom, left:right] = False
    assert (made[outside] == pixels[outside]).all()
    assert (made != pixels).any()


def test_the_eye_is_the_right_one_in_the_picture_and_both_if_asked(face):
    pixels, landmarks = face
    right = manipulate(pixels, landmarks, "eye", np.random.default_rng(0))
    both = manipulate(pixels, landmarks, "eye", np.random.default_rng(0), ManipulationOptions(eyes="both"))
    left, right_eye = (slice(*(int(x) for x in landmarks[corners, 0])) for corners in ([36, 39], [42, 45]))
    assert (right != pixels)[:, right_eye].any()
    assert (right == pixels)[:, left].all()
    assert (both != pixels)[:, left].any()
    assert (both == right)[:, right_eye].all()


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_the_same_seed_gives_the_same_picture_and_the_input_is_left_alone(face, kind):
    pixels, landmarks = (array.copy() for array in shrunk(face, 100))
    first, second = (manipulate(pixels, landmarks, kind, np.random.default_rng(5)) for _ in range(2))
    assert (first == second).all()
    assert (pixels == shrunk(face, 100)[0]).all()
    assert not np.shares_memory(first, pixels)
    if kind == "affine":
        assert (first != manipulate(pixels, landmarks, kind, np.random.default_rng(6))).any()


@pytest.mark.parametrize("kind", ["", *KINDS])
@pytest.mark.parametrize("shape", [(100, 100), (260, 260), (120, 96)])
def test_any_size_comes_back_as_it_was(face, kind, shape):
    pixels, landmarks = face
    height, width = shape
    resized = np.asarray(Image.fromarray(pixels).resize((width, height)))
    made = manipulate(resized, landmarks * (width / 224, height / 224), kind, np.random.default_rng(0))
    assert made.shape == (height, width, 3)
    assert made.dtype == np.uint8


def test_a_small_face_is_enlarged_manipulated_and_shrunk(face):
    pixels, landmarks = shrunk(face, 128)
    made = manipulate(pixels, landmarks, "mouth", np.random.default_rng(0))
    large = enlarged(pixels, 224)
    assert large.shape == (224, 224, 3)
    worked = manipulate(large, landmarks * 224 / 128, "mouth", np.random.default_rng(0))
    assert (made == np.asarray(Image.fromarray(worked).resize((128, 128), Image.Resampling.BILINEAR))).all()


def test_originals_take_the_same_way_if_they_are_to(face):
    pixels, landmarks = shrunk(face, 128)
    rng = np.random.default_rng(0)
    matched = ManipulationOptions(match_resampling=True)
    assert (manipulate(pixels, None, "", rng) == pixels).all()
    original = manipulate(pixels, None, "", rng, matched)
    assert (original == round_trip(pixels)).all()
    assert (original != pixels).any()
    made = manipulate(pixels, landmarks, "eye", rng, matched)
    far = slice(100, 128)  # the chin, where an eye's patch does not reach
    assert (made[far] == original[far]).all()
    assert (made[far] != pixels[far]).any()


def test_nothing_is_resampled_at_the_own_size_or_from_224_pixels(face):
    pixels, landmarks = shrunk(face, 128)
    made = manipulate(pixels, landmarks, "eye", np.random.default_rng(0), OWN_SIZE)
    assert (made[100:] == pixels[100:]).all()
    assert (made != pixels).any()
    large = face[0]
    assert (round_trip(large) == large).all()
    assert (round_trip(pixels, None) == pixels).all()


@pytest.mark.parametrize("kind", LOCAL)
@pytest.mark.parametrize(
    "failed", [None, np.full((68, 2), 60.0), np.full((68, 2), np.nan), np.zeros((68, 2)) - 9]
)
def test_without_landmarks_nothing_is_called_manipulated(face, kind, failed):
    assert manipulate(face[0], failed, kind, np.random.default_rng(0)) is None
    for harmless in ("", "affine"):
        assert manipulate(face[0], failed, harmless, np.random.default_rng(0)) is not None


def test_both_eyes_need_both_eyes(face):
    pixels, landmarks = face
    one_eyed = landmarks.copy()
    one_eyed[36] = one_eyed[39]
    rng = np.random.default_rng(0)
    assert manipulate(pixels, one_eyed, "eye", rng) is not None
    assert manipulate(pixels, one_eyed, "eye", rng, ManipulationOptions(eyes="both")) is None


def test_half_are_originals_and_the_rest_is_shared_equally():
    rng = np.random.default_rng(0)
    drawn = [draw_kind(rng) for _ in range(4000)]
    assert drawn.count("") == pytest.approx(2000, abs=130)  # four standard deviations
    for kind in PAPER_KINDS:
        assert drawn.count(kind) == pytest.approx(500, abs=85)
    assert set(drawn) == {"", *PAPER_KINDS}
    assert PAPER_KINDS == ("mouth-vertical", "mouth", "eye", "affine")
    assert {draw_kind(rng, ("nose",)) for _ in range(50)} == {"", "nose"}


WRONG = [
    (np.zeros((50, 50), np.uint8), "eye", "uint8"),
    (np.zeros((50, 50, 3)), "eye", "uint8"),
    (np.zeros((0, 50, 3), np.uint8), "", "uint8"),
    (np.zeros((50, 50, 3), np.uint8), "ear", "'ear' is not a manipulation: choose from mouth-vertical"),
]


@pytest.mark.parametrize(("pixels", "kind", "says"), WRONG)
def test_wrong_arguments_are_refused(pixels, kind, says):
    with pytest.raises(ValueError, match=says):
        manipulate(pixels, np.zeros((68, 2)), kind, np.random.default_rng(0))


def test_wrong_landmarks_are_refused(face):
    with pytest.raises(ValueError, match="68 points"):
        manipulate(face[0], np.zeros((478, 2)), "eye", np.random.default_rng(0))


def test_every_manipulation_is_registered_once_under_its_number():
    """The numbers are those of the files in the released data."""
    assert tuple(MANIPULATIONS) == KINDS
    assert all(set(entry.regions) <= set(REGIONS) and entry.regions for entry in MANIPULATIONS.values())
    with pytest.raises(CamerabornError, match="no manipulation is called 'mouht': did you mean 'mouth'"):
        MANIPULATIONS["mouht"]
