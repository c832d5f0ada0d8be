"""A bundle: everything that scoring needs, in memory. It alone knows the names of its files.

`network.onnx` is the encoder (`network.onnx.gz` where that is much smaller), and others may follow; each channel of
evidence has its fitted numbers in `NAME.safetensors`; `operations.safetensors` is the classifier of post-processing
operations; `calibration.csv` holds the scores of held-out photographs; `golden.json` holds scores of pictures made by
formula, which tell whether this machine computes what the maker's did; `seen.txt` names what was learnt from. A bundle
grows in three steps: export (the network), fit (the evidence), calibrate (the held-out scores). Each `with_` method
returns a changed copy. `store` reads and writes it.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import ConfigDict, FiniteFloat, TypeAdapter, ValidationError
from safetensors import SafetensorError

from cameraborn.degrade.residual_statistics import ResidualStatistics, noise_of
from cameraborn.detect.condition import Condition
from cameraborn.detect.conformal import Calibration
from cameraborn.detect.evidence.channel import Columns, Evidence, Features
from cameraborn.detect.evidence.combine import Standard, combine, parts
from cameraborn.detect.evidence.kinds import KINDS
from cameraborn.detect.held_out import CalibrationRow, read_rows, write_rows
from cameraborn.detect.operations import OperationClassifier
from cameraborn.detect.schema import COMPRESSED, TENSORS, BundleInfo, Channel, Coverage, Network
from cameraborn.errors import BundleError
from cameraborn.files import Array

T = TypeVar("T")
_SCORES = TypeAdapter(dict[str, FiniteFloat], config=ConfigDict(defer_build=True))
SEEN_DIGITS = 16  # hex digits kept of a photograph's SHA-256: enough to recognise it

_OPERATIONS, _CALIBRATION, _GOLDEN, _SEEN = (
    "operations" + TENSORS,
    "calibration.csv",
    "golden.json",
    "seen.txt",
)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle in memory.

    Attributes:
        info: what `bundle.json` says, but for the hashes of the files.
        files: name -> content.
        origin: where it comes from, for messages.
    """

    info: BundleInfo
    files: Mapping[str, bytes]
    origin: str

    @classmethod
    def of_network(cls, info: BundleInfo, onnx: bytes, weights: Sequence[bytes] = ()) -> Self:
        """A bundle with one network alone.

        Args:
            info: what it is; its only network names these files, and by its name whether its own is compressed.
            onnx: the encoder.
            weights: safetensors to train on from, with the heads, of each network that is in the encoder.
        """
        (network,) = info.networks
        graph = gzip.compress(onnx, mtime=0) if network.file.endswith(COMPRESSED) else onnx
        return cls(info, {network.file: graph, **dict(zip(network.weights, weights, strict=True))}, info.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.info, dict(self.files), self.origin)

    def graph(self, network: Network) -> bytes:
        """The ONNX file of a network.

        Raises:
            BundleError: it is missing, or its compressed file is damaged.
        """
        data = self._file(network.file, "export it again")
        if not network.file.endswith(COMPRESSED):
            return data
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise BundleError(
                f"{self.origin}: {network.file} is damaged ({error}): get the bundle again"
            ) from error

    @cached_property
    def evidence(self) -> tuple[Evidence, ...]:
        """The channels that are fitted.

        Raises:
            BundleError: one is damaged, of an unknown kind, or of another network.
        """
        return tuple(self._read_channel(record) for record in self.info.channels if record.file is not None)

    def channel(self, name: str) -> Evidence:
        """The channel of a name.

        Raises:
            BundleError: there is none, or it is not fitted yet, or damaged.
        """
        fitted = {channel.name: channel for channel in self.evidence}
        if name not in fitted:
            expected = name in (*self.info.combined, *(record.name for record in self.info.channels))
            step = "run 'cameraborn fit' first" if expected else f"choose from {', '.join(fitted) or 'none'}"
            raise BundleError(f"{self.origin}: the bundle has no evidence channel '{name}': {step}")
        return fitted[name]

    def columns_of(self, name: str) -> Columns:
        """The feature columns declared for a channel; all if none are."""
        declared = {record.name: record.columns for record in self.info.channels}
        return declared.get(name, ((0, self.info.width),))

    def surprises(self, features: Features) -> dict[str, Array]:
        """Each channel's surprise at features [N D]: name -> [N]."""
        return {channel.name: channel.surprise(features) for channel in self.evidence}

    def scores(self, features: Features) -> Array:
        """The combined score of each feature [N D], higher = less like a photograph: [N].

        Raises:
            BundleError: a channel that it is made of is not fitted, or damaged.
        """
        return self.combine({name: self.channel(name).surprise(features) for name in self.info.combined})

    def combine(self, surprises: Mapping[str, Array]) -> Array:
        """The combined score [N] of channels' surprises [N].

        Raises:
            BundleError: a channel is missing, or was never brought to the scale of the others.
        """
        return combine(*self._combined(surprises))

    def parts(self, surprises: Mapping[str, Array]) -> dict[str, Array]:
        """What each channel adds to the combined score [N], by name.

        Raises:
            BundleError: as `combine`.
        """
        return dict(zip(self.info.combined, parts(*self._combined(surprises)), strict=True))

    def _combined(
        self, surprises: Mapping[str, Array]
    ) -> tuple[list[Array], list[Standard], list[float] | None]:
        """The surprises that make the score, with their scales and weights."""
        names = self.info.combined
        for name in names:
            self.channel(name)
        standards = [self.info.standard_of(name) for name in names]
        if len(names) > 1 and None in standards:
            raise BundleError(f"{self.origin}: the evidence has no common scale: run 'cameraborn fit' first")
        return (
            [surprises[name] for name in names],
            [standard or Standard(0, 1) for standard in standards],
            [*self.info.weights.values()] or None,
        )

    @cached_property
    def operation_classifier(self) -> OperationClassifier | None:
        """The classifier of post-processing operations; None if it was never learnt.

        Raises:
            BundleError: it is damaged.
        """
        if _OPERATIONS not in self.files:
            return None
        return self._tensors(_OPERATIONS, OperationClassifier.from_tensors)

    def condition(self, size: float, jpeg_quality: int | None, statistics: ResidualStatistics) -> Condition:
        """The condition of a face of this size, in a file of this quality."""
        classifier = self.operation_classifier
        operation = 0 if classifier is None else classifier.operation_of(statistics)
        return Condition(size, jpeg_quality, noise_of(statistics), operation)

    @property
    def coverage(self) -> Coverage:
        """What the calibration covers.

        Raises:
            BundleError: the bundle is not calibrated.
        """
        if self.info.coverage is None:
            raise BundleError(
                f"{self.origin}: the bundle is not calibrated: run 'cameraborn calibrate' first"
            )
        return self.info.coverage

    @cached_property
    def calibration_rows(self) -> tuple[CalibrationRow, ...]:
        """The held-out photographs, each at most once in a category.

        Raises:
            BundleError: there are none, or the table is damaged.
        """
        operations = self.coverage.operations
        table = self._file(_CALIBRATION, "run 'cameraborn calibrate' first")
        try:
            return read_rows(table.decode("utf-8"), operations)
        except ValueError as error:
            raise BundleError(
                f"{self.origin}: {_CALIBRATION} is damaged ({error}): calibrate again"
            ) from error

    @cached_property
    def calibration(self) -> Calibration:
        """The held-out combined scores, apart for each category.

        Raises:
            BundleError: there are none, or they and the recorded categories do not fit together.
        """
        return self._calibration([row.score for row in self.calibration_rows])

    @cached_property
    def channel_calibrations(self) -> dict[str, Calibration]:
        """The held-out surprises of each channel that has been calibrated.

        Raises:
            BundleError: as `calibration`.
        """
        rows = self.calibration_rows
        return {
            channel.name: self._calibration([row.surprises[channel.name] for row in rows])
            for channel in self.evidence
            if all(channel.name in row.surprises for row in rows)
        }

    @property
    def golden(self) -> dict[str, float]:
        """Name of a picture made by formula -> its combined score.

        Raises:
            BundleError: the bundle is not calibrated, or they are damaged.
        """
        data = self._file(_GOLDEN, "run 'cameraborn calibrate' first")
        try:
            return _SCORES.validate_json(data)
        except ValidationError as error:
            raise BundleError(f"{self.origin}: {_GOLDEN} is damaged: calibrate again") from error

    @cached_property
    def seen(self) -> frozenset[str]:
        """Beginnings of the SHA-256 of all that the network and the evidence have learnt from.

        Raises:
            BundleError: the list is damaged.
        """
        try:
            return frozenset(self.files.get(_SEEN, b"").decode("ascii").split())
        except UnicodeDecodeError as error:
            raise BundleError(f"{self.origin}: {_SEEN} is damaged: get the bundle again") from error

    def has_seen(self, sha256: str) -> bool:
        """Whether the file of this SHA-256 was learnt from."""
        return sha256[:SEEN_DIGITS] in self.seen

    def with_info(self, **changes: object) -> Self:
        """With other fields of `bundle.json`: a name, versions, a preprocessing."""
        return self._changed(changes)

    def with_channel(self, record: Channel) -> Self:
        """With a channel declared, in its older place if it has one."""
        channels = {known.name: known for known in self.info.channels} | {record.name: record}
        return self._changed({"channels": tuple(channels.values())})

    def with_evidence(self, evidence: Evidence) -> Self:
        """With the fitted numbers of a channel, in place of older ones."""
        name = evidence.name + TENSORS
        record = Channel(name=evidence.name, kind=evidence.kind, columns=evidence.columns, file=name)
        files = {name: safetensors.numpy.save(dict(evidence.tensors()))}
        return self.with_channel(record)._changed({}, files)

    def with_combination(
        self, standards: Mapping[str, Standard | None], weights: Mapping[str, float] | None = None
    ) -> Self:
        """With a score that is made of these channels, which come first, in this order.

        Args:
            standards: each channel's common scale; None where it has none, which one channel alone does without.
            weights: each channel's weight in the score; empty: none. By default channels that make a score together
                already keep theirs.
        """
        if weights is None:
            known = self.info.weights
            weights = known if known.keys() == standards.keys() else {}
        channels = tuple(
            _combined(record, standards.get(record.name), weights.get(record.name))
            for record in self.info.channels
        )
        combined = tuple(standards)
        ordered = sorted(channels, key=lambda record: (*combined, record.name).index(record.name))
        return self._changed({"channels": tuple(ordered), "combined": combined})

    def without_evidence(self, names: Iterable[str]) -> Self:
        """Without some channels."""
        dropped = set(names)
        channels = tuple(record for record in self.info.channels if record.name not in dropped)
        return self._changed({"channels": channels}, drop=[name + TENSORS for name in dropped])

    def with_operations(self, classifier: OperationClassifier) -> Self:
        """With a classifier of operations."""
        return self._changed({}, {_OPERATIONS: safetensors.numpy.save(classifier.tensors())})

    def with_seen(self, hashes: Iterable[str]) -> Self:
        """With photographs that were learnt from, beside those of before, by their SHA-256: none may calibrate."""
        seen = self.seen | {digest[:SEEN_DIGITS] for digest in hashes}
        return self._changed({}, {_SEEN: ("\n".join(sorted(seen)) + "\n").encode()})

    def with_calibration(self, coverage: Coverage, rows: Sequence[CalibrationRow]) -> Self:
        """With held-out photographs; what was calibrated before is dropped."""
        channels = [channel.name for channel in self.evidence]
        table = write_rows(rows, coverage.operations, channels)
        return self.without_calibration()._changed({"coverage": coverage}, {_CALIBRATION: table})

    def with_golden(self, scores: Mapping[str, float]) -> Self:
        """With the combined scores of pictures made by formula."""
        return self._changed({}, {_GOLDEN: (json.dumps(dict(scores), indent=1) + "\n").encode()})

    def without_calibration(self) -> Self:
        """Without what calibrate adds."""
        return self._changed({"coverage": None}, drop=[_CALIBRATION, _GOLDEN])

    def _changed(
        self, info: Mapping[str, object], files: Mapping[str, bytes] | None = None, drop: Sequence[str] = ()
    ) -> Self:
        kept = {name: data for name, data in self.files.items() if name not in drop}
        return type(self)(self.info.model_copy(update=info), {**kept, **(files or {})}, self.origin)

    def _read_channel(self, record: Channel) -> Evidence:
        if record.columns[-1][1] > self.info.width:
            raise BundleError(
                f"{self.origin}: channel '{record.name}' reads {record.columns[-1][1]} features and the networks give "
                f"{self.info.width}: fit it again"
            )
        name = record.file or ""
        self._file(name, "get the bundle again")
        return self._tensors(
            name, lambda tensors: KINDS[record.kind].from_tensors(record.name, record.columns, tensors)
        )

    def _calibration(self, scores: Sequence[float]) -> Calibration:
        coverage = self.coverage
        taxonomy = coverage.taxonomy
        told = 0 if self.operation_classifier is None else self.operation_classifier.operations
        if len(coverage.operations) != told:
            raise BundleError(
                f"{self.origin}: the classifier tells {told} operations and the calibration "
                f"{len(coverage.operations)}: fit and calibrate again"
            )
        apart: list[list[float]] = [[] for _ in taxonomy.categories]
        if taxonomy.is_complete:
            for row, score in zip(self.calibration_rows, scores, strict=True):
                apart[taxonomy.category_of(row.condition)].append(score)
        if not taxonomy.is_complete or not all(apart):
            raise BundleError(
                f"{self.origin}: bundle.json's categories of condition are incomplete: calibrate again"
            )
        return Calibration(taxonomy, tuple(np.sort(part) for part in apart), coverage.tail)

    def _tensors(self, name: str, read: Callable[[dict[str, NDArray[Any]]], T]) -> T:
        """What a file of tensors holds; errors name the bundle."""
        try:
            return read(safetensors.numpy.load(self.files[name]))
        except SafetensorError as error:
            raise BundleError(f"{self.origin}: {name} is damaged ({error}): get the bundle again") from error
        except BundleError as error:
            raise BundleError(f"{self.origin}: {name}: {error}") from error

    def _file(self, name: str, remedy: str) -> bytes:
        if name not in self.files:
            raise BundleError(f"{self.origin}: the bundle has no {name}: {remedy}")
        return self.files[name]


def _combined(record: Channel, standard: Standard | None, weight: float | None) -> Channel:
    """A channel with its part in the score."""
    changes: dict[str, object] = {"weight": weight}
    if standard is not None:
        changes["standard"] = (standard.location, standard.scale)
    return record.model_copy(update=changes)
