"""Does the stated false-alarm rate hold whatever a photograph has been through? Is too high a likelihood suspicious?

    python benchmarks/calibration.py runs/camera.jsonl runs/portraits.jsonl --split calibration --kind face \
        --kind portrait --dev runs/dev.jsonl -o benchmarks/results/calibration.csv

Conditions: the calibration photographs are divided a hundred times at random, three quarters to calibrate (edges,
merging and scores) and one to measure. Those to measure are put through each named degradation of the whole picture and
scored through the front door. `conditional` compares each with photographs of its own category of condition (size, JPEG
quality, noise, looks of processing), `size-quality` leaves the last two out, `single` compares with one view of all,
whatever they have been through. No photograph is on both sides, and none was learnt from. The standard error is over
the `n` photographs.

Categories: with the bundle's own categories of condition, the photographs to measure after random operations, every
category apart.

Typicality: on each track of `--dev`, the p-value that suspects low likelihood alone (`upper`) against the one that
suspects too high a one as well (`both`), from the bundle's own calibration.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import write_table
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cameraborn.data.manifest import read_manifest
from cameraborn.degrade.named import STANDARD, degrade_bytes
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.condition import Cell, Condition, Taxonomy
from cameraborn.detect.conformal import Calibration
from cameraborn.detect.describe import describe_category
from cameraborn.detect.detector import Detector, default_bundle
from cameraborn.detect.held_out import CalibrationRow
from cameraborn.detect.store import read_bundle
from cameraborn.fit.calibrate import (
    FACE_SIZE_EDGES,
    calibration_rows,
    drawn_in_categories,
    taxonomy_of,
    with_scores,
)
from cameraborn.fit.photographs import Photograph, cap_per_source, find_photographs
from cameraborn.fit.views import ViewOptions, take_views
from cameraborn.photo.decode import open_picture

RATE = 0.05
CLASS_SIZE = 75  # of three quarters of the photographs, as 100 of all
Case = tuple[float, Condition]


def main() -> None:
    arguments = parse()
    bundle = read_bundle(arguments.bundle or default_bundle())
    found = find_photographs(arguments.photos, split=arguments.split, kinds=arguments.kind)
    photographs = list(cap_per_source(found, arguments.per_source))
    held_out = rows_of(bundle, photographs, arguments.copies)
    lines = conditions(bundle, held_out, arguments.repeats)
    lines += by_category(bundle, held_out, arguments.repeats)
    if arguments.dev:
        lines += typicality(bundle, arguments.dev)
    write_table(lines, arguments.output)


def rows_of(bundle: Bundle, photographs: list[Photograph], copies: int) -> dict[str, list[CalibrationRow]]:
    """Of each photograph, by its path: as it is and after random operations, as in `calibrate`."""
    options = ViewOptions(copies=copies, operations=True, every_operation=True, jobs=1)
    return {
        views[0].photograph.path: with_scores(bundle, calibration_rows(bundle, views))
        for views in take_views(bundle, photographs, options, lambda *_: None)
    }


def conditions(
    bundle: Bundle, held_out: dict[str, list[CalibrationRow]], repeats: int
) -> list[dict[str, object]]:
    detector = Detector(bundle)
    paths = list(held_out)
    cases = {name: [delivered(detector, path, name) for path in paths] for name in ("as it is", *STANDARD)}
    rng = np.random.default_rng(0)
    alarms: dict[tuple[str, str], dict[int, list[bool]]] = {}  # of each photograph, in each division
    for division in range(repeats):
        inside, outside = divided(len(paths), rng)
        rows = [held_out[paths[i]] for i in inside]
        options = ViewOptions(seed=division)
        methods = {
            "conditional": calibrated(
                rows, taxonomy_of(rows, FACE_SIZE_EDGES, bundle.coverage.operations, CLASS_SIZE), options
            ),
            "size-quality": calibrated(rows, by_size_and_quality(rows), options),
            "single": single(rows, rng),
        }
        for name, of_name in cases.items():
            for i in outside:
                if (case := of_name[i]) is not None:
                    for method, calibration in methods.items():
                        flags = alarms.setdefault((name, method), {}).setdefault(int(i), [])
                        flags.append(calibration.p_value(*case) <= RATE)
    return [
        {"what": "condition", "set": name, "method": method} | false_alarms(of)
        for (name, method), of in alarms.items()
    ]


def by_category(
    bundle: Bundle, held_out: dict[str, list[CalibrationRow]], repeats: int
) -> list[dict[str, object]]:
    taxonomy, paths, rng = bundle.coverage.taxonomy, list(held_out), np.random.default_rng(0)
    alarms: dict[int, dict[int, list[bool]]] = {}  # in each category, of each photograph
    for division in range(repeats):
        inside, outside = divided(len(paths), rng)
        calibration = calibrated([held_out[paths[i]] for i in inside], taxonomy, ViewOptions(seed=division))
        for i in outside:
            for row in held_out[paths[i]]:
                flags = alarms.setdefault(taxonomy.category_of(row.condition), {}).setdefault(int(i), [])
                flags.append(calibration.p_value(row.score, row.condition) <= RATE)
    return [
        {
            "what": "class",
            "set": describe_category(taxonomy.categories[number], taxonomy),
            "method": "conditional",
        }
        | false_alarms(of)
        for number, of in sorted(alarms.items())
    ]


def divided(count: int, rng: np.random.Generator) -> list[NDArray[np.int_]]:
    """Places of three quarters of the photographs, to calibrate, and of the rest, to measure."""
    return np.split(rng.permutation(count), [round(0.75 * count)])


def false_alarms(of: Mapping[int, Sequence[bool]]) -> dict[str, object]:
    """The share of flags, every photograph counting once, and its standard error over them."""
    shares = [np.mean(flags) for flags in of.values()]
    return {
        "n": len(shares),
        "false_alarms": f"{np.mean(shares):.3f}",
        "standard_error": f"{np.std(shares) / len(shares) ** 0.5:.3f}",
    }


def delivered(detector: Detector, path: str, name: str) -> Case | None:
    """The largest face's score and what it has been through after a degradation; None if the detector abstains."""
    original = Path(path).read_bytes()
    data = original if name == "as it is" else degrade_bytes(open_picture(original).pixels, name)
    picture = open_picture(data, name=path)
    seen = detector.observe(picture, most=1)
    (verdict,) = detector.verdicts(picture, seen, path=path, false_alarm_rate=RATE, face_notes=False)
    if verdict.scope != "ok" or verdict.score is None or seen[0].measured is None:
        return None
    return verdict.score, seen[0].measured.condition


