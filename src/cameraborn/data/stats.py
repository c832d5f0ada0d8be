"""What is in a manifest, counted in one pass: splits, labels, kinds, sources, cameras, and the values of the tags."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cameraborn.data.manifest import Row, group_of
from cameraborn.engine.journal import digest
from cameraborn.photo.exif import TAGS

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Scale:
    """How a tag's values are grouped and written: around the marks of a camera's dial, in logarithms."""

    tag: str
    title: str
    marks: tuple[float, ...]
    text: Callable[[float], str]


def _seconds(value: float) -> str:
    return f"1/{1 / value:.0f} s" if value < 0.4 else f"{value:.3g} s"


_FRACTIONS = (8000, 4000, 2000, 1000, 500, 250, 125, 60, 30, 15, 8, 4, 2)  # of a second

SCALES = (
    Scale("iso", "ISO", tuple(25.0 * 2**n for n in range(14)), "{:.0f}".format),
    Scale("fnumber", "f-number", (1, 1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22, 32), "f/{:.2g}".format),
    Scale("exposure_time_s", "exposure time", (*(1 / n for n in _FRACTIONS), 1, 2, 4, 8, 15, 30), _seconds),
    Scale(
        "focal_length_mm",
        "focal length",
        (2, 2.8, 4, 5.6, 8, 11, 16, 24, 35, 50, 70, 100, 140, 200, 280, 400, 560, 800),
        "{:.3g} mm".format,
    ),
)


@dataclass
class ManifestStats:
    """Counts of a manifest. Tags are counted over photographs as they were taken; a face is a row."""

    rows: int = 0
    photographs: int = 0
    boxes: int = 0
    landmarks: int = 0
    research_only: int = 0
    groups: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    cameras: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)  # tag -> photographs that have it
    values: dict[str, array[float]] = field(
        default_factory=lambda: {scale.tag: array("d") for scale in SCALES}
    )

    def missing(self, tag: str) -> float:
        """The share of photographs without a tag; nan without photographs."""
        return 1 - self.present[tag] / self.photographs if self.photographs else math.nan


def manifest_stats(rows: Iterable[Row], report: Callable[[int], None] = lambda _: None) -> ManifestStats:
    """Count the rows, one by one; four numbers of each are kept."""
    stats = ManifestStats()
    groups: set[int] = set()
    for stats.rows, row in enumerate(rows, 1):
        report(stats.rows)
        groups.add(digest(group_of(row)))
        stats.splits[row.split] += 1
        made = f"{row.manipulation} manipulated" if row.manipulation else ""
        if row.label == "generated":
            made = row.generator
        stats.labels[f"{row.label} {made}".strip()] += 1
        stats.kinds[row.kind] += 1
        stats.sources[row.source] += 1
        stats.boxes += row.box is not None
        stats.landmarks += row.landmarks is not None
        stats.research_only += row.research_only
        if row.label == "photo" and not row.manipulation:
            stats.photographs += 1
            _count_tags(stats, row)
    stats.groups = len(groups)
    return stats


def _count_tags(stats: ManifestStats, row: Row) -> None:
    present = [tag.name for tag in TAGS if row.exif.get(tag.name) is not None]
    stats.present.update(present)
    for scale in SCALES:
        if scale.tag in present:
            stats.values[scale.tag].append(row.exif[scale.tag])
    camera = f"{row.exif.get('make') or ''} {row.exif.get('model') or ''}".strip()
    if camera:
        stats.cameras[camera] += 1


def histogram(scale: Scale, values: array[float]) -> NDArray[np.int64]:
    """How many values are nearest to each mark, in logarithms; what is beyond them counts at the last."""
    marks = np.log(np.array(scale.marks))
    positive = np.asarray(values)
    positive = positive[positive > 0]
    nearest = np.searchsorted((marks[1:] + marks[:-1]) / 2, np.log(positive))
    return np.bincount(nearest, minlength=len(marks))
