"""EfficientNet-Lite0's published file, written here: read whole, or refused with both sides named."""

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from cameraborn.cli import app
from cameraborn.errors import RecipeError
from cameraborn.networks.efficientnet_lite import FEATURES, EfficientNetLite
from cameraborn.train.weights import import_checkpoint


def written(folder, **changes):
    torch.manual_seed(0)
    state = EfficientNetLite().state_dict()
    classes = {"_fc.weight": torch.zeros(1000, FEATURES), "_fc.bias": torch.zeros(1000)}
    torch.save({**state, **classes, **changes}, folder / "lite0.pth")
    return folder / "lite0.pth", state


@pytest.mark.parametrize("layout", ["auto", "efficientnet-lite0"])
def test_the_encoder_is_read_and_the_classes_are_left_behind(tmp_path, layout):
    path, state = written(tmp_path)
    imported = import_checkpoint(path, layout)
    assert imported.layout == "efficientnet-lite0"
    assert imported.dropped == ("_fc.weight", "_fc.bias")
    assert set(imported.tensors) == {f"encoder.{name}" for name in state}
    assert all(torch.equal(value, imported.tensors[f"encoder.{name}"]) for name, value in state.items())


def test_both_sides_are_named(tmp_path):
    path, _ = written(tmp_path, extra=torch.zeros(2), **{"_bn0.weight": torch.zeros(3)})
    with pytest.raises(RecipeError) as caught:
        import_checkpoint(path)
    said = str(caught.value)
    assert "unknown: encoder.extra" in said
    assert "of another shape: encoder._bn0.weight (3,) for (32,)" in said


def test_the_command_line_writes_what_recipes_begin_with(tmp_path):
    path, state = written(tmp_path)
    done = CliRunner().invoke(
        app, ["import-checkpoint", str(path), "-o", str(tmp_path / "lite0.safetensors")]
    )
    assert done.exit_code == 0, done.output
    assert "2 other tensors left behind" in done.output
    tensors = load_file(tmp_path / "lite0.safetensors")
    assert torch.equal(tensors["encoder._conv_stem.weight"], state["_conv_stem.weight"])
