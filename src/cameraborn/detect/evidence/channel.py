"""What an evidence channel is: one reason to doubt a picture, read from declared columns of its feature."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import BundleError
from cameraborn.files import Array

Features = NDArray[np.floating]  # [N D]
Columns = tuple[tuple[int, int], ...]  # ranges of feature columns, first and one past the last, rising
Tensors = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class Evidence(ABC):
    """A channel of evidence.

    Attributes:
        name: the channel's name in its bundle.
        columns: the feature columns that it reads.
    """

    kind: ClassVar[str]  # name of the class in `kinds.KINDS` and in bundle.json
    has_seen_fakes: ClassVar[bool] = False  # whether generated pictures had a part in it

    name: str
    columns: Columns

    @abstractmethod
    def surprise(self, features: Features) -> Array:
        """How little each feature [N D] is like a photograph's, higher = less: [N]."""

    @abstractmethod
    def tensors(self) -> Tensors:
        """The fitted numbers by name, for safetensors."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, name: str, columns: Columns, tensors: Tensors) -> Self:
        """The inverse of `tensors`.

        Raises:
            BundleError: an array is missing, extra, not finite, or does not fit the columns.
        """


def select(features: Features, columns: Columns) -> Features:
    """The columns of features [N D]: [N width]."""
    parts = [features[:, first:end] for first, end in columns]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def check_width(what: str, reads: int, columns: Columns) -> None:
    """See that fitted numbers are for as many features as the columns give.

    Raises:
        BundleError: they are not.
    """
    width = sum(end - first for first, end in columns)
    if reads != width:
        raise BundleError(f"the {what} reads {reads} features and its columns are {width}: fit it again")


def repeated(columns: Columns, width: int, times: int) -> Columns:
    """The same columns of each of `times` blocks of `width` features: one side's columns become those of all sides."""
    if columns == ((0, width),):
        return ((0, width * times),)
    return tuple(
        (block * width + first, block * width + end) for block in range(times) for first, end in columns
    )
