"""Can "manipulated or not" be told from sharpness alone? Measured for each manipulation, three ways of resampling.

    python benchmarks/manipulation_shortcut.py runs/portraits.jsonl runs/camera.jsonl --kind portrait --kind face \\
        -o benchmarks/results/manipulation_shortcut.csv

The one number is the variance of the Laplacian of the grey picture (its logarithm). Every face of the manifests is cut
out (1.7 times its box), shrunk to --side pixels if it is larger (128, as FDF's faces are), and manipulated. Then, for
each kind and each way of resampling:

- `authors`: manipulated pictures go to 224 pixels and back, originals do not (what AIGFD-EXIF's code does);
- `matched`: originals take the same way;
- `own-size`: nothing is enlarged; manipulations are made at the picture's own size.

The groups of the photographs are divided in two halves. The threshold and its direction are those with the best
balanced accuracy on one half; `accuracy` is on the other. `auc` is over that half, of "less sharp means manipulated",
so that below .5 means that manipulated pictures are sharper. Intervals: 95 % bootstrap over photographs (an original
and its manipulation are drawn together). `changed` is the mean difference in log sharpness of manipulated and original.
Chance is .5. Originals and manipulations are the same faces, as many of one as of the other.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from common import show, write_table
from numpy.typing import NDArray
from PIL import Image

from cameraborn.data.cues import sharpness
from cameraborn.data.manifest import Row, group_of, read_manifest
from cameraborn.data.splits import assign_splits
from cameraborn.errors import PictureError
from cameraborn.photo.faces import FaceFinder
from cameraborn.pseudo.manipulate import KINDS, PAPER_KINDS, ManipulationOptions
from cameraborn.pseudo.variants import FaceCut, VariantOptions, cut_face, make_variant

WAYS = {
    "authors": ManipulationOptions(match_resampling=False),
    "matched": ManipulationOptions(match_resampling=True),
    "own-size": ManipulationOptions(side=None),
}
MIXED = "one of the paper's four"  # each as often as the others
BOOTSTRAPS = 1000
Array = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifests", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--kind", action="append", help="only rows of this kind; may be repeated")
    parser.add_argument("--side", type=int, default=128, help="larger faces are shrunk to it first")
    parser.add_argument("--limit", type=int, help="photographs, evenly chosen")
    arguments = parser.parse_args()

    cv2.setNumThreads(1)
    rows = [row for path in arguments.manifests for row in read_manifest(path)]
    rows = [row for row in rows if row.label == "photo" and row.kind in (arguments.kind or [row.kind])]
    if arguments.limit and arguments.limit < len(rows):
        rows = [rows[place] for place in np.linspace(0, len(rows) - 1, arguments.limit).astype(int)]
    split = assign_splits(Counter(map(group_of, rows)), {"choose": 0.5, "measure": 0.5})
    rows = [row.model_copy(update={"split": split[group_of(row)]}) for row in rows]
    sharp = {way: [] for way in WAYS}
    splits = []
    for face in cut_all(rows, arguments.side):
        splits.append(face.row.split)
        for way, manipulation in WAYS.items():
            options = VariantOptions(manipulation=manipulation)
            sharp[way].append([log_sharpness(make_variant(face, kind, options)) for kind in ("", *KINDS)])
    chosen = np.array(splits) == "choose"
    results = []
    for way, values in sharp.items():
        original, manipulated = np.array(values)[:, 0], np.array(values)[:, 1:]
        for kind, of_kind in {
            **dict(zip(KINDS, manipulated.T, strict=True)),
            MIXED: mixed(manipulated),
        }.items():
            row = {"resampling": way, "manipulation": kind} | figures(original, of_kind, chosen)
            results.append(row | {"side": arguments.side})
    write_table(results, arguments.output)
    for row in results:
        show(row)


def cut_all(rows: list[Row], side: int) -> Iterator[FaceCut]:
    """The faces, at most `side` pixels wide; what shows none is left out, aloud."""
    finder = FaceFinder()
    for row in rows:
        try:
            face = cut_face(row, finder)
        except PictureError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        factor = side / face.pixels.shape[0]
        if factor < 1:
            image = Image.fromarray(face.pixels).resize((side, side), Image.Resampling.LANCZOS)
            points = None if face.landmarks is None else face.landmarks * factor
            face = replace(face, pixels=np.asarray(image), landmarks=points)
        yield face


def log_sharpness(pixels: NDArray[np.uint8] | None) -> float:
    """nan if there is no picture."""
    return float("nan") if pixels is None else float(np.log(sharpness(pixels) + 1e-6))


def mixed(manipulated: Array) -> Array:
    """For each face one of the paper's four kinds, drawn at random."""
    drawn = np.random.default_rng(0).integers(len(PAPER_KINDS), size=len(manipulated))
    return manipulated[np.arange(len(manipulated)), drawn]


def figures(original: Array, manipulated: Array, chosen: NDArray[np.bool_]) -> dict[str, object]:
    usable = ~np.isnan(manipulated)
    choose, measure = usable & chosen, usable & ~chosen
    threshold, direction = best_threshold(original[choose], manipulated[choose])
    a, b = original[measure], manipulated[measure]
    drawn = np.random.default_rng(0).integers(len(a), size=(BOOTSTRAPS, len(a)))
    accuracies = [accuracy(a[places], b[places], threshold, direction) for places in drawn]
    aucs = [auc(a[places], b[places]) for places in drawn]
    return {
        "photographs": len(a),
        "accuracy": round(accuracy(a, b, threshold, direction), 3),
        "accuracy_low": round(float(np.quantile(accuracies, 0.025)), 3),
        "accuracy_high": round(float(np.quantile(accuracies, 0.975)), 3),
        "auc": round(auc(a, b), 3),
        "auc_low": round(float(np.quantile(aucs, 0.025)), 3),
        "auc_high": round(float(np.quantile(aucs, 0.975)), 3),
        "changed": round(float((b - a).mean()), 3),
        "not_possible": int((~usable).sum()),
    }


def best_threshold(original: Array, manipulated: Array) -> tuple[float, int]:
    """The threshold with the best accuracy, and 1 if what lies below it is called manipulated, else -1."""
    candidates = itertools.product(np.sort(np.r_[original, manipulated]), (1, -1))
    return max(candidates, key=lambda candidate: accuracy(original, manipulated, *candidate))


def accuracy(original: Array, manipulated: Array, threshold: float, direction: int) -> float:
    right = (direction * (manipulated - threshold) < 0).mean() + (
        direction * (original - threshold) >= 0
    ).mean()
    return float(right / 2)


def auc(original: Array, manipulated: Array) -> float:
    """Share of pairs in which the manipulated picture is the less sharp one; ties count half."""
    ordered = np.sort(original)
    sharper = len(ordered) - np.searchsorted(ordered, manipulated, "right")
    return float((sharper + len(ordered) - np.searchsorted(ordered, manipulated)).mean() / 2 / len(ordered))


if __name__ == "__main__":
    main()
