"""What a person may expect of a bundle: fakes found and photographs flagged, at 5 % and 1 %, set by set.

    python benchmarks/headline.py runs/dev.jsonl runs/sources.jsonl ... --bundle models/default \
        -o benchmarks/results/headline.csv --figure docs/headline.png

Each manifest's rows are counted by label and `kind`. A row with a box is judged by the face that overlaps it most, one
without by its largest face. Shares have 95 % Clopper-Pearson intervals; faces on which the detector abstains are
counted apart. Nothing that the bundle was trained, calibrated or chosen on belongs into the manifests.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from common import show, write_table

from cameraborn import Detector, Verdict, load
from cameraborn.data.manifest import Row, read_manifest
from cameraborn.photo.candidates import overlap
from cameraborn.report.metrics import clopper_pearson

RATES = (0.05, 0.01)
OVERLAP = 0.3  # intersection over union, from which a face is that of the row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifests", type=Path, nargs="+")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--evidence")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    detector = load(arguments.bundle, evidence=arguments.evidence)
    judged: dict[tuple[str, str, str], list[Verdict | None]] = defaultdict(list)
    for manifest in arguments.manifests:
        rows = list(read_manifest(manifest))
        for row, verdict in zip(rows, judge(detector, rows), strict=True):
            judged[manifest.stem, row.kind, row.label].append(verdict)
    lines = [line_of(name, kind, label, of) for (name, kind, label), of in sorted(judged.items())]
    for line in lines:
        show(line)
    write_table(lines, arguments.output, bundle=detector.bundle.info.name)
    if arguments.figure:
        draw(judged, arguments.figure)


def judge(detector: Detector, rows: list[Row]) -> list[Verdict | None]:
    """The verdict on each row's face, in order; None where no face was found where the row has one."""
    of_path: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in detector.score_many(dict.fromkeys(row.path for row in rows)):
        of_path[verdict.path].append(verdict)
    return [face_of(row, of_path[row.path]) for row in rows]


def face_of(row: Row, verdicts: list[Verdict]) -> Verdict | None:
    """The verdict that is about the row's face."""
    if row.box is None:
        return verdicts[0]
    overlaps = [0.0 if verdict.box is None else overlap(verdict.box, row.box) for verdict in verdicts]
    best = int(np.argmax(overlaps))
    return verdicts[best] if overlaps[best] >= OVERLAP else None


def line_of(name: str, kind: str, label: str, verdicts: list[Verdict | None]) -> dict[str, object]:
    """Counts and shares of one set."""
    p_values = np.array([v.p_value for v in verdicts if v is not None and v.p_value is not None])
    line: dict[str, object] = {
        "set": name,
        "kind": kind,
        "label": label,
        "faces": len(verdicts),
        "judged": len(p_values),
    }
    for rate in RATES:
        flagged = int((p_values <= rate).sum())
        low, high = clopper_pearson(flagged, len(p_values))
        percent = f"{100 * rate:g}"
        line |= {
            f"flagged_at_{percent}": round(flagged / max(1, len(p_values)), 3),
            f"low_at_{percent}": round(low, 3),
            f"high_at_{percent}": round(high, 3),
        }
    return line


def draw(judged: dict[tuple[str, str, str], list[Verdict | None]], path: Path) -> None:
    """The distribution of scores in each set, photographs above, generated faces below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    sets = sorted(judged, key=lambda key: (key[2] == "generated", key))
    figure, axes = plt.subplots(figsize=(8, 0.32 * len(sets) + 1.2), layout="constrained")
    for place, key in enumerate(reversed(sets)):
        scores = np.array([v.score for v in judged[key] if v is not None and v.p_value is not None])
        flagged = np.array([v.flagged for v in judged[key] if v is not None and v.p_value is not None], bool)
        jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(scores))
        for chosen, colour in ((~flagged, "#8a8f98"), (flagged, "#c8352b")):
            axes.scatter(scores[chosen], place + jitter[chosen], s=6, color=colour, linewidths=0)
    axes.set_yticks(range(len(sets)), [f"{kind} ({label})" for _, kind, label in reversed(sets)])
    axes.set_xlabel("score; red: flagged at a false-alarm rate of 5 %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
