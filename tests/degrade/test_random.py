"""Random processing: what has a name does what it says, the rest is of every kind, and nothing exceeds its bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.degrade.edits import EDITS
from cameraborn.degrade.named import degrade
from cameraborn.degrade.random import (
    CHANCES,
    INTERPOLATING,
    LOWEST_QUALITY,
    OPERATIONS,
    Operation,
    apply_operation,
    draw_encoding,
    random_edits,
    random_operations,
    random_recompression,
    shrink_randomly,
)

from ..conftest import EXAMPLES


@pytest.fixture(scope="module")
def face():
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        return np.asarray(image.convert("RGB"))[:240, :260]


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def fine_detail(pixels):
    return np.abs(np.diff(pixels[..., 1].astype(float), axis=0)).mean()


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_same_seed_does_the_same_and_another_something_else(face, name):
    (first, quality), (again, same_quality), (other, _) = (
        apply_operation(name, face, np.random.default_rng(seed), smallest_side=96) for seed in (1, 1, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert quality == same_quality
    assert first.dtype == np.uint8
    assert name == "as it came" or not np.array_equal(first, other)


def test_they_do_what_their_names_say(face):
    shapes, detail = {}, {}
    for name in OPERATIONS:
        copies = [
            apply_operation(name, face, np.random.default_rng(s), smallest_side=96)[0] for s in range(12)
        ]
        shapes[name] = [copy.shape[0] / face.shape[0] for copy in copies]
        detail[name] = np.mean([fine_detail(copy) for copy in copies])
    for name, factors in shapes.items():
        if "shrunk" in name:
            assert 0.4 <= min(factors) < max(factors) <= 0.86
        elif name == "compressed":
            assert 0.36 <= min(factors) < max(factors) == 1.0
        elif name == "enlarged":
            assert 1.29 <= min(factors) < max(factors) <= 2.41
        else:
            assert set(factors) == {1.0}
    in_order = ("blurred", "slightly blurred", "as it came", "slightly grainy", "grainy")
    assert [detail[name] for name in in_order] == sorted(detail[name] for name in in_order)
    assert detail["sharpened"] > detail["as it came"]
    assert detail["coarsely shrunk"] > detail["shrunk"]


def test_as_it_came_is_at_most_mildly_recompressed(face):
    copies = [
        apply_operation("as it came", face, np.random.default_rng(s), smallest_side=96) for s in range(40)
    ]
    untouched = sum(np.array_equal(copy, face) for copy, _ in copies)
    assert 10 <= untouched <= 30
    assert max(np.abs(copy.astype(int) - face).mean() for copy, _ in copies) < 4
    for copy, quality in copies:
        if quality is not None:
            assert quality >= 75
            assert np.array_equal(copy, degrade(face, f"jpeg:{quality}"))


def test_compressed_is_more_than_mildly(face):
    copies = [
        apply_operation("compressed", face, np.random.default_rng(s), smallest_side=96) for s in range(60)
    ]
    once = [(copy, quality) for copy, quality in copies if copy.shape == face.shape]
    twice = [(copy, quality) for copy, quality in copies if copy.shape != face.shape]
    assert 18 <= len(twice) <= 42
    assert all(65 <= quality < 90 for _, quality in twice)
    jpeg = [quality for _, quality in once if quality is not None]
    assert 10 <= len(jpeg) < len(once)
    assert 40 <= min(jpeg) < max(jpeg) < 75


@pytest.mark.parametrize("name", ["shrunk", "coarsely shrunk", "compressed"])
def test_nothing_is_shrunk_under_the_smallest_side(face, name):
    for seed in range(30):
        copy, _ = apply_operation(name, face, np.random.default_rng(seed), smallest_side=185)
        assert min(copy.shape[:2]) >= 185
    at_its_smallest = apply_operation(name, face, np.random.default_rng(0), smallest_side=220)
    assert at_its_smallest is None if "shrunk" in name else at_its_smallest[0].shape == face.shape


def test_what_is_very_large_is_not_enlarged():
    large = np.zeros((4000, 4000, 3), np.uint8)
    assert apply_operation("enlarged", large, np.random.default_rng(0), smallest_side=96) is None


def test_conditions_are_seeded():
    pixels = noise(120, 100)
    one, two, other = (
        random_recompression(pixels, np.random.default_rng(seed), smallest_side=50) for seed in (3, 3, 4)
    )
    assert one[1] == two[1]
    np.testing.assert_array_equal(one[0], two[0])
    assert other[0].shape != one[0].shape or not np.array_equal(other[0], one[0])


@settings(max_examples=100, deadline=None)
@given(
    width=st.integers(20, 160),
    height=st.integers(20, 160),
    smallest=st.integers(16, 170),
    seed=st.integers(0, 9999),
)
def test_conditions_stay_within_bounds(width, height, smallest, seed):
    pixels = noise(width, height)
    before = pixels.copy()
    out, quality = random_recompression(pixels, np.random.default_rng(seed), smallest_side=smallest)
    assert min(out.shape[:2]) >= min(smallest, width, height)
    assert out.shape[0] <= height
    assert out.shape[1] <= width
    assert out.dtype == np.uint8
    assert quality is None or LOWEST_QUALITY <= quality < 100
    np.testing.assert_array_equal(pixels, before)


def test_conditions_are_of_every_kind():
    pixels = noise(100, 100)
    kinds = set()
    for seed in range(60):
        out, quality = random_recompression(pixels, np.random.default_rng(seed), smallest_side=40)
        same = out.shape == pixels.shape and np.array_equal(out, pixels)
        kinds.add((out.shape != pixels.shape, quality is not None, same))
    assert {(False, False, True), (True, True, False), (False, True, False), (True, False, False)} <= kinds


def test_operation_is_seeded_and_leaves_its_input_alone():
    pixels = noise(120, 100)
    before = pixels.copy()
    results = {}
    for seed in (*range(20), *range(20)):
        out, quality = random_operations(pixels, np.random.default_rng(seed), smallest_side=50)
        known, of_known = results.setdefault(seed, (out, quality))
        np.testing.assert_array_equal(out, known)
        assert quality == of_known
        assert out.dtype == np.uint8
        assert min(out.shape[:2]) >= 50
        assert max(out.shape[:2]) <= 2.4 * 120 + 1
        assert quality is None or LOWEST_QUALITY <= quality < 100
    np.testing.assert_array_equal(pixels, before)


def test_operation_is_of_every_kind():
    """A smooth picture: noise and sharpening raise its detail, blur and enlarging lower it."""
    y, x = np.mgrid[:120, :120]
    waves = np.rint(128 + 60 * np.sin(x / 3) * np.sin(y / 3)).astype(np.uint8)[..., None].repeat(3, 2)

    def detail(pixels):
        return np.abs(np.diff(pixels[..., 1].astype(int), 2, axis=1)).mean()

    sizes, details, qualities = [], [], []
    for seed in range(200):
        out, quality = random_operations(waves, np.random.default_rng(seed), smallest_side=60)
        sizes.append(len(out) / 120)
        qualities.append(quality)
        if len(out) == 120 and quality is None:
            details.append(detail(out) / detail(waves))
    assert 0.1 < np.mean(np.array(sizes) > 1) < 0.35
    assert 0.15 < np.mean(np.array(sizes) < 1) < 0.45
    assert min(sizes) < 0.6 < 2 < max(sizes)
    assert 0.25 < np.mean([quality is not None for quality in qualities]) < 0.55
    assert min(details) < 0.9
    assert max(details) > 1.3
    assert any(value == 1 for value in details)


def test_large_pictures_are_not_enlarged(monkeypatch):
    monkeypatch.setattr("cameraborn.degrade.random.LARGEST_ENLARGED", 120 * 100)  # as if these were large
    for seed in range(40):
        out, _ = random_operations(noise(120, 100), np.random.default_rng(seed), smallest_side=120)
        assert out.shape == (100, 120, 3)


@pytest.mark.parametrize("least", [0.3, 0.9])
def test_shrinking_at_random_is_log_uniform_and_by_one_of_the_filters(least):
    pixels, sides, used = noise(200, 120), [], set()
    for seed in range(200):
        out = shrink_randomly(pixels, np.random.default_rng(seed), least, INTERPOLATING)
        sides.append(out.shape[1] / 200)
        size = (out.shape[1], out.shape[0])
        literal = [np.asarray(Image.fromarray(pixels).resize(size, filter)) for filter in INTERPOLATING]
        used |= {place for place, made in enumerate(literal) if np.array_equal(out, made)}
    assert least <= min(sides) < max(sides) <= 1
    assert np.median(sides) == pytest.approx(least**0.5, abs=0.06)
    assert used == {0, 1, 2}


def test_encodings_are_drawn_with_their_probabilities_and_qualities():
    drawn = [
        draw_encoding(
            np.random.default_rng(seed), jpeg=0.5, jpeg_quality=(60, 62), webp=0.3, webp_quality=(40, 40)
        )
        for seed in range(1000)
    ]
    jpeg = [encoding[1] for encoding in drawn if encoding and encoding[0] == "JPEG"]
    webp = [encoding[1] for encoding in drawn if encoding and encoding[0] == "WEBP"]
    assert len(jpeg) == pytest.approx(500, abs=60)
    assert len(webp) == pytest.approx(300, abs=60)
    assert set(jpeg) == {60, 61, 62}
    assert set(webp) == {40}
    assert draw_encoding(np.random.default_rng(0), jpeg=0.0, jpeg_quality=(1, 100)) is None


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_each_edit_happens_as_often_as_the_table_says(strength):
    happened = {operation.kind: 0 for _, operation in CHANCES}

    class Counted:
        def __init__(self, kind):
            self.kind = kind

        def apply(self, pixels, rng):
            happened[self.kind] += 1
            return pixels, None

    table = tuple((chance, Counted(operation.kind)) for chance, operation in CHANCES)
    rng, draws = np.random.default_rng(0), 4000
    for _ in range(draws):
        random_edits(noise(8, 8), rng, strength, table)
    for chance, operation in CHANCES:
        expected = chance * strength
        spread = (expected * (1 - expected) / draws) ** 0.5
        assert happened[operation.kind] / draws == pytest.approx(expected, abs=4 * spread), operation.kind


def test_edits_come_in_any_order():
    class Appended:
        """Appends a row of its own brightness."""

        def __init__(self, level):
            self.level = level

        def apply(self, pixels, rng):
            return np.concatenate([pixels, np.full_like(pixels[:1], self.level)]), None

    table = tuple((1.0, Appended(level)) for level in (1, 2, 3))
    orders = set()
    for seed in range(40):
        x = random_edits(np.zeros((1, 4, 3), np.uint8), np.random.default_rng(seed), 1.0, table)
        orders.add(tuple(x[1:, 0, 0].tolist()))
    assert len(orders) == 6


@pytest.mark.parametrize("kind", EDITS)
def test_an_operation_may_be_any_edit(kind):
    pixels = noise(40, 30)
    done, quality = Operation(kind).apply(pixels, np.random.default_rng(2))
    np.testing.assert_array_equal(done, EDITS[kind](pixels, np.random.default_rng(2)))
    assert quality is None
