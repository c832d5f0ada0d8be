"""Samples depend on (seed, epoch, index) alone; batches on the step alone; patches are what the picture holds."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from torch.utils.data import DataLoader

from cameraborn.data.manifest import Row
from cameraborn.degrade.named import recompressed
from cameraborn.errors import ManifestError
from cameraborn.pretext.dataset import (
    EpochSampler,
    PatchDataset,
    PictureCache,
    random_patches,
    targets_of,
)
from cameraborn.pretext.recipe import AugmentSection
from cameraborn.pretext.tasks import TASKS

PLAIN = AugmentSection(scale_probability=0, jpeg_probability=0)
STRONG = AugmentSection(scale_probability=1, jpeg_probability=1)
TASK_LIST = [TASKS["iso"], TASKS["make"]]


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    made = []
    for number in range(6):
        path = folder / f"{number}.png"
        Image.fromarray(noise(150 + 10 * number, 140, seed=number)).save(path)
        exif = {"iso": 100.0 * (number + 1)} if number != 2 else {"make": "Canon"}
        made.append(Row(path=str(path), sha256="0" * 64, exif=exif))
    return made


def dataset(rows, *, augment=STRONG, seed=3, cache_mb=64):
    return PatchDataset(rows, TASK_LIST, patches=2, augment=augment, seed=seed, cache_mb=cache_mb)


def test_a_sample_depends_on_seed_epoch_and_index_alone(rows):
    first, second = dataset(rows), dataset(rows)
    keys = [(epoch, index) for epoch in range(2) for index in range(len(rows))]
    forward = {key: first[key][0] for key in keys}
    backward = {key: second[key][0] for key in reversed(keys)}
    assert all(torch.equal(forward[key], backward[key]) for key in keys)
    assert forward[0, 0].shape == (2, 3, 64, 64)
    assert forward[0, 0].dtype == torch.uint8
    assert not torch.equal(forward[0, 0], forward[1, 0])
    assert not torch.equal(forward[0, 0], dataset(rows, seed=4)[0, 0][0])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_the_same_batches(rows, workers):
    def batches(workers):
        sampler = EpochSampler(len(rows), 2, batches=6, first=0, seed=1)
        return list(DataLoader(dataset(rows), batch_sampler=sampler, num_workers=workers))

    for (patches, targets), (others, other_targets) in zip(batches(0), batches(workers), strict=True):
        assert torch.equal(patches, others)
        torch.testing.assert_close(targets, other_targets, equal_nan=True, rtol=0, atol=0)


def test_targets_are_nan_where_the_photograph_says_nothing(rows):
    targets = targets_of(rows, TASK_LIST)
    assert targets[0, 0] == 100
    assert math.isnan(targets[2, 0])
    assert targets[2, 1] == 0
    assert torch.isnan(targets[[0, 1, 3, 4, 5], 1]).all()
    torch.testing.assert_close(dataset(rows)[0, 2][1], targets[2], equal_nan=True)


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
def test_too_small_a_picture_is_refused(tmp_path, size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}"):
        random_patches(noise(*size), 1, PLAIN, np.random.default_rng(0))
    path = tmp_path / "small.png"
    Image.fromarray(noise(*size)).save(path)
    small = dataset([Row(path=str(path), sha256="0" * 64, exif={"iso": 100.0})])
    with pytest.raises(ManifestError) as caught:
        small[0, 0]
    assert str(path) in str(caught.value)
    assert "training split" in str(caught.value)


@pytest.mark.parametrize("cache_mb", [0, 64])
def test_the_cache_keeps_its_budget_and_changes_nothing(rows, tmp_path, cache_mb):
    large = tmp_path / "large.png"
    Image.fromarray(noise(512, 512, seed=9)).save(large)
    more = [*rows, Row(path=str(large), sha256="0" * 64)]
    for budget in (cache_mb, 1):
        cache = PictureCache(more, budget)
        assert sum(pixels.nbytes for pixels in cache._kept.values()) <= budget * 2**20
    assert len(PictureCache(more, 0)._kept) == 0
    assert 0 < len(PictureCache(more * 3, 1)._kept) < 3 * len(more)
    whole, limited = PictureCache(more, 64), PictureCache(more, cache_mb)
    assert len(whole._kept) == len(more)
    assert all(np.array_equal(whole[i], limited[i]) for i in range(len(more)))
    assert torch.equal(dataset(rows, cache_mb=cache_mb)[0, 1][0], dataset(rows)[0, 1][0])
