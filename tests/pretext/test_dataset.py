"""Samples depend on (seed, epoch, index) alone, and say what the photograph says."""

import math

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from cameraborn.data.manifest import Row
from cameraborn.errors import ManifestError
from cameraborn.pretext.dataset import PatchDataset, targets_of
from cameraborn.pretext.tasks import TASKS
from cameraborn.train.pictures import EpochSampler, MemoryBudget
from cameraborn.train.recipe import AugmentSection

from ..train.test_pictures import noise

STRONG = AugmentSection(scale_probability=1, jpeg_probability=1)
TASK_LIST = [TASKS["iso"], TASKS["make"]]


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
    return PatchDataset(rows, TASK_LIST, patches=2, augment=augment, seed=seed, budget=MemoryBudget(cache_mb))


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


@pytest.mark.parametrize("size", [(63, 200), (200, 63)])
def test_too_small_a_picture_is_refused(tmp_path, size):
    path = tmp_path / "small.png"
    Image.fromarray(noise(*size)).save(path)
    small = dataset([Row(path=str(path), sha256="0" * 64, exif={"iso": 100.0})])
    with pytest.raises(ManifestError) as caught:
        small[0, 0]
    assert str(path) in str(caught.value)
    assert "training split" in str(caught.value)


@pytest.mark.parametrize("cache_mb", [0, 64])
def test_the_cache_changes_no_sample(rows, cache_mb):
    assert torch.equal(dataset(rows, cache_mb=cache_mb)[0, 1][0], dataset(rows)[0, 1][0])
