"""What the benchmarks share: tables that say which command made them, the processor's name, an interval of the AUC."""

from __future__ import annotations

import csv
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

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


def processor() -> str:
    """What speeds depend on, and nothing that names the machine."""
    name = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].split(":")[1].strip() if models else name
    return f"{name}, {platform.system()}"


def bootstrap_auc(photos: NDArray[np.floating], generated: NDArray[np.floating]) -> tuple[float, float]:
    """95 % interval of the AUC, both classes resampled; the positive class is generated."""
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(len(photos)), np.ones(len(generated))]
    draws = [
        roc_auc_score(labels, np.r_[rng.choice(photos, len(photos)), rng.choice(generated, len(generated))])
        for _ in range(BOOTSTRAPS)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)
