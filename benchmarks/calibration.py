"""Does the stated false-alarm rate hold whatever a photograph has been through? Is too high a likelihood suspicious?

    python benchmarks/calibration.py runs/camera.jsonl runs/portraits.jsonl --split calibration --kind face \
        --kind portrait --per-source 35 --dev runs/dev.jsonl -o benchmarks/results/calibration.csv

Deliveries: the calibration photographs are divided a hundred times at random, three quarters to calibrate and one to
measure. Those to measure are put through each named degradation of the whole picture and scored through the front door.
`conditional` compares each with photographs of its own class of delivery, `single` with one view of all, whatever they
have been through. No photograph is on both sides, and none was learnt from.

Typicality: on each track of `--dev`, the p-value that suspects low likelihood alone (`upper`) against the one that
suspects too high a one as well (`both`), from the bundle's own calibration.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from cameraborn.detect.bundle import Bundle, CalibrationRow, read_bundle
from cameraborn.detect.conformal import Calibration, cell_of, grid, merge_cells
from cameraborn.detect.detector import Detector, Verdict, default_bundle
from cameraborn.detect.learn import (
    FACE_SIZE_EDGES,
    LearnOptions,
    Photograph,
    at_most,
    find_photographs,
    look,
)
from cameraborn.photo.decode import open_picture
from cameraborn.photo.degrade import STANDARD, degrade_bytes
from cameraborn.photo.manifest import read_manifest

RATE = 0.05
Case = tuple[float, float, int | None]  # score, size of the face, JPEG quality


def main() -> None:
    arguments = parse()
    bundle = read_bundle(arguments.bundle or default_bundle())
    found = find_photographs(arguments.photos, split=arguments.split, kinds=arguments.kind)
    photographs = list(at_most(found, arguments.per_source))
    command = "python " + shlex.join(sys.argv)
    lines = deliveries(bundle, photographs, arguments.repeats)
    if arguments.dev:
        lines += typicality(bundle, arguments.dev)
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, ["what", "set", "method", "n", "false_alarms", "flagged", "auc", "command"]
        )
        writer.writeheader()
        writer.writerows({**line, "command": command} for line in lines)


def deliveries(bundle: Bundle, photographs: list[Photograph], repeats: int) -> list[dict[str, object]]:
    detector = Detector(bundle)
    looks: dict[str, list[CalibrationRow]] = {}
    views = look(bundle, photographs, LearnOptions(copies=32, jobs=1), lambda *_: None)
    for view in views:
        score = float(bundle.scores(view.feature[None])[0])
        row = CalibrationRow(score, view.photograph.source, view.sha256, view.face_size, view.jpeg_quality)
        looks.setdefault(view.photograph.path, []).append(row)
    paths = list(looks)
    cases = {name: [delivered(detector, path, name) for path in paths] for name in ("as it is", *STANDARD)}
    rng = np.random.default_rng(0)
    alarms: dict[tuple[str, str], list[float]] = {}
    for _ in range(repeats):
        order = rng.permutation(len(paths))
        inside, outside = np.split(order, [round(0.75 * len(order))])
        rows = [looks[paths[i]] for i in inside]
        methods = {"conditional": conditional(rows, rng), "single": single(rows, rng)}
        for name, of_name in cases.items():
            judged = [case for i in outside if (case := of_name[i]) is not None]
            for method, calibration in methods.items():
                flags = [calibration.p_value(*case) <= RATE for case in judged]
                if flags:
                    alarms.setdefault((name, method), []).append(float(np.mean(flags)))
    return [
        {
            "what": "delivery",
            "set": name,
            "method": method,
            "n": sum(case is not None for case in cases[name]),
            "false_alarms": f"{np.mean(rates):.3f}",
        }
        for (name, method), rates in alarms.items()
    ]


def delivered(detector: Detector, path: str, name: str) -> Case | None:
    """The largest face's score, size and JPEG quality after a degradation; None if the detector abstains."""
    original = Path(path).read_bytes()
    data = original if name == "as it is" else degrade_bytes(open_picture(original).pixels, name)
    verdict: Verdict = detector.score(data, name=path)[0]
    if verdict.scope != "ok" or verdict.box is None or verdict.score is None:
        return None
    x0, y0, x1, y1 = verdict.box
    return verdict.score, max(x1 - x0, y1 - y0), open_picture(data).jpeg_quality


def conditional(photographs: list[list[CalibrationRow]], rng: np.random.Generator) -> Calibration:
    """As `learn.calibrate`: a view of each photograph in each class it reaches."""
    edges = FACE_SIZE_EDGES
    reached: dict[tuple[int, int], set[str]] = {}
    for row in (row for rows in photographs for row in rows):
        cell = cell_of(row.face_size, row.jpeg_quality, edges)
        reached.setdefault(cell, set()).add(row.photograph)
    classes = merge_cells(reached, 60, edges)
    scores: list[list[float]] = [[] for _ in classes]
    for rows in photographs:
        for number, cells in enumerate(classes):
            inside = [row for row in rows if cell_of(row.face_size, row.jpeg_quality, edges) in cells]
            if inside:
                drawn = inside[rng.integers(len(inside))]
                scores[number].append((rows[0] if inside[0] is rows[0] else drawn).score)
    return Calibration(edges, classes, tuple(np.sort(part) for part in scores))


def single(photographs: list[list[CalibrationRow]], rng: np.random.Generator) -> Calibration:
    """One view of each photograph, one class for all."""
    drawn = [rows[rng.integers(len(rows))].score for rows in photographs]
    return Calibration((), (tuple(grid(())),), (np.sort(drawn),))


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
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
