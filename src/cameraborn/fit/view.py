"""One view of a face, and what one photograph gives of them; as JSON, they are kept by runs that may be interrupted."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameraborn.data.duplicates import Fingerprint
from cameraborn.data.manifest import hashes_of
from cameraborn.degrade.residual_statistics import N_STATISTICS, ResidualStatistics
from cameraborn.detect.condition import Condition
from cameraborn.detect.observe import Feature
from cameraborn.fit.photographs import Photograph

# Statistics of a face, and the place in `OPERATIONS` of what was done to it.
Example = tuple[ResidualStatistics, int]


@dataclass(frozen=True, eq=False)
class View:
    """One view of one face (or whole photograph): as it is, or after a random operation."""

    photograph: Photograph
    sha256: str
    shown: str  # SHA-256 of the photograph's pixels, which stay when a file is stored anew
    feature: Feature | None  # [D]; None where no network ran
    condition: Condition
    statistics: ResidualStatistics
    colour: bool

    @property
    def hashes(self) -> tuple[str, ...]:
        """Those of the file, of its pixels and of its original."""
        return self.shown, *hashes_of(self.sha256, self.photograph.original)


@dataclass(frozen=True, eq=False)
class Viewed:
    """The views of one photograph, what its copies show of operations, and why there are none.

    `sha256` and `shown`, those of the file and of its pixels, are None where it could not be read; `looks`, by which it
    is known when it was saved again, where it has no views.
    """

    path: str
    sha256: str | None
    shown: str | None
    views: list[View]
    examples: list[Example]
    problem: str | None
    looks: Fingerprint | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it, exactly; `of_json` reads it back."""
        return {
            "sha256": self.sha256,
            "shown": self.shown,
            "features": [None if view.feature is None else _packed([view.feature]) for view in self.views],
            "conditions": [astuple(view.condition) for view in self.views],
            "statistics": _packed([view.statistics for view in self.views]),
            "colours": [view.colour for view in self.views],
            "example_statistics": _packed([statistics for statistics, _ in self.examples]),
            "example_operations": [operation for _, operation in self.examples],
            "problem": self.problem,
            "looks": None if self.looks is None else base64.b64encode(bytes(self.looks)).decode(),
        }

    @staticmethod
    def of_json(fields: Mapping[str, Any], photograph: Photograph, width: int) -> Viewed:
        """What `to_json` made of a photograph; features have this width.

        Raises:
            ValueError, LookupError, TypeError: it did not.
        """
        columns = (
            [None if text is None else _unpacked(text, width)[0] for text in fields["features"]],
            [Condition(*condition) for condition in fields["conditions"]],
            _unpacked(fields["statistics"], N_STATISTICS),
            fields["colours"],
        )
        sha256, shown = fields["sha256"], fields["shown"]
        views = [View(photograph, sha256, shown, *one) for one in zip(*columns, strict=True)]
        statistics = _unpacked(fields["example_statistics"], N_STATISTICS)
        examples = list(zip(statistics, fields["example_operations"], strict=True))
        looks = None if fields["looks"] is None else Fingerprint.of(base64.b64decode(fields["looks"]))
        return Viewed(photograph.path, sha256, shown, views, examples, fields["problem"], looks)


def _packed(rows: Sequence[NDArray[np.float32]]) -> str:
    """Rows of equal length as base64: exact, and a third of what their digits would take."""
    return base64.b64encode(np.array(rows, "<f4").tobytes()).decode()


def _unpacked(text: str, width: int) -> NDArray[np.float32]:
    """[N width]."""
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32).reshape(-1, width)
