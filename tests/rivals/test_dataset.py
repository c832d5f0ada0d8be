"""Rows to training pictures: the same whenever they are drawn, cut everywhere, and of the kind that is learnt."""

import numpy as np
import pytest
import torch

from cameraborn.data.manifest import read_manifest, write_manifest
from cameraborn.errors import ManifestError, RecipeError
from cameraborn.rivals.dataset import RivalPictures, cut, postprocessed, rows_of
from cameraborn.rivals.inputs import by_opencv
from cameraborn.rivals.objective import RivalObjective
from cameraborn.rivals.recipe import AugmentSection
from cameraborn.train.pictures import MemoryBudget
from cameraborn.train.processes import Processes
from tests.rivals.made_toys import recipe_of


def test_a_sample_is_the_same_whenever_it_is_drawn(toys):
    recipe = recipe_of(
        toys,
        augment={
            "shrink": [20, 60],
            "blur_probability": 0.5,
            "jpeg_probability": 0.5,
            "crop": 200,
            "flip": 0.5,
        },
    )
    rows = RivalObjective(recipe, Processes(torch.device("cpu"))).rows
    first, again = (RivalPictures(rows, recipe, MemoryBudget(1)) for _ in range(2))
    assert first[3, 5][0].shape == (1, 3, 200, 200)
    assert torch.equal(first[3, 5][0], again[3, 5][0])
    assert not torch.equal(first[3, 5][0], again[4, 5][0])


def test_self_blended_samples_are_a_photograph_and_its_fake(toys):
    recipe = recipe_of(toys, "self-blended", objective="self-blended")
    objective = RivalObjective(recipe, Processes(torch.device("cpu")))
    assert {row.label for row in objective.rows} == {"photo"}
    pictures, labels, key = RivalPictures(objective.rows, recipe, MemoryBudget(1))[0, 1]
    assert pictures.shape == (2, 3, 380, 380)
    assert (labels.tolist(), key.tolist()) == ([0, 1], [0, 1])
    assert not torch.equal(pictures[0], pictures[1])


def test_a_picture_is_cut_and_mirrored_before_the_rival_sees_it():
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    rng = np.random.default_rng(0)
    cuts = {int(postprocessed(pixels, AugmentSection(crop_picture=3), rng)[0, 0, 0]) for _ in range(60)}
    assert cuts == {int(pixels[y, x, 0]) for y in range(2) for x in range(3)}
    assert np.array_equal(postprocessed(pixels, AugmentSection(crop_picture=9), rng), pixels)
    assert np.array_equal(postprocessed(pixels, AugmentSection(flip_picture=1), rng), pixels[:, ::-1])
    assert [
        AugmentSection(**{name: 1}).changes_pictures for name in ("crop_picture", "flip_picture", "flip")
    ] == [
        True,
        True,
        False,
    ]


def test_crops_lie_everywhere_and_mirror():
    seen = torch.arange(16.0).view(1, 4, 4)
    rng = np.random.default_rng(0)
    corners = {float(cut(seen, AugmentSection(crop=3), rng, "x")[0, 0, 0]) for _ in range(50)}
    assert corners == {0.0, 1.0, 4.0, 5.0}
    assert torch.equal(cut(seen, AugmentSection(flip=1), rng, "x"), seen.flip(-1))


def test_a_crop_that_does_not_fit_names_the_picture():
    rng = np.random.default_rng(0)
    with pytest.raises(RecipeError) as caught:
        cut(torch.zeros(3, 40, 30), AugmentSection(crop=32), rng, "a.png")
    assert caught.value.args[0] == (
        "a.png: the network sees [3, 40, 30] of it, which cannot be cut to augment.crop = 32 or mirrored: change "
        "[augment]"
    )
    with pytest.raises(RecipeError, match=r"sees \[768\] of it"):
        cut(torch.zeros(768), AugmentSection(flip=0.5), rng, "a.png")
    feature = torch.arange(4.0)
    assert cut(feature, AugmentSection(), rng, "a.png") is feature


