"""What a batch holds: shares, labels, and that it depends on its number alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cameraborn.binary import plans, sampling
from cameraborn.binary.face_rows import face_rows
from cameraborn.binary.faces import faces_of
from cameraborn.binary.sampling import FaceBatches, Sampler, base_weights
from cameraborn.errors import RecipeError
from cameraborn.train.pictures import MemoryBudget

from .made_faces import CPU, recipe_of


def sampler_of(recipe, folder):
    train_rows, _ = face_rows(recipe)
    count = len(train_rows.photographs) + len(train_rows.fakes)
    return Sampler(
        train_rows, faces_of(train_rows.all, MemoryBudget(100)), recipe, np.ones(count)
    ), train_rows


def test_no_source_and_no_generator_dominates(toys, tmp_path):
    sampler, rows = sampler_of(recipe_of(toys), tmp_path)
    drawn = {"gan": 0.0, "diffusion": 0.0}
    for number, share in zip(sampler.fakes.numbers, sampler.fakes.shares, strict=True):
        drawn[rows.all[number].generator] += share
    counts = {name: sum(row.generator == name for row in rows.fakes) for name in drawn}
    assert counts["gan"] != counts["diffusion"]
    for name in drawn:  # in proportion to the square root of its number
        assert drawn[name] == pytest.approx(counts[name] ** 0.5 / sum(n**0.5 for n in counts.values()))
    webp = [Path(row.path).suffix == ".webp" for row in rows.fakes]
    assert sampler.webp == pytest.approx(sampler.fakes.shares[webp].sum())
    assert 0.2 < sampler.webp < 0.6
    assert base_weights(["a", "a", "a", "a", "b"]) == pytest.approx([0.5, 0.5, 0.5, 0.5, 1.0])


def test_overlap_weights_decide_how_often_a_face_is_drawn(toys):
    recipe = recipe_of(toys)
    train_rows, _ = face_rows(recipe)
    weights = np.zeros(len(train_rows.photographs) + len(train_rows.fakes))
    weights[[0, len(train_rows.photographs)]] = 0.3
    sampler = Sampler(train_rows, faces_of(train_rows.all, MemoryBudget(100)), recipe, weights)
    rng = np.random.default_rng(0)
    assert {sampler.photographs(rng) for _ in range(20)} == {0}
    assert {sampler.fakes(rng) for _ in range(20)} == {len(train_rows.photographs)}


def test_a_batch_holds_what_the_recipe_says(toys, tmp_path):
    recipe = recipe_of(toys, batch={"photographs": 2, "pairs": 1, "fakes": 1}, optimise={"batch_size": 10})
    dataset = FaceBatches(sampler_of(recipe, tmp_path)[0], recipe, CPU)
    sides = set()
    for number in range(12):
        patches, labels = dataset[number]
        count = 2 if patches.shape[-1] == 96 else 1
        assert patches.shape == (10 * count, 3, patches.shape[-1], patches.shape[-1])
        assert patches.dtype == torch.uint8
        assert labels.tolist() == ([0.0] * 2 + [1.0] + [0.0, 1.0]) * 2 if count == 1 else True
        assert labels.sum() == 4 * count
        sides.add(patches.shape[-1])
    assert sides == {64, 96}


def test_pictures_without_detail_could_be_either_and_hybrids_keep_their_label(toys, tmp_path):
    changes = {"batch": {"blank": 1}, "optimise": {"batch_size": 10}}
    plain, mixed = (recipe_of(toys, **changes, history={"hybrid": share}) for share in (0.0, 1.0))
    batches = [FaceBatches(sampler_of(recipe, tmp_path)[0], recipe, CPU)[3] for recipe in (plain, mixed)]
    (patches, labels), (hybrids, same) = batches
    assert torch.equal(labels, same)
    assert (labels == 0.5).sum() * 5 == len(labels)
    unchanged = (patches == hybrids).flatten(1).all(1)
    assert unchanged[labels == 0.5].all()
    assert not unchanged[labels != 0.5].all()


def test_a_batch_depends_on_its_number_alone_and_is_shared_equally(toys, tmp_path):
    recipe = recipe_of(toys)
    sampler, _ = sampler_of(recipe, tmp_path)
    whole = FaceBatches(sampler, recipe, CPU)
    halves = [FaceBatches(sampler, recipe, replace(CPU, rank=rank, world=2)) for rank in range(2)]
    for number in (0, 5):
        patches, labels = whole[number]
        assert torch.equal(patches, whole[number][0])
        assert torch.equal(patches, torch.cat([half[number][0] for half in halves]))
        assert torch.equal(labels, torch.cat([half[number][1] for half in halves]))
    assert not torch.equal(whole[0][0], whole[1][0]) if whole[0][0].shape == whole[1][0].shape else True
    with pytest.raises(RecipeError, match="2 units of 4 pictures, which cannot be divided between 3"):
        FaceBatches(sampler, recipe, replace(CPU, world=3))


def test_a_pair_is_two_pictures_of_the_same_history(toys, tmp_path):
    recipe = recipe_of(toys, batch={"matched_pairs": 0.0}, history={"light": 1.0})
    sampler, rows = sampler_of(recipe, tmp_path)
    for seed in range(6):
        original, reconstructed = sampler.pair(np.random.default_rng(seed))
        assert original.shape == reconstructed.shape
        assert not np.array_equal(original, reconstructed)
    decoders = dict.fromkeys(("taesd", "span"), 0.0)
    for number, share in zip(sampler.pairs.numbers, sampler.pairs.shares, strict=True):
        decoders[rows.all[number + 1].generator] += share
    assert decoders == pytest.approx({"taesd": 0.5, "span": 0.5})


def test_balanced_batches_hold_as_much_and_depend_on_their_number_alone(toys, tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "_TRIALS", 300)  # of more plans the trees learn more
    monkeypatch.setattr(sampling, "covariates_of", lambda _: plans.NOTHING)  # toys: noise tells all
    recipe = recipe_of(toys, history={"balanced": True})
    batches = [FaceBatches(sampler_of(recipe, tmp_path)[0], recipe, CPU)[4] for _ in range(2)]
    plain = recipe_of(toys)
    assert all(map(torch.equal, *batches))
    other = FaceBatches(sampler_of(plain, tmp_path)[0], plain, CPU)[4]
    assert torch.equal(other[1], batches[0][1])
    assert not torch.equal(other[0], batches[0][0])
