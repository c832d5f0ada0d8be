"""Batches depend on the step alone; patches are what the picture holds; caches keep their budget."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from cameraborn.data.manifest import Row
from cameraborn.degrade.named import recompressed
from cameraborn.train.pictures import EpochSampler, MemoryBudget, random_patches, whole_pictures
from cameraborn.train.recipe import AugmentSection

PLAIN = AugmentSection(scale_probability=0, jpeg_probability=0)


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(2, 40), batch=st.integers(2, 8), first=st.integers(0, 30), seed=st.integers(0, 2**40)
)
def test_epochs_have_no_repeats_and_resume_at_any_step(length, batch, first, seed):
    batch = min(batch, length)
    per_epoch = length // batch
    steps = first + 2 * per_epoch
    whole = list(EpochSampler(length, batch, batches=steps, first=0, seed=seed))
    rest = EpochSampler(length, batch, batches=steps, first=first, seed=seed)
    assert list(rest) == whole[first:]
    assert len(rest) == steps - first
    for epoch in range(steps // per_epoch):
        seen = [key for step in range(per_epoch) for key in whole[epoch * per_epoch + step]]
        assert {e for e, _ in seen} == {epoch}
        indices = [index for _, index in seen]
        assert len(set(indices)) == len(indices) == per_epoch * batch
        assert set(indices) <= set(range(length))


def test_processes_share_each_batch_in_order():
    whole = list(EpochSampler(50, 12, batches=9, first=2, seed=5))
    shares = [list(EpochSampler(50, 12, batches=9, first=2, seed=5, rank=r, world=3)) for r in range(3)]
    assert [[*one, *two, *three] for one, two, three in zip(*shares, strict=True)] == whole


def turned_versions(patch):
    """The patch [3 64 64] in all eight turns and mirrorings, as [64 64 3]."""
    picture = patch.transpose(1, 2, 0)
    for turn in range(4):
        turned = np.rot90(picture, turn)
        yield from (turned, turned[:, ::-1])


def test_without_augmentation_patches_are_exact_windows_in_all_eight_turns():
    y, x = np.mgrid[:90, :120]
    picture = np.stack([x, y, (x * y) % 251], axis=2).astype(np.uint8)  # the place is written in each pixel
    turns = set()
    for patch in random_patches(picture, 80, PLAIN, np.random.default_rng(0)):
        for number, version in enumerate(turned_versions(patch)):
            x0, y0 = int(version[0, 0, 0]), int(version[0, 0, 1])
            window = picture[y0 : y0 + 64, x0 : x0 + 64]
            if window.shape == version.shape and np.array_equal(window, version):
                turns.add(number)
                break
        else:
            pytest.fail("the patch is no window of the picture")
    assert turns == set(range(8))


@settings(max_examples=40, deadline=None)
@given(width=st.integers(64, 300), height=st.integers(64, 300), seed=st.integers(0, 999))
def test_any_large_enough_picture_gives_patches(width, height, seed):
    augment = AugmentSection(
        scale_probability=0.9, scale_min=0.1, jpeg_probability=0.5, gain=1.5, grey_probability=0.5
    )
    patches = random_patches(noise(width, height), 2, augment, np.random.default_rng(seed))
    assert patches.shape == (2, 3, 64, 64)
    assert patches.std() > 1


def test_shrinking_and_recompression_smooth_noise():
    picture = noise(400, 400)
    plain = random_patches(picture, 8, PLAIN, np.random.default_rng(1)).astype(float)
    strong = random_patches(
        picture,
        8,
        AugmentSection(scale_probability=1, scale_min=0.3, jpeg_probability=1, jpeg_quality=(60, 60)),
        np.random.default_rng(1),
    ).astype(float)
    assert np.abs(np.diff(strong, axis=3)).mean() < 0.8 * np.abs(np.diff(plain, axis=3)).mean()


def test_a_patch_is_recompressed_as_webp():
    picture = noise(64, 64)
    webp = AugmentSection(scale_probability=0, webp_probability=1, webp_quality=(40, 40))
    patch = random_patches(picture, 1, webp, np.random.default_rng(2))[0]
    stored = recompressed(picture, "WEBP", 40)
    assert any(np.array_equal(version, stored) for version in turned_versions(patch))
    assert not np.array_equal(stored, picture)


def test_what_becomes_jpeg_is_the_same_with_a_chance_of_webp():
    jpeg = AugmentSection(scale_probability=0, jpeg_probability=0.5)
    either = AugmentSection(scale_probability=0, jpeg_probability=0.5, webp_probability=0.5)
    same = []
    for seed in range(20):
        first, second = (
            random_patches(noise(96, 96), 1, augment, np.random.default_rng(seed))
            for augment in (jpeg, either)
        )
        chance = np.random.default_rng(seed).random(2)[1]  # the first number drawn is of shrinking
        same.append(np.array_equal(first, second))
        assert same[-1] == (chance < 0.5)
    assert {True, False} == set(same)


def test_chances_of_encodings_are_at_most_one():
    with pytest.raises(ValidationError, match="more than 1 together"):
        AugmentSection(jpeg_probability=0.6, webp_probability=0.5)
    with pytest.raises(ValidationError, match="range of qualities"):
        AugmentSection(webp_quality=(80, 40))


@pytest.mark.parametrize("size", [(63, 200), (200, 63)])
def test_too_small_a_picture_is_refused(size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}"):
        random_patches(noise(*size), 1, PLAIN, np.random.default_rng(0))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Seven pictures of 61 to 768 kB."""
    folder = tmp_path_factory.mktemp("pictures")
    sides = [*((150 + 10 * number, 140) for number in range(6)), (512, 512)]
    for number, side in enumerate(sides):
        Image.fromarray(noise(*side, seed=number)).save(folder / f"{number}.png")
    return [Row(path=str(path), sha256="0" * 64) for path in sorted(folder.iterdir())]


def kept(cache):
    return sum(pixels.nbytes for pixels in cache._kept.values())


@pytest.mark.parametrize("megabytes", [0, 1, 64])
def test_the_cache_keeps_its_budget_and_changes_nothing(rows, megabytes):
    cache = whole_pictures(rows * 3, MemoryBudget(megabytes))
    assert kept(cache) <= megabytes * 2**20
    assert len(cache._kept) == 3 * len(rows) if megabytes == 64 else len(cache._kept) < 3 * len(rows)
    assert bool(cache._kept) == bool(megabytes)
    for index, row in enumerate(rows):
        with Image.open(row.path) as picture:
            assert np.array_equal(cache[index], np.asarray(picture))


def test_one_budget_is_shared_by_all_caches(rows):
    budget = MemoryBudget(1)
    first, second = whole_pictures(rows[:6], budget), whole_pictures(rows[:6] * 3, budget)
    assert len(first._kept) == 6
    assert second._kept
    assert kept(first) + kept(second) <= 2**20
    assert not whole_pictures(rows, budget)._kept  # what did not fit has closed the budget


def test_no_picture_is_read_without_a_budget():
    gone = [Row(path="/none.png", sha256="0" * 64)]
    assert not whole_pictures(gone, MemoryBudget(0))._kept