def test_what_is_shrunk_is_a_square_by_opencv_and_stored_last():
    pixels = np.random.default_rng(1).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    rng = np.random.default_rng(0)
    shrunk = postprocessed(pixels, AugmentSection(shrink=(20, 20)), rng)
    assert np.array_equal(shrunk, by_opencv(pixels, 20, 20))
    sides = {postprocessed(pixels, AugmentSection(shrink=(9, 11)), rng).shape for _ in range(60)}
    assert sides == {(side, side, 3) for side in (9, 10, 11)}
    blurred = AugmentSection(blur_probability=1, blur_sigma=(2.0, 2.0))
    assert postprocessed(pixels, blurred, rng).std() < 0.5 * pixels.std()


def test_rows_are_those_that_the_objective_learns_from(toys, tmp_path):
    train, val = rows_of(recipe_of(toys))
    assert [row.label for row in train] == ["photo", "generated"] * 6
    train, val = rows_of(recipe_of(toys, "self-description", objective="photographs"))
    assert ({row.label for row in (*train, *val)}, len(train), len(val)) == ({"photo"}, 6, 4)
    rows = list(read_manifest(toys))
    rows[2] = rows[2].model_copy(update={"landmarks": None})
    rows[4] = rows[4].model_copy(update={"manipulation": "eye"})
    write_manifest(rows, tmp_path / "some.jsonl")
    train, _ = rows_of(recipe_of(tmp_path / "some.jsonl", "self-blended", objective="self-blended"))
    assert [row.path for row in train] == [rows[place].path for place in (0, 6, 8, 10)]


@pytest.mark.parametrize(
    ("rival", "objective", "what"),
    [
        ("self-description", "photographs", "photographs"),
        ("self-blended", "self-blended", "photographs with landmarks"),
    ],
)
def test_too_few_rows_are_told(toys, rival, objective, what):
    with pytest.raises(ManifestError) as caught:
        rows_of(recipe_of(toys, rival, objective=objective, optimise={"batch_size": 7}))
    assert caught.value.args[0] == (
        f"{toys}: 6 {what} in split 'train', 7 are needed: import more, or lower optimise.batch_size"
    )


def test_a_group_on_both_sides_is_refused(toys, tmp_path):
    rows = [row.model_copy(update={"group": "same"}) for row in read_manifest(toys)]
    write_manifest(rows, tmp_path / "shared.jsonl")
    with pytest.raises(ManifestError, match="group 'same' is in both splits"):
        rows_of(recipe_of(tmp_path / "shared.jsonl", "self-description", objective="photographs"))


def test_pictures_to_validate_on_are_cut_and_nothing_else(toys):
    augment = {"shrink": [20, 60], "blur_probability": 1.0, "jpeg_probability": 1.0, "crop": 40, "flip": 1.0}
    recipe = recipe_of(toys, augment=augment)
    rows, _ = rows_of(recipe)
    assert RivalPictures(rows, recipe, MemoryBudget(1), augmented=False).augment == AugmentSection(crop=40)
    pictures, labels, key = RivalPictures(rows, recipe, MemoryBudget(1), augmented=False)[0, 3]
    plain = RivalPictures(rows, recipe_of(toys), MemoryBudget(1))[0, 3][0]
    assert (labels.tolist(), key.tolist(), pictures.shape) == ([1], [0, 3], (1, 3, 40, 40))
    windows = plain[0].unfold(1, 40, 1).unfold(2, 40, 1)  # [3 Y X 40 40]
    assert (windows == pictures[0][:, None, None]).all(dim=4).all(dim=3).all(dim=0).any()


@pytest.mark.parametrize(
    ("rival", "objective"),
    [
        ("tiny-ladeda", "binary"),
        ("self-description", "photographs"),
        ("self-blended", "self-blended"),
    ],
)
def test_a_manifest_without_splits_is_answered_with_how_to_make_them(toys, tmp_path, rival, objective):
    manifest = tmp_path / "no.jsonl"
    write_manifest([row.model_copy(update={"split": ""}) for row in read_manifest(toys)], manifest)
    with pytest.raises(ManifestError) as caught:
        rows_of(recipe_of(manifest, rival, objective=objective))
    assert caught.value.args[0] == (
        f"{manifest}: no row is in any split: divide them with 'cameraborn data split {manifest} train=SHARE val=SHARE'"
    )
