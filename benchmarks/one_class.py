"""How well a bundle separates generated faces from photographs, track by track, beside trivial cues.

    cameraborn data import rows ../shared/data/dev.jsonl -o runs/dev.jsonl --exclude ...   (the pictures in examples/)
    python benchmarks/one_class.py runs/dev.jsonl --bundle models/default -o benchmarks/results/one_class.csv

A manifest of labelled pictures whose `kind` names the track. A picture's score is that of its largest face. AUC's
positive class is generated; its interval is a 95 % bootstrap over pictures; TPR at a false-alarm rate takes the
threshold from the track's own photographs, false alarms at the nominal rate take the bundle's. A cue's AUC is written
as it is: far from .5 in either direction means that the track can be told apart without looking for a generator.
A track of photographs alone has false alarms, and nothing to be told apart from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common import by_track, ranking, show, write_table
from numpy.typing import NDArray

from cameraborn import Detector, Verdict, load, open_picture
from cameraborn.data.cues import CUES
from cameraborn.data.manifest import Row

NOMINAL = 0.05
Array = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    detector = load(arguments.bundle)
    rows = []
    for track, members in by_track(arguments.manifest).items():
        verdicts = judge(detector, members)
        rows.append(row_of(track, detector.bundle.info.name, members, verdicts))
        for name, cue in CUES.items() if labels_of(members).any() else ():
            values = np.array([cue(open_picture(row.path)) for row in members])
            rows.append(figures(track, f"cue: {name}", values, labels_of(members)))
    write_table(rows, arguments.output)
    for row in rows:
        show(row)


def judge(detector: Detector, rows: list[Row]) -> list[Verdict]:
    """The verdict on each picture's largest face, in order."""
    return [
        verdict
        for verdict in detector.score_many((row.path for row in rows), false_alarm_rate=NOMINAL)
        if not verdict.face
    ]


def labels_of(rows: list[Row]) -> NDArray[np.int_]:
    return np.array([row.label == "generated" for row in rows], int)


def row_of(track: str, name: str, rows: list[Row], verdicts: list[Verdict]) -> dict[str, object]:
    labels = labels_of(rows)
    scored = np.array([verdict.score is not None for verdict in verdicts])
    scores = np.array([np.nan if verdict.score is None else verdict.score for verdict in verdicts])
    flagged = np.array([verdict.flagged is True for verdict in verdicts])
    abstained = np.array([verdict.flagged is None for verdict in verdicts])
    row = figures(track, name, scores[scored], labels[scored])
    for label, word in ((0, "photo"), (1, "generated")):
        judged = ~abstained & (labels == label)
        row[f"{word}_flagged_at_nominal"] = round(float(flagged[judged].mean()), 3) if judged.any() else ""
        row[f"{word}_abstained"] = int((abstained & (labels == label)).sum())
    return row


def figures(track: str, name: str, scores: Array, labels: NDArray[np.int_]) -> dict[str, object]:
    photos, generated = scores[labels == 0], scores[labels == 1]
    ranked: dict[str, object] = dict.fromkeys(("auc", "auc_low", "auc_high", "tpr_at_5", "tpr_at_1"), "")
    if len(photos) and len(generated):
        ranked = {
            **ranking(photos, generated),
            "tpr_at_5": round(tpr_at(photos, generated, 0.05), 3),
            "tpr_at_1": round(tpr_at(photos, generated, 0.01), 3),
        }
    return {
        "track": track,
        "detector": name,
        "photos": len(photos),
        "generated": len(generated),
        **ranked,
        "photo_flagged_at_nominal": "",
        "photo_abstained": "",
        "generated_flagged_at_nominal": "",
        "generated_abstained": "",
    }


def tpr_at(photos: Array, generated: Array, rate: float) -> float:
    """Share of generated pictures above the threshold that flags at most `rate` of the photographs."""
    allowed = int(rate * len(photos))
    threshold = np.sort(photos)[::-1][allowed]
    return float((generated > threshold).mean())


if __name__ == "__main__":
    main()
