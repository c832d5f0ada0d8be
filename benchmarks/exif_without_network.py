"""How well EXIF is ranked without a network, and how that grows with the photographs learnt from.

    python benchmarks/exif_without_network.py runs/camera.jsonl -o benchmarks/results/exif_without_network.csv

Trees on plain statistics of native crops: how levels are distributed, how strong each frequency is and how often it is
nothing (`networks.spectrum`), and residual statistics. Photographs are divided into five folds, once whoever took
them (`photographs`: then their photographers are on both sides), once by photographer (`photographers`). Trees learn
from a growing share of four folds; pair accuracy (chance: .5) on the fifth is given for each fold and as the mean. Fold
0 of `photographs` is what `unseen_photographs.py` holds out for the network. Rows for research are learnt from:
nothing is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from common import show, write_table
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.ensemble import ExtraTreesRegressor
from unseen_photographs import HELD_OUT, number_of

from cameraborn.data.manifest import Row, read_manifest
from cameraborn.degrade.residual_statistics import residual_statistics
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Call
from cameraborn.networks.spectrum import Spectrum
from cameraborn.photo.decode import open_upright
from cameraborn.pretext.metrics import pair_accuracy
from cameraborn.pretext.tasks import TASKS

TAGS = ("iso", "fnumber", "exposure", "focal")
SHARES = (0.125, 0.25, 0.5, 1.0)  # of the photographs, or photographers, that may be learnt from
FOLDS = HELD_OUT  # so that fold 0 is what that benchmark holds out
TREES = 300
PERCENTILES = (1, 10, 25, 50, 75, 90, 99)
SPECTRUM = Spectrum()

Numbers = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    rows = [row for row in read_manifest(arguments.manifest) if row.kind == "native-crop"]
    looks = np.stack(list(map_in_order(Call(statistics), (Path(row.path) for row in rows), None)))
    photographs = np.array([number_of(row) for row in rows])
    photographers = np.unique([row.group for row in rows], return_inverse=True)[1]
    photographers = np.random.default_rng(0).permutation(photographers.max() + 1)[photographers]
    table = []
    for division, units in (("photographs", photographs), ("photographers", photographers)):
        for tag in TAGS:
            for share in SHARES:
                row = {"division": division, "tag": tag, "share": share}
                row |= learnt(looks, tag_of(rows, tag), units, share)
                table.append(row)
                show(row)
    write_table(table, arguments.output)


def tag_of(rows: list[Row], tag: str) -> Numbers:
    return np.array([TASKS[tag].target(row.exif)[0] for row in rows], np.float64)


def learnt(
    looks: NDArray[np.float32], tag: Numbers, units: NDArray[np.int64], share: float
) -> dict[str, object]:
    """Pair accuracies on each fold of units that share a remainder, and the mean photographs learnt from."""
    rng = np.random.default_rng(0)
    figures, sizes = [], []
    for fold in range(FOLDS):
        held_out = units % FOLDS == fold
        others = rng.permutation(np.unique(units[~held_out]))
        learn = np.isin(units, others[: round(share * len(others))]) & np.isfinite(tag)
        trees = ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.3, n_jobs=-1, random_state=0)
        trees.fit(looks[learn], rankdata(tag[learn]))
        said = torch.from_numpy(trees.predict(looks[held_out]))
        figures.append(pair_accuracy(said, torch.from_numpy(tag[held_out])))
        sizes.append(int(learn.sum()))
    each = {f"fold_{fold}": round(figure, 3) for fold, figure in enumerate(figures)}
    return {"learnt_from": round(np.mean(sizes)), "pair_accuracy": round(float(np.mean(figures)), 3), **each}


def statistics(path: Path) -> NDArray[np.float32]:
    pixels = np.array(open_upright(path))
    levels = [np.percentile(pixels[..., channel], PERCENTILES) for channel in range(3)]
    spectrum = SPECTRUM(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].numpy()
    return np.concatenate([*levels, residual_statistics(pixels, pixels), spectrum]).astype(np.float32)


if __name__ == "__main__":
    main()
