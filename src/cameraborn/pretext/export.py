"""A finished pretext run becomes a bundle's network: ONNX for scoring, safetensors for training on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from cameraborn.detect.evidence.channel import Columns
from cameraborn.detect.evidence.pseudo_fake import PseudoFakeClassifier
from cameraborn.errors import RecipeError
from cameraborn.pretext.architectures import ARCHITECTURES, build_network
from cameraborn.pretext.recipe import Recipe
from cameraborn.pseudo.names import RECONSTRUCTED
from cameraborn.train.encoders import describe
from cameraborn.train.export import CROP_SCALE, ExportedNetwork, Finished, as_safetensors, read_finished
from cameraborn.train.onnx import Concatenated


def export_run(folder: Path, second_encoder: Path | None = None) -> ExportedNetwork:
    """Export the averaged network of a finished run; the features of a second run's follow its own.

    Raises:
        RecipeError: a folder holds no finished run, or its weights are damaged or of another network; or not both of
            two networks see single patches.
    """
    runs = [
        read_finished(path, Recipe, build_network) for path in (folder, second_encoder) if path is not None
    ]
    first, networks = runs[0].recipe, [run.network for run in runs]
    kind = first.network.input_kind
    if len(runs) > 1 and {run.recipe.network.input_kind for run in runs} != {"patches"}:
        raise RecipeError(
            f"{second_encoder}: only encoders of single patches can be put together: export it alone"
        )
    encoder = (
        networks[0].encoder if len(runs) == 1 else Concatenated([network.encoder for network in networks])
    )
    return ExportedNetwork(
        encoder=encoder,
        weights=tuple(as_safetensors(network.state_dict()) for network in networks),
        description=" beside ".join(describe(run.network.encoder, run.recipe.network) for run in runs),
        features=sum(run.recipe.network.features for run in runs),
        tasks=tuple(dict.fromkeys(task for run in runs for task in run.recipe.pretext.tasks)),
        manifest_sha256=" ".join(run.data.manifest_sha256 for run in runs),
        seen=tuple(sorted({digest for run in runs for digest in run.data.seen})),
        input_kind=kind,
        side=ARCHITECTURES[kind].side(first),
        tiles=first.network.tiles,
        crop_scale=first.faces.crop_scale if kind == "crop" else CROP_SCALE,
        crop_rule=first.faces.crop if kind == "crop" else "square",
        antialias=first.faces.antialias,
        unit_length=first.prompts is not None,
        evidence=tuple(_pseudo_fake_classifiers(runs)),
        density_columns=_density_columns(runs),
    )


def _pseudo_fake_classifiers(runs: Sequence[Finished[Recipe]]) -> Iterator[PseudoFakeClassifier]:
    """The first head that tells reconstructions: its two logits as one layer of log odds."""
    for run, columns in zip(runs, _columns(runs), strict=True):
        if RECONSTRUCTED in run.recipe.pretext.tasks:
            head = run.network.heads[RECONSTRUCTED]
            weight, bias = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
            yield PseudoFakeClassifier(
                RECONSTRUCTED, (columns,), weight[1] - weight[0], float(bias[1] - bias[0])
            )
            return


def _density_columns(runs: Sequence[Finished[Recipe]]) -> Columns:
    """The features of all networks but the one that tells reconstructions, if there are two."""
    read = {classifier.columns[0] for classifier in _pseudo_fake_classifiers(runs)}
    left = tuple(columns for columns in _columns(runs) if columns not in read)
    return left if left and read else ((0, sum(run.recipe.network.features for run in runs)),)


def _columns(runs: Sequence[Finished[Recipe]]) -> list[tuple[int, int]]:
    """The feature columns of each network."""
    ends = list(itertools.accumulate(run.recipe.network.features for run in runs))
    return list(zip([0, *ends], ends, strict=False))
