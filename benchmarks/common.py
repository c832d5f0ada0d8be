"""What the benchmarks share: tables that say which command made them, the processor's name, tracks, faces, the AUC."""

from __future__ import annotations

import argparse
import csv
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cameraborn.data.manifest import Row, read_manifest
from cameraborn.detect.bundle import Bundle
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.view import View
from cameraborn.fit.views import ViewOptions, take_views

BOOTSTRAPS = 2000


def write_table(rows: Sequence[Mapping[str, object]], path: Path, **same: object) -> None:
    """Write rows as CSV, with the command that this process is, and columns that are the `same` in every row."""
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    columns = list(dict.fromkeys([*(name for row in rows for name in row), "command", *same]))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as out:
        table = csv.DictWriter(out, columns, lineterminator="\n")
        table.writeheader()
        table.writerows({**row, "command": command, **same} for row in rows)


def parser_of_photographs(doc: str | None) -> argparse.ArgumentParser:
    """A parser of the options of benchmarks that look at a folder of photographs with a bundle."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path, help="folder")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every nth photograph")
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser


def some_photographs(options: argparse.Namespace) -> list[Path]:
    """The photographs that the options name."""
    return sorted(options.photographs.iterdir())[:: options.every]


def processor() -> str:
    """What speeds depend on, and nothing that names the machine."""
    name = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].split(":")[1].strip() if models else name
    return f"{name}, {platform.system()}"


def ranking(photos: NDArray[np.floating], generated: NDArray[np.floating]) -> dict[str, float]:
    """The AUC of scores and its 95 % interval, both classes resampled; the positive class is generated."""
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(len(photos)), np.ones(len(generated))]
    draws = [
        roc_auc_score(labels, np.r_[rng.choice(photos, len(photos)), rng.choice(generated, len(generated))])
        for _ in range(BOOTSTRAPS)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    figure = roc_auc_score(labels, np.r_[photos, generated])
    return {
        "auc": round(float(figure), 3),
        "auc_low": round(float(low), 3),
        "auc_high": round(float(high), 3),
    }


def by_track(manifest: Path) -> dict[str, list[Row]]:
    """The rows of each track, which their kind names."""
    tracks: dict[str, list[Row]] = {}
    for row in read_manifest(manifest):
        tracks.setdefault(row.kind, []).append(row)
    return tracks


def report(path: str, problem: str | None) -> None:
    """Say on standard error which picture is left out, and why."""
    if problem:
        print(f"left out: {problem}", file=sys.stderr)


def views_of(bundle: Bundle, pictures: Iterable[Photograph], options: ViewOptions) -> list[View]:
    """The views of pictures in one list; those without a usable face are reported and left out."""
    return [view for views in take_views(bundle, pictures, options, report) for view in views]


def largest_faces(views: list[View]) -> list[View]:
    """The first view of each picture: faces come largest first."""
    return list({view.photograph.path: view for view in reversed(views)}.values())[::-1]


def show(row: Mapping[str, object]) -> None:
    """Print a row on one line, without what it lacks."""
    print(*(f"{name}={value}" for name, value in row.items() if value != ""), flush=True)
