"""Do channels that saw no fake help one that did, on families of generators that it never saw?

    python benchmarks/campaign/combination.py --work WORK --run NAME [--run OTHER] --bundle BUNDLE \
        -o benchmarks/results/combination.csv

For every run that left families out and was scored by evaluate.py: each rule's AUC on those families, delivered alike
(`lottery`) and as they come, against held-out photographs of sources like those of training, as it is and balanced by
who is shown, and against FFHQ's and those of `data2/sources`, of which no source has trained anything; and the share
flagged at 5 % of the held-out photographs.
Every channel enters standardised on these, `photographs` and `reconstructed` within `LIMIT`, as in the bundle's score.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from cache import Row
from evaluate import USUAL, Evaluation
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cameraborn.detect.evidence.combine import LIMIT
from cameraborn.detect.observe import Observer
from cameraborn.detect.store import read_bundle

Scores = NDArray[np.float64]
CHANNELS = ("photographs", "reconstructed")
SCALE = 1.3  # side of the pictures over the face's, on average


def rules(g: Scores, p: Scores, r: Scores) -> dict[str, Scores]:
    """Ways to make one number of three."""
    return {
        "photographs": p,
        "reconstructed": r,
        "generators": g,
        "generators + .2 photographs": g + 0.2 * p,
        "generators + .2 reconstructed": g + 0.2 * r,
        "generators + .15 both": g + 0.15 * (p + r),
        "generators + .3 both": g + 0.3 * (p + r),
        "generators + .4 both": g + 0.4 * (p + r),
        "generators + .5 both": g + 0.5 * (p + r),
        "generators + both": g + p + r,
        "generators + .5 of what is above the mean of both": g + 0.5 * (np.maximum(p, 0) + np.maximum(r, 0)),
        "generators + both above one deviation": g + np.maximum(p - 1, 0) + np.maximum(r - 1, 0),
    }


def of_channels(evaluation: Evaluation, bundle: Path) -> dict[int, dict[str, float]]:
    """The surprise of each channel, of every picture that is large enough and counts here."""
    read = read_bundle(bundle)
    channels = [read.channel(name) for name in CHANNELS]
    columns = tuple(part for channel in channels for part in channel.columns)
    observer = Observer(read, threads=os.cpu_count(), columns=columns)
    found: dict[int, dict[str, float]] = {}
    for number, entry in enumerate(evaluation.entries):
        if not kind_of(entry) or not observer.is_large_enough(pixels := evaluation.pixels(number)):
            continue
        feature = observer.measure(pixels, len(pixels) / SCALE, None).feature[None]
        found[number] = {channel.name: float(channel.surprise(feature)[0]) for channel in channels}
    return found


def kind_of(entry: Row) -> str:
    """`fake`, `held-out`, `ffhq` or `other source`; empty: a picture that does not count here."""
    if entry["delivery"] not in ("lottery", "as-is"):
        return ""
    if entry["set"] == "fakes":
        return "fake"
    if entry["label"] != "photo":
        return ""
    if entry["set"] in USUAL:
        return "held-out"
    if entry["set"] == "sources":
        return "other source"
    return (
        "ffhq" if entry["set"] == "dev" and entry["track"] != "ldm-256" else ""
    )  # whose faces are far smaller


def figures(
    evaluation: Evaluation, channels: Mapping[int, Mapping[str, float]], folder: Path
) -> Iterator[dict[str, object]]:
    """A row for each delivery, rule and family left out of a run."""
    left_out = json.loads((folder / "options.json").read_text())["leave_out"]
    held = np.load(folder / "scores.npz")
    score_of = dict(zip(held["numbers"].tolist(), held["scores"][:, 0].tolist(), strict=True))
    known = [number for number in channels if number in score_of]
    for delivery in ("lottery", "as-is"):
        numbers = [number for number in known if evaluation.entries[number]["delivery"] == delivery]
        kinds = np.array([kind_of(evaluation.entries[number]) for number in numbers])
        overlap = evaluation.overlap[evaluation.column("row")[numbers].astype(int)]
        photo = kinds == "held-out"
        g, p, r = (
            standardised(np.array(column), photo)
            for column in (
                [score_of[number] for number in numbers],
                *([channels[number][name] for number in numbers] for name in CHANNELS),
            )
        )
        for rule, scores in rules(g, p.clip(-LIMIT, LIMIT), r.clip(-LIMIT, LIMIT)).items():
            for family in left_out:
                fakes = evaluation.column("family")[numbers] == family
                yield {
                    "run": folder.name,
                    "delivery": delivery,
                    "rule": rule,
                    "family": family,
                    **worth(scores, fakes, kinds, overlap),
                }


def worth(
    scores: Scores, fakes: NDArray[np.bool_], kinds: NDArray[np.str_], overlap: Scores
) -> dict[str, object]:
    """Figures of scores [N] on some fakes and on photographs, by `kind_of` and weights of who is shown: columns."""
    photo, ffhq, other = (kinds == kind for kind in ("held-out", "ffhq", "other source"))
    threshold = np.quantile(scores[photo], 0.95)
    return {
        "fakes": int(fakes.sum()),
        "photos": int(photo.sum()),
        "auc": auc(scores, fakes, photo),
        "auc_balanced": auc(scores, fakes & (overlap > 0), photo & (overlap > 0), overlap),
        "auc_ffhq": auc(scores, fakes, ffhq),
        "auc_other_sources": auc(scores, fakes, other),
        "flagged_at_5": share(scores[fakes] > threshold),
        "ffhq_flagged_at_5": share(scores[ffhq] > threshold),
        "other_sources_flagged_at_5": share(scores[other] > threshold),
    }


def standardised(values: Scores, photo: NDArray[np.bool_]) -> Scores:
    """Mean 0 and deviation 1 among the photographs."""
    result: Scores = (values - values[photo].mean()) / values[photo].std()
    return result


def auc(
    scores: Scores, fakes: NDArray[np.bool_], photos: NDArray[np.bool_], weights: Scores | None = None
) -> float | str:
    """The AUC of some fakes against some photographs; empty if there are none."""
    both = fakes | photos
    if not fakes.any() or not photos.any():
        return ""
    weight = None if weights is None else weights[both]
    return round(float(roc_auc_score(fakes[both], scores[both], sample_weight=weight)), 3)


def share(flagged: NDArray[np.bool_]) -> float | str:
    """The share that is flagged; empty if there are none."""
    return round(float(flagged.mean()), 3) if flagged.size else ""


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", action="append", required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    evaluation = Evaluation(options.work)
    channels = of_channels(evaluation, options.bundle)
    rows = [row for run in options.run for row in figures(evaluation, channels, options.work / "runs" / run)]
    with options.output.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
