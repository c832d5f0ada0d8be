"""Where a rival's training starts from: ImageNet's weights of the network that it was made of.

GramNet's authors start from ResNet-18, LGrad's and DIRE's from ResNet-50, RECCE's and DeepfakeBench (FRDM) from
Xception, those of self-blended images from EfficientNet-B4. The file is a state dict as torchvision, timm (legacy
Xception) and efficientnet_pytorch publish it: everything in it must be the network's but the layer of classes, and what
the network has besides stays as it was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from cameraborn.errors import RecipeError
from cameraborn.rivals.published import Published
from cameraborn.train.weights import read_weights

_CLASSES = ("fc.", "last_linear.", "_fc.", "classifier.")  # the last layer, by its names in such files
_INSIDE = {  # network: where it holds the one that the file is of; the others are that one themselves
    "frdm": ("backbone_rgb.", "backbone_srm."),
    "recce": ("encoder.",),
    "recce-deepfakebench": ("encoder.",),
}
_SHOWN = 5  # names in an error


def start_from(published: Published, path: Path) -> None:
    """Put a file's weights into the part that is trained.

    Raises:
        RecipeError: the rival does not train one whole network, or the file cannot be read safely or is of another
            network; nothing was changed.
    """
    trained = published.trained_parts()
    if trained != ["network"]:
        raise RecipeError(f"{published.name}: does not start from a network of ImageNet: leave start out")
    network = published.get_submodule("network")
    own = network.state_dict()
    inside = _INSIDE.get(published.parts["network"], ("",))
    network.load_state_dict(own | weights_of_start(own, read_weights(path), inside, str(path)))


def weights_of_start(
    own: Mapping[str, Tensor], held: Mapping[str, Tensor], inside: tuple[str, ...], source: str
) -> dict[str, Tensor]:
    """What a file holds, by the network's names.

    Args:
        own: the network's state.
        held: the file's weights.
        inside: prefixes under which the network holds what the file is of.
        source: the file, for messages.

    Raises:
        RecipeError: the network lacks some of it, or has another shape.
    """
    body = {name: value for name, value in held.items() if not name.startswith(_CLASSES)}
    taken = {
        f"{prefix}{name}": _as_convolution(value, own.get(f"{prefix}{name}"))
        for prefix in inside
        for name, value in body.items()
    }
    wrong = [name for name, value in taken.items() if name not in own or own[name].shape != value.shape]
    if wrong or not taken:
        listed = ", ".join(wrong[:_SHOWN]) or "nothing but classes"
        raise RecipeError(
            f"{source}: training cannot start from it: the network has no {listed} of these shapes: give the weights "
            "that the header of its recipe names"
        )
    return taken


def _as_convolution(value: Tensor, own: Tensor | None) -> Tensor:
    """Xception's published 1x1 convolutions are matrices."""
    is_matrix = own is not None and own.ndim == 4 and own.shape[2:] == (1, 1) and value.ndim == 2
    return value[:, :, None, None] if is_matrix else value
