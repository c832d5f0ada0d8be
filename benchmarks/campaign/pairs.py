"""How well a network tells redrawn photographs of validation's sources from their originals, by painter.

python benchmarks/campaign/pairs.py --work WORK --run NAME [--most 300]
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from evaluate import LOTTERY, patches_of, session
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from training_rows import entries_of, pixels_of

from cameraborn.degrade.history import random_history
from train import built


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--most", type=int, default=300)
    options = parser.parse_args()
    folder = options.work / "runs" / options.run
    made = json.loads((folder / "options.json").read_text())
    net = built(argparse.Namespace(**{"residual": False} | made | {"imagenet": None}))
    net.load_state_dict(load_file(folder / "average.safetensors"))
    run = session(net, folder / "average.onnx")
    held_out = frozenset(json.loads((options.work / "held_out.json").read_text()))
    entries = [entry for entry in entries_of(options.work) if entry["photograph"] in held_out]
    rng = np.random.default_rng(0)
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for n in rng.permutation(len(entries))[: options.most]:
        seed = int(rng.integers(2**31))
        for label, picture in enumerate(pixels_of(options.work, entries[n])):
            x = patches_of(random_history(picture, np.random.default_rng(seed), LOTTERY), 128, 4)
            score = run.run(None, {"pixels": np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32)})[
                0
            ].mean()
            found[entries[n]["painter"]].append((label, float(score)))
    for painter, both in sorted(found.items()):
        labels, scores = np.array(both).T
        won = float((scores[1::2] > scores[::2]).mean())
        print(
            f"{painter} {len(both) // 2} AUC {roc_auc_score(labels, scores):.3f}, above its own photograph {won:.3f}"
        )


if __name__ == "__main__":
    main()
