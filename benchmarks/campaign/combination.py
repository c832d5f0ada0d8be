"""Do channels that saw no fake help one that did, on families of generators that it never saw?

    python benchmarks/campaign/combination.py --work WORK --run NAME [--run OTHER] --bundle BUNDLE \
        -o benchmarks/results/combination.csv

For every run that left families out and was scored by evaluate.py: each rule's AUC on those families, delivered alike
(`lottery`), against held-out photographs, as it is and balanced by who is shown, and the share flagged at 5 % of these
photographs. `photographs` and `reconstructed` enter as normal scores of their p-values, `generators` standardised.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from evaluate import Evaluation
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from cameraborn import load

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
        "generators + .5 both": g + 0.5 * (p + r),
        "generators + both": g + p + r,
        "generators + .5 of what is above the mean of both": g + 0.5 * (np.maximum(p, 0) + np.maximum(r, 0)),
        "generators + both above one deviation": g + np.maximum(p - 1, 0) + np.maximum(r - 1, 0),
    }


def of_channels(evaluation: Evaluation, bundle: Path) -> dict[int, dict[str, float]]:
    """The normal score of each channel's p-value, of every delivered picture that is large enough."""
    detector = load(bundle)
    found: dict[int, dict[str, float]] = {}
    for number, entry in enumerate(evaluation.entries):
        pixels = evaluation.pixels(number)
        if entry["delivery"] != "lottery" or not detector.observer.is_large_enough(pixels):
            continue
        measured = detector.observer.measure(pixels, len(pixels) / SCALE, None)
        surprises = detector.bundle.surprises(measured.feature[None])
        calibrations = detector.bundle.channel_calibrations
        p_values = {
            name: calibrations[name].p_value(float(surprises[name][0]), measured.condition)
            for name in CHANNELS
        }
        found[number] = {name: float(-norm.ppf(np.clip(p, 1e-3, 1 - 1e-3))) for name, p in p_values.items()}
    return found


def figures(
    evaluation: Evaluation, channels: Mapping[int, Mapping[str, float]], folder: Path
) -> list[dict[str, object]]:
    """A row for each rule and family left out of a run."""
    left_out = json.loads((folder / "options.json").read_text())["leave_out"]
    held = np.load(folder / "scores.npz")
    score_of = dict(zip(held["numbers"].tolist(), held["scores"][:, 0].tolist(), strict=True))
    numbers = [number for number in channels if number in score_of]
    photo = evaluation.column("label")[numbers] == "photo"
    overlap = evaluation.overlap[evaluation.column("row")[numbers].astype(int)]
    logits = np.array([score_of[number] for number in numbers])
    p, r = (np.array([channels[number][name] for number in numbers]) for name in CHANNELS)
    rows: list[dict[str, object]] = []
    for rule, scores in rules((logits - logits[photo].mean()) / logits[photo].std(), p, r).items():
        threshold = np.quantile(scores[photo], 0.95)
        for family in left_out:
            fakes = evaluation.column("family")[numbers] == family
            both = fakes | photo
            counted = both & (overlap > 0)
            rows.append(
                {
                    "run": folder.name,
                    "rule": rule,
                    "family": family,
                    "fakes": int(fakes.sum()),
                    "photos": int(photo.sum()),
                    "auc": round(float(roc_auc_score(fakes[both], scores[both])), 3),
                    "auc_balanced": round(
                        float(roc_auc_score(fakes[counted], scores[counted], sample_weight=overlap[counted])),
                        3,
                    ),
                    "flagged_at_5": round(float((scores[fakes] > threshold).mean()), 3),
                }
            )
    return rows


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
