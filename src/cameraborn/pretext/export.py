"""A finished run becomes a bundle's network: ONNX for scoring, safetensors for training on.

The ONNX graph takes pixels as they come, uint8: `patches` [N 3 64 64] to `features` [N D], a `crop` [N 3 S S] already
shrunk to the network's side to the same, or a `patch-set`, one picture's patches [P 3 64 64], to `features` [1 D].
"""

from __future__ import annotations

import copy
import itertools
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cameraborn.data.manifest import sha256_of
from cameraborn.detect.evidence.channel import Columns, Evidence
from cameraborn.detect.evidence.pseudo_fake import PseudoFakeClassifier
from cameraborn.errors import RecipeError
from cameraborn.networks.sdaie import SdaieNet
from cameraborn.photo.patches import PATCH_SIZE
from cameraborn.pretext.architectures import ARCHITECTURES, build_network
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.selection import select_rows
from cameraborn.pseudo.names import RECONSTRUCTED


@dataclass(frozen=True)
class ExportedNetwork:
    """What a bundle holds of a run."""

    onnx: bytes
    weights: bytes  # safetensors, with the heads
    description: str
    features: int
    tasks: tuple[str, ...]
    manifest_sha256: str
    seen: tuple[str, ...]  # SHA-256 of every photograph that was trained on
    input_kind: Literal["patches", "patch-set", "crop"]  # and the name of the graph's input
    side: int  # of that input, pixels
    crop_scale: float  # of faces: side of the crop over the longer side of the box
    antialias: bool  # of faces: how the crop is shrunk
    evidence: tuple[Evidence, ...] = ()  # channels that the network brings, of columns of the finest side
    density_columns: Columns = ()  # of one side, that are left to a density of photographs; none for a classifier
    beside: bytes | None = None  # the weights of a second network


@dataclass(frozen=True)
class _Run:
    """A finished run, read."""

    recipe: Recipe
    network: Any  # a module with `encoder` and `heads`
    seen: frozenset[str]


def export_run(folder: Path, beside: Path | None = None) -> ExportedNetwork:
    """Export the averaged network of a finished run; with that of another `beside` it, whose features follow its own.

    Raises:
        RecipeError: a folder holds no finished run, or its weights are damaged or of another network; or not both of
            two networks see single patches.
        ManifestError: the photographs that it learnt from are not there any more.
    """
    runs = [_read_run(path) for path in (folder, beside) if path is not None]
    first, networks = runs[0].recipe, [run.network for run in runs]
    architecture = ARCHITECTURES[first.network.type]
    if len(runs) > 1 and {ARCHITECTURES[run.recipe.network.type].input_kind for run in runs} != {"patches"}:
        raise RecipeError(
            f"{beside}: only networks of single patches can stand beside each other: export it alone"
        )
    encoder = networks[0].encoder if len(runs) == 1 else SideBySide([network.encoder for network in networks])
    weights = [
        save({name: value.contiguous() for name, value in network.state_dict().items()})
        for network in networks
    ]
    return ExportedNetwork(
        onnx=to_onnx(encoder, architecture.input_kind, architecture.side(first)),
        weights=weights[0],
        description=" beside ".join(_describe(run) for run in runs),
        features=sum(run.recipe.network.features for run in runs),
        tasks=tuple(dict.fromkeys(task for run in runs for task in run.recipe.pretext.tasks)),
        manifest_sha256=" ".join(sha256_of(run.recipe.data.manifest) for run in runs),
        seen=tuple(sorted(frozenset().union(*(run.seen for run in runs)))),
        input_kind=architecture.input_kind,
        side=architecture.side(first),
        crop_scale=first.faces.crop_scale,
        antialias=first.faces.antialias,
        evidence=tuple(_pseudo_fake_classifiers(runs)),
        density_columns=_density_columns(runs),
        beside=weights[1] if len(runs) > 1 else None,
    )


class SideBySide(nn.Module):
    """Several encoders of the same patches, their features one after the other."""

    def __init__(self, encoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches [N 3 64 64] to features [N D1+D2+...]."""
        return torch.cat([encoder(patches) for encoder in self.encoders], dim=1)


def _read_run(folder: Path) -> _Run:
    weights, recipe_file = folder / "network.safetensors", folder / "recipe.json"
    if not (weights.is_file() and recipe_file.is_file()):
        raise RecipeError(f"{folder}: holds no finished run: let 'cameraborn train' finish there first")
    try:
        recipe = Recipe.model_validate_json(recipe_file.read_bytes())
        network = build_network(recipe)
        network.load_state_dict(load_file(weights))
    except (ValidationError, safetensors.SafetensorError, RuntimeError) as error:
        raise RecipeError(
            f"{folder}: the run is damaged ({str(error).splitlines()[0]}): train it again"
        ) from error
    train_rows, _ = select_rows(recipe)
    # A copy of a photograph stands for the photograph.
    seen = frozenset(row.original or row.sha256 for row in train_rows)
    return _Run(recipe, network, seen)


def _describe(run: _Run) -> str:
    parameters = sum(p.numel() for p in run.network.encoder.parameters())
    size = json.dumps(run.recipe.network.encoder_sizes())
    return f"{type(run.network.encoder).__name__} {size} ({parameters:,} parameters)"


def _pseudo_fake_classifiers(runs: Sequence[_Run]) -> Iterator[PseudoFakeClassifier]:
    """The first head that tells reconstructions: its two logits as one layer of log odds."""
    for run, columns in zip(runs, _columns(runs), strict=True):
        if RECONSTRUCTED in run.recipe.pretext.tasks:
            head = run.network.heads[RECONSTRUCTED]
            weight, bias = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
            yield PseudoFakeClassifier(
                RECONSTRUCTED, (columns,), weight[1] - weight[0], float(bias[1] - bias[0])
            )
            return


def _density_columns(runs: Sequence[_Run]) -> Columns:
    """The features of all networks but the one that tells reconstructions, if there are two."""
    read = {classifier.columns[0] for classifier in _pseudo_fake_classifiers(runs)}
    left = tuple(columns for columns in _columns(runs) if columns not in read)
    return left if left and read else ((0, sum(run.recipe.network.features for run in runs)),)


def _columns(runs: Sequence[_Run]) -> list[tuple[int, int]]:
    """The feature columns of each network."""
    ends = list(itertools.accumulate(run.recipe.network.features for run in runs))
    return list(zip([0, *ends], ends, strict=False))


def to_onnx(encoder: nn.Module, input_name: str = "patches", side: int = PATCH_SIZE) -> bytes:
    """The encoder as an ONNX file with a free batch size; its input is uint8 [N 3 side side]."""
    # A copy in the layout that ONNX knows: the graph is traced along the layout that the weights have.
    encoder = copy.deepcopy(encoder).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    graph = (_SetFromBytes(encoder) if isinstance(encoder, SdaieNet) else _FromBytes(encoder)).eval()
    example = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter, which no user can act on
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            input_names=[input_name],
            output_names=["features"],
            dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RecipeError(
            "torch could not export the network: install the tested versions from constraints.txt"
        )
    graph_file: bytes = program.model_proto.SerializeToString()
    return graph_file


class _FromBytes(nn.Module):
    """The encoder behind the cast from uint8."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.encoder(pixels.float())
        return features


class _SetFromBytes(nn.Module):
    """The encoder of a set of patches behind the cast from uint8, for one picture."""

    def __init__(self, encoder: SdaieNet) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, patches: Tensor) -> Tensor:
        features: Tensor = self.encoder(patches.float()[None])
        return features
