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
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import torch
from cache import Cache, Row
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from cameraborn.networks.efficientnet_lite import EfficientNetLite
from cameraborn.photo.crops import square_crop

SMALL = 40
COVARIATES = 24


def base_weights(rows: list[Row]) -> NDArray[np.float64]:
    """A source of photographs and a generator count with the square root of their numbers of training faces."""
    names = [f"{row['generator'] or row['group']}" if row["box"] and row["trains"] else "" for row in rows]
    count = Counter(names)
    return np.array([count[name] ** -0.5 if name else 0.0 for name in names])


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
    net.eval().to(memory_format=torch.channels_last)
    numbers = [n for n, row in enumerate(cache.rows) if row["box"] is not None and row["trains"]]
    features = []
    with torch.inference_mode():
        for start in range(0, len(numbers), 32):
            faces = []
            for n in numbers[start : start + 32]:
                square = square_crop(cache.pixels(n), cache.rows[n]["box"], 1.3)
                small = cv2.resize(square, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
                faces.append(cv2.resize(small, (112, 112), interpolation=cv2.INTER_LINEAR))
            x = torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).float()
            features.append(net(x.contiguous(memory_format=torch.channels_last)).numpy())
    covariates = PCA(COVARIATES, whiten=True, random_state=0).fit_transform(np.concatenate(features))
    labels = np.array([cache.rows[n]["label"] == "generated" for n in numbers])
    base = base_weights(cache.rows)[numbers]
    base = base / np.where(labels, base[labels].sum(), base[~labels].sum()) * len(base) / 2
    fake = np.zeros(len(labels))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(covariates, labels):
        model = LogisticRegression(C=1.0, max_iter=500).fit(covariates[train], labels[train], base[train])
        fake[test] = model.predict_proba(covariates[test])[:, 1]
    own = np.where(labels, 1 - fake, fake)
    weights = np.zeros((2, len(cache.rows)), np.float32)
    weights[0, numbers], weights[1, numbers] = base, own
    for name, w in (("base", base), ("balanced", base * own)):
        numbers_effective = [
            int(w[labels == v].sum() ** 2 / (w[labels == v] ** 2).sum()) for v in (False, True)
        ]
        auc = roc_auc_score(labels, fake, sample_weight=w)
        print(
            f"{name}: blurred faces tell the classes with an AUC of {auc:.3f}; effective numbers",
            numbers_effective,
        )
    for name in ("camera", "camera2", "faces2", "portraits", "fakes"):
        at = [n for n in numbers if cache.rows[n]["set"] == name]
        print(name, len(at), weights[1, at].mean().round(3))
    np.save(options.work / "propensity.npy", weights)


if __name__ == "__main__":
    main()
