"""Which photographs are kept from training, to calibrate and to judge on: row numbers of the cache.

Those that the bundle that ships was calibrated on, with all of their sources (portraits: each by itself), those in
`examples/`, and one source in four of `data2`. The networks of that bundle have not seen any of them either, so one set
of photographs can calibrate all channels of evidence.

    python benchmarks/campaign/split.py --shared SHARED --work WORK --bundle models/default

It writes WORK/held_out.json, and three manifests of faces: WORK/calibration.jsonl of those that may calibrate what
ships, WORK/fitting.jsonl of those that are not held out, and WORK/folds.jsonl of those among these that `generators`
alone is fitted to: they calibrate too, each judged by a layer that was fitted without its source and all others of its
fold. Portraits do not calibrate: others of their two sources are trained on, and a threshold has to hold on sources
never seen.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from cache import SETS, Cache, Row

from cameraborn.data.manifest import Row as ManifestRow
from cameraborn.data.manifest import sha256_of, write_manifest
from cameraborn.detect.bundle import SEEN_DIGITS
from cameraborn.detect.store import read_bundle

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NEW = ("camera2", "faces2")  # sets that `photographs` and `reconstructed` were not trained on
FOLDS = 5
SHARE = 25  # percent of the sources of data2
ALWAYS = ("drewnoakes/metadata-extractor-images",)  # has files among `cases/genuine`, which only measure


def source_held_out(row: Row) -> bool:
    """Whether a source of data2 is kept from training."""
    if row["group"] in ALWAYS:
        return True
    chance = int(hashlib.sha256(f"held out {row['group']}".encode()).hexdigest()[:8], 16) % 100
    return row["set"] in NEW and chance < SHARE


def fold_of(row: Row) -> int | None:
    """The fold of a photograph's source, among those that can calibrate where they are left out; none of others."""
    if row["set"] not in NEW or row["label"] != "photo":
        return None
    return int(hashlib.sha256(f"fold {row['group']}".encode()).hexdigest()[:8], 16) % FOLDS


def manifest_row(shared: Path, row: Row, split: str) -> ManifestRow:
    """A row of the cache as a row of a manifest."""
    file = (shared / SETS[row["set"]][1] / row["path"]).resolve()
    kept = {"path": str(file), "sha256": sha256_of(file), "source": row["group"], "group": row["group"]}
    return ManifestRow(**kept, split=split, kind=row["set"])


def main() -> None:
    """Write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    options = parser.parse_args()
    bundle = read_bundle(options.bundle)
    examples = {sha256_of(path)[:SEEN_DIGITS] for path in EXAMPLES.glob("*.jpg")}
    assert examples, f"{EXAMPLES}: no examples, which no part of a bundle may see"
    calibrates = {row.photograph for row in bundle.calibration_rows}
    rows = [
        (number, row)
        for number, row in enumerate(Cache(options.work / "cache").rows)
        if row["label"] == "photo" and row["set"] in ("camera", "camera2", "faces2", "portraits")
    ]
    digests = {
        number: sha256_of(options.shared / SETS[row["set"]][1] / row["path"])[:SEEN_DIGITS]
        for number, row in rows
    }
    sources = {
        row["group"] for number, row in rows if digests[number] in calibrates and row["set"] != "portraits"
    }
    held_out = [
        number
        for number, row in rows
        if digests[number] in calibrates | examples
        or row["group"] in sources
        or (source_held_out(row) and not bundle.has_seen(digests[number]))
    ]
    (options.work / "held_out.json").write_text(json.dumps(held_out))
    held = set(held_out)
    faces = [(number in held, row) for number, row in rows if row["box"] and row["trains"]]
    calibrating = [row for out, row in faces if out and row["set"] != "portraits"]
    fitting = [row for out, row in faces if not out]
    known = {row["group"] for _, row in rows if row["set"] not in NEW}
    folds = [row for row in fitting if fold_of(row) is not None and row["group"] not in known]
    for split, chosen in (("calibration", calibrating), ("fitting", fitting), ("folds", folds)):
        write_manifest(
            [manifest_row(options.shared, row, split) for row in chosen], options.work / f"{split}.jsonl"
        )
    print(len(held_out), "photographs are held out")


if __name__ == "__main__":
    main()