def by_size_and_quality(photographs: list[list[CalibrationRow]]) -> Taxonomy:
    taxonomy = Taxonomy(FACE_SIZE_EDGES)
    reached: dict[Cell, set[str]] = {}
    for row in (row for rows in photographs for row in rows):
        reached.setdefault(taxonomy.cell_of(row.condition), set()).add(row.photograph)
    return taxonomy.merged(reached, CLASS_SIZE)


def calibrated(
    photographs: list[list[CalibrationRow]], taxonomy: Taxonomy, options: ViewOptions
) -> Calibration:
    """As `fit.calibrate`: a view of each photograph in each category it reaches."""
    scores: list[list[float]] = [[] for _ in taxonomy.categories]
    for views in photographs:
        for number in drawn_in_categories(views, taxonomy, options):
            scores[taxonomy.category_of(views[number].condition)].append(views[number].score)
    return Calibration(taxonomy, tuple(np.sort(part) for part in scores))


def single(photographs: list[list[CalibrationRow]], rng: np.random.Generator) -> Calibration:
    """One view of each photograph, one category for all."""
    drawn = [rows[rng.integers(len(rows))].score for rows in photographs]
    return Calibration(Taxonomy(categories=(tuple(Taxonomy().cells),)), (np.sort(drawn),))


def typicality(bundle: Bundle, dev: Path) -> list[dict[str, object]]:
    detector = Detector(bundle)
    tracks: dict[str, dict[str, list[Case]]] = {}
    for row in read_manifest(dev):
        case = delivered(detector, row.path, "as it is")
        if case is not None:
            tracks.setdefault(row.kind, {"photo": [], "generated": []})[row.label].append(case)
    lines: list[dict[str, object]] = []
    for tail in ("upper", "both"):
        calibration = replace(bundle.calibration, tail=tail)
        for track, of in tracks.items():
            p = {
                label: np.array([calibration.p_value(*case) for case in cases]) for label, cases in of.items()
            }
            if min(map(len, p.values())) == 0:
                continue
            truth = np.repeat([0, 1], [len(p["photo"]), len(p["generated"])])
            lines.append(
                {
                    "what": "typicality",
                    "set": track,
                    "method": tail,
                    "n": len(truth),
                    "false_alarms": f"{(p['photo'] <= RATE).mean():.3f}",
                    "flagged": f"{(p['generated'] <= RATE).mean():.3f}",
                    "auc": f"{roc_auc_score(truth, -np.concatenate([p['photo'], p['generated']])):.3f}",
                }
            )
    return lines


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="+", help="photographs that nothing was fitted to")
    parser.add_argument("--split", default="")
    parser.add_argument("--kind", action="append", default=[])
    parser.add_argument("--per-source", type=int, default=sys.maxsize)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--dev", type=Path, help="labelled pictures, a track a kind")
    parser.add_argument("--copies", type=int, default=24, help="of each photograph, as in calibrate")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
