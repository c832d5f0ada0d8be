"""What networks of each kind of input are shown in validation, and the network of a recipe."""

import numpy as np
import pytest
import torch
from PIL import Image

from cameraborn.data.manifest import Row, sha256_of
from cameraborn.errors import ManifestError
from cameraborn.networks.clip import PromptRanker
from cameraborn.networks.registry import NETWORKS
from cameraborn.photo.patches import grid_patches
from cameraborn.pretext.architectures import ARCHITECTURES, VALIDATION_PATCHES, build_network
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.tasks import TASKS
from cameraborn.train.pictures import MemoryBudget

SMALL = {"type": "patch", "widths": [4, 4], "features": 8}
FACES = {"type": "resnet50", "layers": [1, 1, 1, 1], "width": 8, "features": 16}


def recipe_of(network, tasks, **changes):
    fields = {
        "data": {"manifest": "none.jsonl"},
        "network": network,
        "pretext": {"tasks": dict.fromkeys(tasks, 1.0)},
        "optimise": {"steps": 1},
        "faces": {"size": 64},
    }
    return Recipe.model_validate(fields | changes)


def row_of(path, shape, **fields):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return Row(path=str(path), sha256=sha256_of(path), **fields), pixels


def test_every_kind_of_input_has_an_architecture():
    assert set(ARCHITECTURES) == {section.input_kind for section in NETWORKS.values()}


def test_validation_of_patches_is_a_grid_a_picture(tmp_path):
    large, pixels = row_of(tmp_path / "large.png", (300, 400), kind="crop", exif={"iso": 400.0})
    small, _ = row_of(tmp_path / "small.png", (70, 64))
    tiny, _ = row_of(tmp_path / "tiny.png", (63, 400))
    recipe = recipe_of(SMALL, ["iso"])
    batches = list(
        ARCHITECTURES["patches"].validation([large, small, tiny], [TASKS["iso"]], recipe, MemoryBudget(10))
    )
    assert [names for *_, names in batches] == [["crop"], ["all"]]  # one is too small for a patch
    (patches, targets, _), (few, unknown, _) = batches
    assert patches.shape == (1, VALIDATION_PATCHES, 3, 64, 64)
    np.testing.assert_array_equal(patches[0].numpy(), grid_patches(pixels, limit=VALIDATION_PATCHES))
    assert targets[0, 0] == pytest.approx(TASKS["iso"].of_row(large)[0])
    assert few.shape[1] < VALIDATION_PATCHES
    assert torch.isnan(unknown).all()
    with pytest.raises(ManifestError, match="no picture of split 'val' has 64 pixels on both sides"):
        ARCHITECTURES["patches"].validation([tiny], [TASKS["iso"]], recipe, MemoryBudget(10))


@pytest.mark.parametrize(
    ("network", "tasks", "shape"),
    [(SMALL, ["iso", "flash"], (2, 3, 3, 64, 64)), (FACES, ["iso", "face"], (2, 3, 64, 64))],
    ids=["patches", "crop"],
)
def test_the_network_of_a_recipe_has_a_head_for_each_task(network, tasks, shape):
    recipe = recipe_of(network, tasks)
    built = build_network(recipe).eval()
    with torch.no_grad():
        outputs = built(torch.zeros(shape))
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {
        name: (2, TASKS[name].outputs) for name in tasks
    }
    side = ARCHITECTURES[recipe.network.input_kind].side(recipe)
    assert side == shape[-1]


def test_prompts_make_heads_of_text():
    prompts = {"width": 16, "layers": 1, "heads": 2, "embedding": 16}
    assert isinstance(build_network(recipe_of(FACES, ["blades_iso"], prompts=prompts)), PromptRanker)
