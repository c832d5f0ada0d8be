"""Labelled rows to samples: which rows are taken, and what may have happened to a picture."""

import numpy as np
import pytest
import torch

from cameraborn.binary.dataset import LabelledPatches, labelled_rows, large_enough, postprocessed
from cameraborn.binary.objective import BinaryObjective
from cameraborn.binary.recipe import PostprocessingSection
from cameraborn.data.manifest import read_manifest
from cameraborn.errors import ManifestError
from cameraborn.train.loop import train
from cameraborn.train.pictures import MemoryBudget

from .made_labelled import NEVER, changed, recipe_of


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: {"label": "photo", "generator": ""}, "fewer than 2 usable rows labelled 'generated'"),
        (lambda row: {"split": "train"}, "in split 'val'"),
        (lambda row: {"group": "one"}, "group 'one' is in both splits"),
        (lambda row: {"research_only": True}, "in split 'train'"),
    ],
)
def test_a_manifest_that_will_not_do(labelled, tmp_path, change, message):
    manifest = changed(labelled, tmp_path / "m.jsonl", change)
    with pytest.raises(ManifestError, match=message):
        train(BinaryObjective, recipe_of(manifest), tmp_path / "run")


def test_a_generator_is_left_out_by_naming_the_kinds_of_the_others(labelled, tmp_path):
    recipe = recipe_of(labelled, data={"manifest": str(labelled), "kinds": ["a"]})
    assert set(train(BinaryObjective, recipe, tmp_path)) == {"auc", "accuracy"}  # one generator is left
    for rows in labelled_rows(recipe.data, 2):
        assert {row.kind for row in rows} == {"a"}


def test_samples_do_not_depend_on_who_makes_them(labelled):
    rows = list(read_manifest(labelled))
    usual = PostprocessingSection().model_dump()
    recipe = recipe_of(labelled, augment=usual, optimise={"steps": 1, "patches": 3, "seed": 1})
    first, second = (LabelledPatches(rows, recipe, MemoryBudget(cache)) for cache in (0, 9))
    for key in ((0, 0), (3, 7)):
        patches, label = first[key]
        assert patches.shape == (3, 3, 64, 64)
        assert torch.equal(patches, second[key][0])
        assert int(label) == key[1] % 2
    assert not torch.equal(first[0, 0][0], first[1, 0][0])


@pytest.mark.parametrize("only", ["resize", "blur", "jpeg"])
def test_each_condition_does_what_it_says(only):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    augment = PostprocessingSection.model_validate(NEVER | {f"{only}_probability": 1.0})
    different = False
    for seed in range(8):
        changed = postprocessed(pixels, augment, np.random.default_rng(seed))
        assert changed.dtype == np.uint8
        if only == "resize":
            assert changed.shape[0] == changed.shape[1]
            assert 64 <= changed.shape[0] <= 128
        else:
            assert changed.shape == pixels.shape
            different |= bool((changed != pixels).any())
    assert different or only == "resize"
    untouched = PostprocessingSection.model_validate(NEVER)
    assert np.array_equal(postprocessed(pixels, untouched, np.random.default_rng(0)), pixels)


def test_probabilities_are_those_asked_for():
    pixels = np.random.default_rng(0).integers(0, 256, (70, 75, 3), dtype=np.uint8)
    rng = np.random.default_rng(1)
    shapes = [postprocessed(pixels, PostprocessingSection(), rng).shape for _ in range(400)]
    assert sum(shape != pixels.shape for shape in shapes) / 400 == pytest.approx(0.3, abs=0.07)


def test_small_pictures_become_one_patch():
    assert large_enough(np.zeros((20, 300, 3), np.uint8)).shape == (64, 64, 3)
    assert large_enough(np.zeros((64, 300, 3), np.uint8)).shape == (64, 300, 3)
