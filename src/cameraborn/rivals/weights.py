"""Published checkpoints in, safetensors of ours out, and these into rivals: strictly, or not at all.

A file of ours holds one network under its published names, or all parts of a rival that was trained here under
`PART.NAME`; its metadata say which, and the sha256 of the published file that it came from.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cameraborn.data.manifest import sha256_of
from cameraborn.errors import RecipeError, first_line, no_file
from cameraborn.files import replacing
from cameraborn.rivals.published import (
    LAYOUTS,
    TRAINED,
    Grown,
    Layout,
    Published,
    empty_network,
    missing_weights,
)
from cameraborn.train.plain_state import is_torchscript
from cameraborn.train.weights import read_weights

_SHOWN = 5  # keys of each side in an error
_COUNTER = ".num_batches_tracked"  # of batch norm
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Imported:
    """The weights of one network, by its own names, and the sha256 of the file they were read from.

    `notice` says what a user should know of a file that is not the one that was published; else it is empty.
    """

    network: str
    layout: str
    sha256: str
    tensors: Mapping[str, Tensor]
    notice: str = ""


def import_published(path: Path, layout: str) -> Imported:
    """Read a checkpoint in the form that its authors published.

    Raises:
        RecipeError: no such layout, another file than the published one, the published one of another layout, one that
            cannot be read safely, or one whose names, shapes or numbers are not the network's; the message lists both
            sides.
    """
    form = LAYOUTS[layout]
    if not path.is_file():
        raise RecipeError(no_file(path, "file", f"get {form.source}"))
    sha256 = sha256_of(path)
    archive = is_torchscript(path)
    _refuse_of_other_layout(path, sha256, layout)
    _refuse_another(path, sha256, form, archive=archive)
    if archive:
        sum_of_archives = form.sha256 if form.kind == "torchscript" else None
        owned = replace(form, kind="torchscript", sha256=sum_of_archives)
        raise RecipeError(f"{path}: {owned.steps(layout, str(path))}")
    read = read_weights(path)
    try:
        tensors = form.translate(read)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
    tensors, expected = _with_state(form, tensors)
    _compare(f"{path}: does not fit layout {layout}", expected, tensors)
    return Imported(form.network, layout, sha256, tensors, _notice(path, sha256, form))


def _with_state(form: Layout, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Translated weights, and the state of the network that they should be: names and shapes alone.

    Files of PyTorch before 0.4.1 have none of batch norm's counters, which decide nothing: they become 0, as there.
    """
    network = empty_network(form.network)
    if isinstance(network, Grown):
        network.grow(tensors)
    expected = network.state_dict()
    counters = [key for key in expected if key.endswith(_COUNTER)]
    if not any(key.endswith(_COUNTER) for key in tensors):
        tensors = tensors | {key: torch.zeros((), dtype=torch.long) for key in counters}
    return tensors, expected


def layouts_with_keys_of(path: Path) -> list[str]:
    """The layouts whose networks have exactly a checkpoint's names and shapes; none, if it cannot be read.

    Several have them alike, such as those of one autoencoder's versions.
    """
    try:
        read = read_weights(path)
    except RecipeError:
        return []
    return [name for name, form in LAYOUTS.items() if _has_keys(form, read)]


