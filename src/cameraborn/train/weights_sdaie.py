"""SDAIE authors' checkpoints under our names.

Their files hold `state_net`: a network `module.backbone.*` with heads `module.fc1.*` to `module.fc14.*` (pretext), or
two such networks, frozen and trained, with one head of two classes (binary). Names alone are translated here, and one
that is not theirs is left as it is: the strict loading that follows says what is missing or left over. What the seven
ranked heads rank is not published in their code, so imported heads keep their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from cameraborn.networks.sdaie import FEATURES, SdaieNet, SdaieRanker

# The authors' heads and how many classes each has; 1 for a ranked tag. Those with classes are, in order: make, model,
# flash, metering mode, exposure mode, white balance and scene capture type.
AUTHORS_HEADS = {
    f"fc{number}": {2: 7, 6: 6, 7: 4, 10: 6, 11: 4, 12: 2, 14: 5}.get(number, 1) for number in range(1, 15)
}

_STEM = {"group1.hpf.weight": "stem.kernels", "group1_b.0.": "stem.mix.", "group1_b.1.": "stem_norm."}
_GROUPS = {f"group{number}.": f"groups.{number - 2}." for number in (2, 3, 4, 5)}
_LAYERS = {
    f"transformer.layers.{layer}.{theirs}.": f"layers.{layer}.{ours}."
    for layer in (0, 1)
    for theirs, ours in (
        ("0.norm", "norm1"),
        ("0.fn.to_qkv", "qkv"),
        ("0.fn.to_out.0", "out"),
        ("1.norm", "norm2"),
        ("1.fn.net.0", "mlp.0"),
        ("1.fn.net.3", "mlp.2"),
    )
}
_NAMES = _STEM | _GROUPS | _LAYERS


def import_sdaie(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their pretext network as the state of `SdaieRanker(SdaieNet(pool="first"), AUTHORS_HEADS)`."""
    return _renamed(state, {"backbone.": "encoder."}, heads={name: f"heads.{name}" for name in AUTHORS_HEADS})


def import_sdaie_binary(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their classifier as the state of `RegularisedClassifier`, whose encoder is `SdaieNet(pool="first")`."""
    networks = {"diffusionextractor_pretrained.": "frozen.", "diffusionextractor_random.": "encoder."}
    return _renamed(state, networks, heads={"fc": "head"})


def sdaie_shapes() -> dict[str, tuple[int, ...]]:
    """The shapes that an imported pretext network has, by our names."""
    return _shapes("", SdaieRanker(SdaieNet(pool="first"), AUTHORS_HEADS))


def sdaie_binary_shapes() -> dict[str, tuple[int, ...]]:
    """The shapes that an imported classifier has, by our names."""
    encoder = SdaieNet(pool="first")
    return (
        _shapes("frozen.", encoder) | _shapes("encoder.", encoder) | _shapes("head.", nn.Linear(FEATURES, 2))
    )


def _shapes(prefix: str, module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {prefix + name: tuple(value.shape) for name, value in module.state_dict().items()}


def _renamed(
    state: Mapping[str, Tensor], networks: Mapping[str, str], heads: Mapping[str, str]
) -> dict[str, Tensor]:
    ours = {}
    for name, value in state.items():
        plain = name.removeprefix("module.")  # as DistributedDataParallel saves it
        layer, _, parameter = plain.rpartition(".")
        prefix = next((prefix for prefix in networks if plain.startswith(prefix)), None)
        if layer in heads:
            ours[f"{heads[layer]}.{parameter}"] = value
        elif prefix is not None:
            inner = _encoder_name(plain.removeprefix(prefix))
            # Their fixed kernels have a channel of their own.
            ours[networks[prefix] + inner] = value[:, 0] if inner == "stem.kernels" else value
        else:
            ours[name] = value
    return ours


def _encoder_name(name: str) -> str:
    for theirs, ours in _NAMES.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name
