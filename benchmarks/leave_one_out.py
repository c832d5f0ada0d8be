"""How well a two-layer head finds a generator it has not seen: trained on all tracks' generated pictures but one's.

    cameraborn data import rows ../shared/data/dev.jsonl -o runs/dev.jsonl --exclude ...   (the pictures in examples/)
    python benchmarks/leave_one_out.py runs/dev.jsonl --photos runs/camera.jsonl runs/portraits.jsonl \
        --split train --bundle models/default -o benchmarks/results/leave_one_out.csv

`dev.jsonl` is a manifest of labelled pictures whose `kind` names the track. For each track a head is trained on the
photographs of `--photos` and the generated pictures of the other tracks (but those of the same generator), on the
frozen features of the bundle, of unit length, after random conditions; it is tested on the track's own photographs and
generated pictures as they are, each by its largest face. Beside it, on the same features: the head without
pseudo-outliers, and the mixture, which has seen no generated picture at all. AUC's positive class is generated; its
interval is a 95 % bootstrap over pictures.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from common import largest_faces, ranking, show, views_of, write_table
from numpy.typing import NDArray

from cameraborn.binary.fit import with_unit_length
from cameraborn.binary.perceptron import PerceptronOptions, fit_perceptron
from cameraborn.data.manifest import read_manifest
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.evidence.density import fit_mixture
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.detect.store import read_bundle
from cameraborn.fit.photographs import Photograph, cap_per_source, find_photographs
from cameraborn.fit.view import View
from cameraborn.fit.views import ViewOptions, features_of

Array = NDArray[np.floating]


def main() -> None:
    arguments = parse()
    bundle = with_unit_length(read_bundle(arguments.bundle or default_bundle()))
    training = ViewOptions(copies=arguments.copies, jobs=arguments.jobs, seed=arguments.seed)
    testing = ViewOptions(copies=0, jobs=arguments.jobs)

    photographs = cap_per_source(
        find_photographs(arguments.photos, split=arguments.split, kinds=arguments.kind), arguments.per_source
    )
    photo_views = views_of(bundle, photographs, training)
    tracks: dict[str, dict[str, list[Photograph]]] = defaultdict(lambda: {"photo": [], "generated": []})
    for row in read_manifest(arguments.manifest):
        tracks[row.kind][row.label].append(Photograph(row.path, row.generator or row.kind))
    generated = {track: views_of(bundle, of["generated"], training) for track, of in tracks.items()}
    tested = {
        track: {label: largest_faces(views_of(bundle, of[label], testing)) for label in of}
        for track, of in tracks.items()
    }
    check_disjoint(photo_views, [view for of in tested.values() for view in of["photo"]])

    x = features_of(photo_views)
    mixture = fit_mixture(
        x, components=arguments.components, dimensions=arguments.dimensions, seed=arguments.seed
    )
    likely = mixture.log_likelihood(x)
    common = {"bundle": bundle.info.name, "train_photos": len({view.sha256 for view in photo_views})}
    rows: list[dict[str, object]] = []
    for track, of in tested.items():
        own = {photograph.source for photograph in tracks[track]["generated"]}
        others = [view for views in generated.values() for view in views if view.photograph.source not in own]
        photos, fakes = (features_of(of[label]) for label in ("photo", "generated"))
        rows.append(
            common
            | figures(track, "mixture", 0, -mixture.log_likelihood(photos), -mixture.log_likelihood(fakes))
        )
        for share in dict.fromkeys((0.0, arguments.pseudo_outliers)):
            options = PerceptronOptions(pseudo_outliers=share, seed=arguments.seed)
            head = classifier_of(fit_perceptron(x, features_of(others), likely, options))
            name = f"head, {share:g} pseudo-outliers" if share else "head"
            seen = len({view.sha256 for view in others})
            rows.append(common | figures(track, name, seen, head.surprise(photos), head.surprise(fakes)))
    write_table(rows, arguments.output)
    for row in rows:
        show(row)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--split", default="")
    parser.add_argument("--kind", nargs="*", default=())
    parser.add_argument("--per-source", type=int, default=sys.maxsize)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--dimensions", type=int, default=32)
    parser.add_argument("--pseudo-outliers", type=float, default=0.05)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def check_disjoint(trained: list[View], tested: list[View]) -> None:
    shared = {view.sha256 for view in trained} & {view.sha256 for view in tested}
    if shared:
        sys.exit(f"{len(shared)} photographs are trained on and tested on: take them out of one manifest")


def classifier_of(tensors: dict[str, NDArray[np.float32]]) -> BinaryClassifier:
    """As scoring reads it from a bundle."""
    return BinaryClassifier.from_tensors("generators", ((0, tensors["0.weight"].shape[1]),), tensors)


def figures(track: str, name: str, seen: int, photos: Array, generated: Array) -> dict[str, object]:
    return {
        "held_out": track,
        "detector": name,
        "train_generated": seen,
        "photos": len(photos),
        "generated": len(generated),
        **ranking(photos, generated),
    }


if __name__ == "__main__":
    main()
