"""Bundles of older schemas become bundles of this one with the same scores.

Schema 3 knew one network, whose description stood in the open. It is that of a bundle here with one network.

Schema 2 kept the fitted numbers in files of fixed names: `mixture.safetensors`, `redrawn.safetensors`,
`head.safetensors` and `recogniser.safetensors`. Which features the mixture read was told by exact zeros in the weights
of `redrawn.safetensors`. It kept no held-out surprises of single channels, so those of a converted bundle are unknown
until it is calibrated again, but for a bundle with one channel, whose surprise is the score.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from cameraborn.detect.bundle import Bundle
from cameraborn.detect.evidence.channel import Columns, repeated
from cameraborn.detect.evidence.combine import Standard
from cameraborn.detect.evidence.density import Density
from cameraborn.detect.evidence.kinds import GENERATORS, PHOTOGRAPHS, RECONSTRUCTED
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.detect.evidence.pseudo_fake import PseudoFakeClassifier
from cameraborn.detect.held_out import read_rows
from cameraborn.detect.operations import OperationClassifier
from cameraborn.detect.schema import BundleInfo, Channel, Coverage
from cameraborn.detect.store import CONVERTIBLE, read_checked
from cameraborn.errors import BundleError, first_line

_OF_NETWORK = ("features", "preprocessing", "tasks", "manifest_sha256")
_WEIGHTS = ("weights.safetensors", "beside.safetensors")


def convert_bundle(path: Path) -> Bundle:
    """Read a bundle of schema 2 or 3, a folder or a zip, as one of this schema.

    Raises:
        BundleError: it is missing, foreign, of another schema, incomplete, or damaged.
    """
    fields, files = read_checked(path, *CONVERTIBLE)
    try:
        if fields["schema_version"] == 3:
            return Bundle(BundleInfo.model_validate(_with_networks(fields, files)), files, str(path))
        return _calibrated(_fitted(_network(fields, files, str(path)), files), fields, files)
    except (KeyError, TypeError, ValueError, SafetensorError) as error:  # pydantic's errors are ValueErrors
        reason = first_line(error)
        raise BundleError(f"{path}: cannot be converted ({reason}): get the bundle again") from error


def _network(fields: Mapping[str, Any], files: Mapping[str, bytes], origin: str) -> Bundle:
    tasks = [RECONSTRUCTED if name == "redrawn" else name for name in fields.get("tasks", ())]
    info = BundleInfo.model_validate(_with_networks({**fields, "tasks": tasks, "coverage": None}, files))
    weights = [_with_renamed_heads(files[name]) for name in info.networks[0].weights]
    bundle = Bundle.of_network(info, files["network.onnx"], weights)
    return replace(bundle.with_seen(files.get("seen.txt", b"").decode().split()), origin=origin)


def _with_networks(fields: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """The fields of `bundle.json` with those of its only network in a record of its own."""
    network = {name: fields[name] for name in _OF_NETWORK if name in fields}
    network |= {
        "file": "network.onnx",
        "weights": [name for name in _WEIGHTS if name in files],
        "description": fields["network"],
    }
    dropped = ("schema_version", "files", "network", *_OF_NETWORK)
    return {name: value for name, value in fields.items() if name not in dropped} | {"networks": [network]}


def _fitted(bundle: Bundle, files: Mapping[str, bytes]) -> Bundle:
    """With the evidence, and the channels that made the score in schema 2."""
    if "recogniser.safetensors" in files:
        classifier = OperationClassifier.from_tensors(safetensors.numpy.load(files["recogniser.safetensors"]))
        bundle = bundle.with_operations(classifier)
    if "head.safetensors" in files:
        return _with_head(bundle, files)
    if "redrawn.safetensors" in files:
        return _with_boundary(bundle, files)
    return _with_mixture(bundle, files, ((0, bundle.info.width),))


def _with_head(bundle: Bundle, files: Mapping[str, bytes]) -> Bundle:
    columns = ((0, bundle.info.width),)
    head = BinaryClassifier.from_tensors(
        GENERATORS, columns, safetensors.numpy.load(files["head.safetensors"])
    )
    if "mixture.safetensors" in files:
        bundle = _with_mixture(bundle, files, columns)
    return bundle.with_evidence(head).with_combination({GENERATORS: None})


def _with_boundary(bundle: Bundle, files: Mapping[str, bytes]) -> Bundle:
    tensors = {
        name: np.asarray(tensor, np.float64)
        for name, tensor in safetensors.numpy.load(files["redrawn.safetensors"]).items()
    }
    network, weight = bundle.info.networks[0], tensors["weight"]
    unread = weight == 0
    columns = _ranges(~unread)
    boundary = PseudoFakeClassifier(RECONSTRUCTED, columns, weight[~unread], float(tensors["bias"][0]))
    left = _ranges(unread) if unread.any() else ((0, network.features),)
    columns = repeated(left, network.features, len(network.preprocessing.sides))
    bundle = _with_mixture(bundle, files, columns)
    bundle = bundle.with_evidence(boundary)
    if "location" not in tensors:
        return bundle
    standards = [
        Standard(*map(float, pair)) for pair in zip(tensors["location"], tensors["scale"], strict=True)
    ]
    return bundle.with_combination(dict(zip((PHOTOGRAPHS, RECONSTRUCTED), standards, strict=True)))


def _with_mixture(bundle: Bundle, files: Mapping[str, bytes], columns: Columns) -> Bundle:
    """With the density, or its columns alone where none is fitted yet."""
    if "mixture.safetensors" not in files:
        return bundle.with_channel(Channel(name=PHOTOGRAPHS, kind=Density.kind, columns=columns))
    tensors = safetensors.numpy.load(files["mixture.safetensors"])
    return bundle.with_evidence(Density.from_tensors(PHOTOGRAPHS, columns, tensors))


def _calibrated(bundle: Bundle, fields: Mapping[str, Any], files: Mapping[str, bytes]) -> Bundle:
    if fields.get("coverage") is None:
        return bundle
    renamed = {"handlings": "operations", "classes": "categories"}
    coverage = Coverage.model_validate(
        {renamed.get(name, name): value for name, value in fields["coverage"].items()}
    )
    header, _, lines = files["calibration.csv"].decode("utf-8").partition("\n")
    rows = read_rows(f"{header.replace('handling', 'operation')}\n{lines}", coverage.operations)
    if len(bundle.info.combined) == len(bundle.evidence) == 1:
        rows = tuple(replace(row, surprises={bundle.evidence[0].name: row.score}) for row in rows)
    return bundle.with_calibration(coverage, rows).with_golden(json.loads(files["golden.json"]))


def _with_renamed_heads(data: bytes) -> bytes:
    """Weights to train on from, whose heads are called by their tasks."""
    tensors = safetensors.numpy.load(data)
    old, new = "heads.redrawn.", f"heads.{RECONSTRUCTED}."
    if not any(name.startswith(old) for name in tensors):
        return data
    return safetensors.numpy.save({name.replace(old, new): tensor for name, tensor in tensors.items()})


def _ranges(chosen: NDArray[np.bool_]) -> Columns:
    """The runs of chosen columns."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return tuple((int(first), int(end)) for first, end in edges.reshape(-1, 2))
