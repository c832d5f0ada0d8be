"""NPR: the residual against the published shrinking and enlarging."""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.errors import RecipeError
from cameraborn.rivals import RIVALS
from cameraborn.rivals.npr import NprNetwork, neighbour_residual
from cameraborn.rivals.weights import import_published


def test_residual_is_the_picture_less_its_shrunk_and_enlarged_self():
    pictures = torch.rand(2, 3, 8, 12)
    shrunk = F.interpolate(pictures, scale_factor=0.5, mode="nearest")
    assert torch.equal(
        neighbour_residual(pictures), pictures - F.interpolate(shrunk, scale_factor=2, mode="nearest")
    )


@pytest.mark.parametrize(("height", "width"), [(7, 12), (8, 11), (7, 11)])
def test_an_odd_last_row_or_column_is_left_out(height, width):
    pictures = torch.rand(1, 3, height, width)
    even = pictures[..., : height // 2 * 2, : width // 2 * 2]
    assert torch.equal(neighbour_residual(pictures), neighbour_residual(even))


def test_every_second_pixel_is_zero_and_its_neighbours_the_difference():
    pictures = torch.arange(16.0).view(1, 1, 4, 4)
    expected = [[0, 1, 0, 1], [4, 5, 4, 5], [0, 1, 0, 1], [4, 5, 4, 5]]
    assert neighbour_residual(pictures)[0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("more", "said"), [((), ""), (("fc.scale",), "unknown: fc.scale"), (("fc2.bias",), "fc2.bias")]
)
def test_the_layer_that_the_authors_trainer_adds_is_left_out_and_no_other(tmp_path, more, said):
    state = NprNetwork().state_dict()
    added = {name: torch.zeros(1) for name in ("fc.weight", "fc.bias", *more)}
    torch.save({"model": state | added}, tmp_path / "theirs.pth")
    if said:
        with pytest.raises(RecipeError, match=said):
            import_published(tmp_path / "theirs.pth", "npr")
    else:
        assert set(import_published(tmp_path / "theirs.pth", "npr").tensors) == set(state)


@pytest.mark.parametrize("method", ["forward", "compute", "score", "loss"])
@pytest.mark.parametrize("mode", ["new", "eval", "trained and then eval"])
def test_without_weights_nothing_computes(method, mode):
    rival = RIVALS["npr"]()
    if mode == "trained and then eval":
        rival.start_training()
    if mode != "new":
        rival.eval()
    arguments = (torch.rand(1, 3, 64, 64), torch.ones(1))[: 2 if method == "loss" else 1]
    with pytest.raises(
        RecipeError, match=r"npr: no weights of the network npr were given: NPR.pth, published at"
    ):
        getattr(rival, method)(*arguments)
    assert rival.loaded == {}
