"""Published checkpoints in, safetensors of ours out, and these into rivals: strictly, or not at all.

A file of ours holds one network under its published names, or all parts of a rival that was trained here under
`PART.NAME`; its metadata say which, and the sha256 of the published file that it came from.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cameraborn.data.manifest import sha256_of
from cameraborn.errors import RecipeError
from cameraborn.files import replacing
from cameraborn.rivals.published import LAYOUTS, TRAINED, Grown, Layout, Published, empty_network
from cameraborn.train.weights import read_weights

_SHOWN = 5  # keys of each side in an error


@dataclass(frozen=True)
class Imported:
    """The weights of one network, by its own names, and the sha256 of the file they were read from."""

    network: str
    layout: str
    sha256: str
    tensors: Mapping[str, Tensor]


def import_published(path: Path, layout: str) -> Imported:
    """Read a checkpoint in the form that its authors published.

    Raises:
        RecipeError: no such layout, another file than the published one, one that cannot be read safely, or one whose
            names and shapes are not the network's; the message lists both sides.
    """
    form = LAYOUTS[layout]
    sha256 = _checked_sum(path, form)
    if _is_torchscript(path):
        raise RecipeError(
            f"{path}: a TorchScript archive, which holds code beside weights: save the weights alone, with "
            "torch.save(torch.jit.load(FILE, map_location='cpu').state_dict(), NEW) where you trust it, and import NEW"
        )
    tensors, network = form.translate(read_weights(path)), empty_network(form.network)
    if isinstance(network, Grown):
        network.grow(tensors)
    _compare(f"{path}: does not fit layout {layout}", network.state_dict(), tensors)
    return Imported(form.network, layout, sha256, tensors)


def write_imported(imported: Imported, path: Path) -> None:
    """Write the weights as safetensors that `load_weights` reads."""
    metadata = {"network": imported.network, "layout": imported.layout, "sha256": imported.sha256}
    _write(imported.tensors, metadata, path)


def save_trained(published: Published, path: Path) -> None:
    """Write all parts of a rival or encoder that has weights."""
    if line := published.missing():
        raise RecipeError(line)
    tensors = {
        f"{part}.{name}": value
        for part in published.parts
        for name, value in published.get_submodule(part).state_dict().items()
    }
    _write(tensors, {"name": published.name} | {f"sha256.{k}": v for k, v in published.loaded.items()}, path)


def load_weights(published: Published, paths: Iterable[Path]) -> None:
    """Fill a rival's or an encoder's parts from files that `write_imported` or `save_trained` made.

    Raises:
        RecipeError: a file is missing, damaged, of another network, or fits in name and not in shape.
    """
    for path in paths:
        tensors, about = _read(path)
        if about.get("name") == published.name:
            for part in published.parts:
                held = {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}
                fill(published, part, held, about.get(f"sha256.{part}", TRAINED), str(path))
            continue
        parts = [part for part, network in published.parts.items() if network == about.get("network")]
        if not parts:
            holds = about.get("network") or about.get("name") or "something else"
            wanted = ", ".join(sorted(set(published.parts.values()))) or "no weights"
            raise RecipeError(
                f"{path}: holds {holds}, and {published.name} needs {wanted}: give another file"
            )
        for part in parts:
            fill(published, part, tensors, about.get("sha256", ""), str(path))


def fill(published: Published, part: str, tensors: Mapping[str, Tensor], sha256: str, source: str) -> None:
    """Put weights into one part, strictly, and remember where they came from.

    Raises:
        RecipeError: names or shapes are not the part's; nothing was changed.
    """
    module: nn.Module = published.get_submodule(part)
    if isinstance(module, Grown):
        module.grow(tensors)
    _compare(f"{source}: does not fit part {part!r} of {published.name}", module.state_dict(), tensors)
    module.load_state_dict(dict(tensors), strict=True)
    published.loaded[part] = sha256


def _checked_sum(path: Path, form: Layout) -> str:
    if not path.is_file():
        raise RecipeError(f"{path}: no such file: get {form.file} at {form.origin}")
    sha256 = sha256_of(path)
    if form.sha256 and path.name == form.file and sha256 != form.sha256:
        raise RecipeError(
            f"{path}: its sha256 is {sha256}, and the published file's {form.sha256}: get it again"
        )
    return sha256


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _write(tensors: Mapping[str, Tensor], metadata: dict[str, str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise RecipeError(f"{path}: no such file: give weights that cameraborn import-checkpoint wrote")
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:  # the library's own errors have no common base
        raise RecipeError(
            f"{path}: not a safetensors file that can be read ({error}): import it again"
        ) from error


def _compare(what: str, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    sides = {
        "missing": sorted(set(expected) - set(found)),
        "unknown": sorted(set(found) - set(expected)),
        "of another shape": [
            f"{key} {list(found[key].shape)} for {list(expected[key].shape)}"
            for key in sorted(set(expected) & set(found))
            if found[key].shape != expected[key].shape
        ],
    }
    if any(sides.values()):
        listed = "; ".join(f"{side}: {_list(keys)}" for side, keys in sides.items() if keys)
        raise RecipeError(f"{what}: {listed}: check the file, or give another layout")


def _list(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
