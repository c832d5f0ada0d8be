"""Does the stated false-alarm rate hold on a source that calibration has not seen?

    python benchmarks/unseen_sources.py -o benchmarks/results/unseen_sources.csv

Each source of the bundle's calibration in turn is compared with all others in its place: how many of its photographs
would be flagged if it had not been there? Each photograph counts once, its views in other conditions in parts. No
network runs: the scores are those of the bundle's `calibration.csv`. Edges of conditions and the channels' common scale
stay as they are, of all sources.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import write_table

from cameraborn.detect.bundle import Bundle
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.held_out import CalibrationRow
from cameraborn.detect.store import read_bundle

RATES = (0.05, 0.01)
Shares = list[list[float]]  # of each photograph, at each rate


def main() -> None:
    """Leave each source out, and write what would be flagged of it."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    bundle = read_bundle(options.bundle or default_bundle())
    rows = bundle.calibration_rows
    flagged = {source: flagged_of(bundle, rows, source) for source in sorted({row.source for row in rows})}
    lines = [line(source, of, len(of)) for source, of in flagged.items()]
    together = [shares for of in flagged.values() for shares in of]
    means = [list(np.mean(of, axis=0)) for of in flagged.values()]
    lines += [line("all photographs", together, len(together)), line("all sources", means, len(together))]
    write_table(lines, options.output)


def flagged_of(bundle: Bundle, rows: Sequence[CalibrationRow], source: str) -> Shares:
    """Of each photograph of a source the shares of its views that are flagged, compared with other sources."""
    others = bundle.with_calibration(bundle.coverage, [row for row in rows if row.source != source])
    p_values: dict[str, list[float]] = {}
    for row in rows:
        if row.source == source:
            p_values.setdefault(row.photograph, []).append(
                others.calibration.p_value(row.score, row.condition)
            )
    return [[float(np.mean(np.array(of) <= rate)) for rate in RATES] for of in p_values.values()]


def line(name: str, shares: Shares, photographs: int) -> dict[str, object]:
    """The mean of shares, at each rate."""
    found = np.mean(shares, axis=0)
    return {"source": name, "photographs": photographs} | {
        f"flagged_at_{100 * rate:g}": f"{share:.3f}" for rate, share in zip(RATES, found, strict=True)
    }


if __name__ == "__main__":
    main()
