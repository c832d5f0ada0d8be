"""The papers' printed figures, and why ours may not be set against them.

`published.csv` holds what the papers are known to have printed, in percent, with its source; a figure that is known
only from a third party's digest says so. None of it was measured here.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from cameraborn.bench.config import BenchConfig
from cameraborn.bench.record import DetectorRecord
from cameraborn.bench.scorers import PROTOCOL
from cameraborn.report.results import Comparison

# What the papers call what others call otherwise, after `_plain`.
_ALIASES = {
    "clipvitl14": "clip",
    "clipvitb16": "clip",
    "cliprn50": "clip",
    "exifaslanguage": "exiflan",
    "sd21": "sdv21",
    "stablediffusion21": "sdv21",
    "stablediffusionv21": "sdv21",
    "stablediffusionv21text2imgp2g3": "sdv21",
    "freedomt": "freedom",
    "vqgancelebahq": "vqgan",
    "midj": "midjourney",
}
# What stands in the row that the papers gave to their own detector, though it is another.
_OURS = {"default": "aigfdexif"}
# Where figures of the tables of AIGFD-EXIF are known from; BLADES prints those of Table II again.
_PLACES = {"I": (("AIGFD-EXIF", "I"),), "II": (("AIGFD-EXIF", "II"), ("BLADES", "AUC"))}
_AVERAGE = "average of nine"
_LEARNT_FROM = "CelebA-HQ and VQGAN's pictures (DIRE: LDM's)"  # every rival of Table I
_METRICS = {"accuracy": "accuracy", "AUC": "auc", "average precision": "ap_photo"}


@dataclass(frozen=True)
class Published:
    """One printed figure.

    Attributes:
        paper: its short name.
        table: where it stands there.
        detector: as the paper calls it.
        test_set: a generator, or `average of nine`.
        metric: `accuracy`, `average precision`, `AUC`, ...
        positive_class: the positive class, if the metric has one: `photo`, `generated`, or `not stated`.
        value: in percent (F: as it is).
        source: where to find it.
        third_party: known from someone else's digest of the paper alone.
    """

    paper: str
    table: str
    detector: str
    test_set: str
    metric: str
    positive_class: str
    value: float
    source: str
    third_party: bool


@cache
def published_figures() -> tuple[Published, ...]:
    """Every figure of `published.csv`."""
    text = resources.files("cameraborn.report").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(
        Published(
            **{name: cell for name, cell in row.items() if name not in ("value", "third_party")},
            value=float(row["value"]),
            third_party=row["third_party"] == "yes",
        )
        for row in csv.DictReader(io.StringIO(text))
    )


def figures_on(generator: str) -> list[Published]:
    """Printed figures on a generator, whatever it is called here."""
    name = _plain(generator)
    return [figure for figure in published_figures() if _plain(figure.test_set) == name]


def has_printed(table: str) -> bool:
    """Whether figures of this table of AIGFD-EXIF are known."""
    return table in _PLACES


def printed_in(table: str, detector: DetectorRecord, generator: str = "") -> dict[str, Published]:
    """What a table of AIGFD-EXIF holds of a detector on a generator, by the name of the same figure of ours.

    Without a generator: the average of its nine. The bundle that ships stands in the row of the paper's own detector.
    """
    names = _names(detector) | {_OURS.get(detector.which, "")}
    test_set = _plain(generator or _AVERAGE)
    found: dict[str, Published] = {}
    for place in _PLACES.get(table, ()):
        for figure in published_figures():
            metric = our_metric(figure)
            same = _plain(figure.detector) in names and _plain(figure.test_set) == test_set
            if metric and same and (figure.paper, figure.table) == place:
                found.setdefault(metric, figure)
    return found


def our_metric(figure: Published) -> str | None:
    """The name of the same figure of ours; None if there is none."""
    return _METRICS.get(figure.metric)


def not_comparable(
    figure: Published, detector: DetectorRecord, comparison: Comparison | None, config: BenchConfig
) -> list[str]:
    """Why our figure must not be set against the printed one; empty if nothing speaks against it.

    Without a comparison ours is the mean over all generators.
    """
    sections = [
        section for section in config.sets if not comparison or section.name == comparison.generated.test_set
    ]
    reasons = []
    elsewhere = not sections or any(section.of_paper != figure.paper for section in sections)
    if elsewhere:
        reasons.append("other pictures, and other photographs")
    if elsewhere and not comparison:
        reasons.append("the mean over other generators than their nine")
    if not detector.derived and figure.metric == "accuracy":
        reasons.append("our threshold is from held-out photographs, theirs from the fitting set or fixed")
    if figure.metric == "average precision" and figure.positive_class != "photo":
        reasons.append(f"the positive class of theirs is {figure.positive_class}, of ours the photograph")
    if _plain(figure.detector) not in _names(detector):
        reasons.append("other detectors, trained on other data")
    elif detector.kind == PROTOCOL and elsewhere:
        reasons.append("our mixture was fitted to other photographs")
    elif (figure.paper, figure.table) == ("AIGFD-EXIF", "I"):
        reasons.append(f"theirs learnt from {_LEARNT_FROM}, ours from other data")
    elif "trained here" in detector.note:
        reasons.append("ours was trained here, on other data")
    if figure.detector == "CLIP":
        reasons.append("theirs does not say which of CLIP's networks")
    if figure.third_party:
        reasons.append("theirs known from a third party's digest alone")
    return reasons


def _names(detector: DetectorRecord) -> set[str]:
    """What a detector is called in tables, and what it is."""
    return {_plain(detector.plain_name), _plain(detector.which)} - {""}


def _plain(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return _ALIASES.get(plain, plain)
