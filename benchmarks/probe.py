"""What a bundle's features carry at all: told by labels, and by photographs of the test's own kind.

    python benchmarks/probe.py runs/dev.jsonl --bundle models/default -o benchmarks/results/probe.csv

`dev.jsonl` is a manifest of labelled pictures whose `kind` names the track; each picture's largest face is encoded.
Two models that know more than a tool can, five-fold, so that no picture is scored by one that saw it:

- `labels`: a logistic regression of the track's own labels. Where it is near .5, no direction in the features tells.
- `own photographs`: a Gaussian of the photographs of all tracks, so that photographs are no strangers to it.

Both read the features that the mixture reads, and those of a second network beside the first, if there is one.
Where photographs and fakes are of the same faces, an AUC by labels is pessimistic, for a face of one class in the folds
that were learnt from has its twin of the other class held out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from common import by_track, largest_faces, ranking, show, views_of, write_table
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cameraborn.binary.fit import features_of
from cameraborn.data.manifest import Row
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.evidence.channel import select
from cameraborn.detect.evidence.kinds import PHOTOGRAPHS
from cameraborn.detect.store import read_bundle
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.views import ViewOptions

Array = NDArray[np.float64]
Scores = tuple[Array, Array]  # of photographs and of generated pictures

LABELS = ("photo", "generated")
FOLDS = 5
FEWEST = 20  # pictures of a class, or a track is left out
DIMENSIONS = 96  # of the Gaussian
STRENGTH = 0.01  # of the regression: the inverse of its decay, small because features outnumber pictures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    bundle = read_bundle(arguments.bundle or default_bundle())
    tracks = {
        track: {label: features_of_label(bundle, rows, label) for label in LABELS}
        for track, rows in by_track(arguments.manifest).items()
    }
    rows: list[dict[str, object]] = []
    for features, columns in parts(bundle).items():
        seen = {track: {label: x[:, columns] for label, x in of.items()} for track, of in tracks.items()}
        strange = by_own_photographs(seen)
        for track, of in seen.items():
            if min(map(len, of.values())) < FEWEST:
                continue
            for way, scores in (("labels", by_labels(**of)), ("own photographs", strange[track])):
                counts = {"photos": len(of["photo"]), "generated": len(of["generated"])}
                rows.append({"track": track, "features": features, "told": way, **counts, **ranking(*scores)})
                show(rows[-1])
    write_table(rows, arguments.output, bundle=bundle.info.name)


def features_of_label(bundle: Bundle, rows: Sequence[Row], label: str) -> Array:
    """The feature of each picture's largest face, as it is: [faces D]."""
    pictures = [Photograph(row.path, row.kind) for row in rows if row.label == label]
    views = largest_faces(views_of(bundle, pictures, ViewOptions(copies=0)))
    return features_of(views).astype(np.float64)


def parts(bundle: Bundle) -> dict[str, NDArray[np.intp]]:
    """The columns of the features that the mixture reads, and of the others."""
    columns = np.arange(bundle.info.width)
    read = select(columns[None], bundle.columns_of(PHOTOGRAPHS))[0]
    beside = np.setdiff1d(columns, read)
    return {"mixture": read} | ({"second network": beside} if len(beside) else {})


def by_labels(photo: Array, generated: Array) -> Scores:
    """Scores of both by regressions that were told the labels of the other folds."""
    x = np.concatenate([photo, generated])
    y = np.r_[np.zeros(len(photo)), np.ones(len(generated))]
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    scores = cross_val_predict(regression, x, y, cv=folds, method="decision_function")
    return scores[: len(photo)], scores[len(photo) :]


def by_own_photographs(tracks: Mapping[str, Mapping[str, Array]]) -> dict[str, Scores]:
    """Distances of both from Gaussians of all tracks' photographs, those of a photograph's own fold left out."""
    photographs = np.concatenate([of["photo"] for of in tracks.values()])
    origin = np.repeat(list(tracks), [len(of["photo"]) for of in tracks.values()])
    distances = np.zeros(len(photographs))
    of_generated: dict[str, list[Array]] = {track: [] for track in tracks}
    order = np.random.default_rng(0).permutation(len(photographs))
    for held_out in np.array_split(order, FOLDS):
        learnt = np.delete(photographs, held_out, axis=0)
        project = PCA(min(DIMENSIONS, *learnt.shape), random_state=0).fit(learnt)
        gaussian = LedoitWolf().fit(project.transform(learnt))
        distances[held_out] = gaussian.mahalanobis(project.transform(photographs[held_out]))
        for track, of in tracks.items():
            of_generated[track].append(gaussian.mahalanobis(project.transform(of["generated"])))
    return {track: (distances[origin == track], np.mean(of_generated[track], axis=0)) for track in tracks}


if __name__ == "__main__":
    main()
