"""Who is in a picture must not tell whether it is generated: overlap weights from what a blurred face shows.

Generators' showcases hold young made-up women; photographs hold office holders and conference guests. A network learns
that at once, and flags photographs of young women. So a logistic regression tells the classes by ImageNet features of
faces shrunk to `SMALL` px, where no trace of a generator is left, and each picture is weighted by how likely it is to
be of the *other* class (overlap weights: Li, Morgan and Zaslavsky 2018), which makes the means of covariates alike.

Both classes are counted as training draws them (`base_weights`), so that what is drawn is balanced.

    WORK/propensity.npy       float32 [2, rows of the cache]: base and overlap weights; 0 where they do not apply

    python benchmarks/campaign/propensity.py --work WORK --imagenet efficientnet-lite0.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from cache import Cache

from cameraborn.binary.faces import Face
from cameraborn.binary.overlap import features_of_blurred, overlap_weights
from cameraborn.binary.sampling import base_weights
from cameraborn.networks.efficientnet_lite import EfficientNetLite

SMALL = 40
COVARIATES = 24


class CachedFaces:
    """The faces of the cache, by number."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    def __getitem__(self, number: int) -> Face:
        return Face(self.cache.pixels(number), tuple(self.cache.rows[number]["box"]))


def main() -> None:
    """Write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--imagenet", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cache = Cache(options.work / "cache")
    net = EfficientNetLite()
    net.load_imagenet(torch.load(options.imagenet, weights_only=True, map_location="cpu"))
    numbers = [n for n, row in enumerate(cache.rows) if row["box"] is not None and row["trains"]]
    rows = [cache.rows[n] for n in numbers]
    features = features_of_blurred(net, CachedFaces(cache), numbers, SMALL)
    fakes = np.array([row["label"] == "generated" for row in rows])
    base = base_weights([row["generator"] or row["group"] for row in rows])
    base = base / np.where(fakes, base[fakes].sum(), base[~fakes].sum()) * len(base) / 2
    found = overlap_weights(features, fakes, base, [row["path"] for row in rows], COVARIATES)
    weights = np.zeros((2, len(cache.rows)), np.float32)
    weights[0, numbers], weights[1, numbers] = base, found.weights
    print(
        f"blurred faces tell the classes with an AUC of {found.auc:.3f}, balanced {found.balanced_auc:.3f}; "
        f"effective numbers {found.effective}"
    )
    for name in ("camera", "camera2", "faces2", "portraits", "fakes"):
        at = [n for n in numbers if cache.rows[n]["set"] == name]
        print(name, len(at), weights[1, at].mean().round(3))
    np.save(options.work / "propensity.npy", weights)


if __name__ == "__main__":
    main()
