"""Training starts from ImageNet's weights: all of a file but its classes, wherever the network holds it."""

import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals import NETWORKS, RIVALS
from cameraborn.rivals.backbones.xception import Xception
from cameraborn.rivals.published import empty_network
from cameraborn.rivals.start import start_from, weights_of_start
from tests.rivals.formula import formula_


def resnet18():
    """The state of torchvision's ResNet-18, made of GramNet's, which has the same names."""
    state = formula_(NETWORKS["gramnet"]()).state_dict()
    body = {name: value for name, value in state.items() if name.startswith(("conv1.", "bn1.", "layer"))}
    return body | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def test_all_but_the_classes_is_taken_and_the_rest_stays(tmp_path):
    held = resnet18()
    torch.save(held, tmp_path / "resnet18.pth")
    rival = RIVALS["gramnet"]()
    before = {name: value.clone() for name, value in rival.network.state_dict().items()}
    start_from(rival, tmp_path / "resnet18.pth")
    for name, value in rival.network.state_dict().items():
        assert torch.equal(value, held.get(name, before[name])), name
    assert rival.loaded == {}  # started, and not trained


@pytest.mark.parametrize(
    ("name", "prefixes"),
    [
        ("frdm", ("backbone_rgb.", "backbone_srm.")),
        ("recce", ("encoder.",)),
        ("recce-deepfakebench", ("encoder.",)),
    ],
)
def test_xception_is_laid_into_each_stream(name, prefixes):
    with torch.device("meta"):
        held = Xception().state_dict()
    held = {key: value for key, value in held.items() if not key.endswith("num_batches_tracked")}
    matrices = {
        key: value.flatten(1) if key.endswith("pointwise.weight") else value for key, value in held.items()
    }
    own = empty_network(name).state_dict()
    taken = weights_of_start(own, matrices, prefixes, "xception.pth")
    assert set(taken) == {prefix + key for prefix in prefixes for key in held}
    assert all(taken[key].shape == own[key].shape for key in taken)


def test_networks_of_imagenet_fit(tmp_path):
    for name, outputs in (
        ("dire-classifier", "fc"),
        ("lgrad-classifier", "fc"),
        ("efficientnet-b4-2", "_fc"),
    ):
        own = empty_network(name).state_dict()
        held = own | {f"{outputs}.weight": torch.zeros(1000, 3)}
        assert set(own) - set(weights_of_start(own, held, ("",), "x")) == {
            f"{outputs}.weight",
            f"{outputs}.bias",
        }


def test_another_network_changes_nothing(tmp_path):
    held = resnet18()
    rival = RIVALS["gramnet"]()
    before = {name: value.clone() for name, value in rival.network.state_dict().items()}
    for change, said in (
        ({"layer9.conv.weight": torch.zeros(1)}, "layer9.conv.weight"),
        ({"conv1.weight": torch.zeros(64, 3, 3, 3)}, "conv1.weight"),
    ):
        torch.save(held | change, tmp_path / "other.pth")
        with pytest.raises(
            RecipeError, match=f"other.pth: training cannot start from it: .* no {said} of these"
        ):
            start_from(rival, tmp_path / "other.pth")
    torch.save({"fc.bias": torch.zeros(3)}, tmp_path / "classes.pth")
    with pytest.raises(RecipeError, match="nothing but classes"):
        start_from(rival, tmp_path / "classes.pth")
    assert all(torch.equal(before[name], value) for name, value in rival.network.state_dict().items())


def test_a_head_alone_starts_from_nothing(tmp_path):
    with torch.device("meta"):
        rival = RIVALS["univfd"]()
    with pytest.raises(
        RecipeError, match="univfd: does not start from a network of ImageNet: leave start out"
    ):
        start_from(rival, tmp_path / "any.pth")