def _has_keys(form: Layout, read: Mapping[str, Tensor]) -> bool:
    try:
        tensors, expected = _with_state(form, form.translate(read))
    except (RecipeError, KeyError):
        return False
    return {key: value.shape for key, value in tensors.items()} == {
        key: value.shape for key, value in expected.items()
    }


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
        RecipeError: a file is missing, damaged, of another network, fits in name and not in shape, holds more than
            the network, does not say where its weights come from, or is the second one for a part.
    """
    filled: dict[str, Path] = {}
    for path in paths:
        tensors, about = _read(path, published)
        parts = _parts_in(published, about, path)
        if twice := next((part for part in parts if part in filled), ""):
            raise RecipeError(
                f"{path}: holds weights of part {twice!r} of {published.name}, and so does {filled[twice]}: give one "
                "of both"
            )
        filled |= dict.fromkeys(parts, path)
        if about.get("name") == published.name:
            _fill_all(published, tensors, about, path)
            continue
        sha256 = _source(path, about, "sha256")
        for part in parts:
            fill(published, part, tensors, sha256, str(path))


def _parts_in(published: Published, about: Mapping[str, str], path: Path) -> list[str]:
    """The parts that a file has weights of, by its metadata."""
    if about.get("name") == published.name:
        return list(published.parts)
    parts = [part for part, network in published.parts.items() if network == about.get("network")]
    if not parts:
        holds = about.get("network") or about.get("name") or "something else"
        wanted = ", ".join(sorted(set(published.parts.values()))) or "no weights"
        raise RecipeError(f"{path}: holds {holds}, and {published.name} needs {wanted}: give another file")
    return parts


def fill(published: Published, part: str, tensors: Mapping[str, Tensor], sha256: str, source: str) -> None:
    """Put weights into one part, strictly, and remember where they came from.

    Raises:
        RecipeError: names, shapes or numbers are not the part's; nothing was changed.
    """
    module: nn.Module = published.get_submodule(part)
    expected = module
    if isinstance(module, Grown):
        expected = grown = copy.deepcopy(module)
        grown.grow(tensors)
    _compare(f"{source}: does not fit part {part!r} of {published.name}", expected.state_dict(), tensors)
    if isinstance(module, Grown):
        module.grow(tensors)
    module.load_state_dict(dict(tensors), strict=True)
    published.count_as_loaded(part, sha256)


def _fill_all(
    published: Published, tensors: Mapping[str, Tensor], about: Mapping[str, str], path: Path
) -> None:
    """All parts from a file that `save_trained` made."""
    held: dict[str, dict[str, Tensor]] = {part: {} for part in published.parts}
    strange = []
    for key, value in tensors.items():
        part = next((part for part in held if key.startswith(f"{part}.")), None)
        if part is None:
            strange.append(key)
        else:
            held[part][key.removeprefix(f"{part}.")] = value
    if strange:
        raise RecipeError(
            f"{path}: holds what is no part of {published.name}: {_list(sorted(strange))}: give another file"
        )
    sources = {part: _source(path, about, f"sha256.{part}") for part in held}
    for part, state in held.items():
        fill(published, part, state, sources[part], str(path))


def _source(path: Path, about: Mapping[str, str], key: str) -> str:
    """Where a file says that weights come from."""
    source = about.get(key, "")
    if not _SHA256.fullmatch(source) and not (key != "sha256" and source == TRAINED):
        raise RecipeError(
            f"{path}: its metadata do not say where its weights come from ({key}: {source or 'none'}): "
            "import or train them again"
        )
    return source


def _refuse_of_other_layout(path: Path, sha256: str, layout: str) -> None:
    """The published file of other layouts, whose names and shapes may be the same."""
    others = [name for name, form in LAYOUTS.items() if form.sha256 == sha256]
    if others and layout not in others:
        file = LAYOUTS[others[0]].file
        raise RecipeError(
            f"{path}: by its sha256 this is {file} of layout {others[0]}, not of {layout}: give --layout {others[0]}"
        )


def _refuse_another(path: Path, sha256: str, form: Layout, *, archive: bool) -> None:
    """A file that goes by the published one's name and kind, and is another.

    A plain state under the name of a TorchScript archive may be what its owner saved of it.
    """
    alike = path.name == form.file and (archive or form.kind != "torchscript")
    if alike and form.sha256 and sha256 != form.sha256:
        raise RecipeError(
            f"{path}: its sha256 is {sha256}, and the published file's {form.sha256}: get it again"
        )


def _notice(path: Path, sha256: str, form: Layout) -> str:
    if form.sha256 is None or sha256 == form.sha256:
        return ""
    begun = f"{path}: its sha256 is not that of the published file {form.file} ({form.sha256})"
    if form.kind != "state":
        return f"{begun}, which holds code: nothing here tells whether its weights were saved from that file"
    return f"{begun}: not the authors' weights, unless somebody saved them anew"


def _write(tensors: Mapping[str, Tensor], metadata: dict[str, str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata)


def _read(path: Path, published: Published) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise RecipeError(no_file(path, "file", _ways(published, path)))
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:  # the library's own errors have no common base
        raise RecipeError(
            f"{path}: not a safetensors file that can be read ({first_line(error)}): {_ways(published, path)}"
        ) from error


def _ways(published: Published, path: Path) -> str:
    """What to do for a file of weights that is not there: for the part that it is named after, or the first without."""
    lacking = {part: network for part, network in published.parts.items() if part not in published.loaded}
    part = next(
        (part for part, network in lacking.items() if network == path.stem), next(iter(lacking), None)
    )
    if part is None:
        return f"{published.name} has all weights that it needs: leave it out"
    output = str(path.with_suffix(".safetensors"))
    return f"{published.name}: {missing_weights(lacking[part], published.recipe_of(part), output)}"


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
    if not any(sides.values()):  # else the numbers do not matter
        sides |= _wrong_numbers(expected, found)
    if any(sides.values()):
        listed = "; ".join(f"{side}: {_list(keys)}" for side, keys in sides.items() if keys)
        raise RecipeError(f"{what}: {listed}: check the file, or give another layout")


def _wrong_numbers(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Integers where there should be floats, or the other way, and what is infinite or no number."""
    return {
        "of another type": [
            f"{key} {found[key].dtype} for {expected[key].dtype}"
            for key in sorted(expected)
            if found[key].is_floating_point() != expected[key].is_floating_point()
        ],
        "NaN or infinite": [key for key in sorted(found) if not bool(torch.isfinite(found[key]).all())],
    }


def _list(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
