"""Our own network of `generators` with families left out: runs of `benchmarks/campaign/train.py`, on the same fakes.

A run is judged on the evaluation set of its own folder. Where that was divided by an older `split.py`, its photographs
are others than the rivals', from sources that this run has not seen, and `note` says so; the fakes are the same.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cache import Row as CacheRow
from costs import columns, cost_of_channel
from evaluate import Evaluation, scored, session
from safetensors.torch import load_file
from table import Line, Scored, lines_of

from cameraborn.bench.scores import ScoreRow
from cameraborn.detect.conformal import p_values
from pictures import every_other_source, tested_entries

NAME = "ours: generators, trained without these families"
LOOK = (256, 128, 4)  # largest side, patches' side, patches: as the bundle looks


def our_lines(campaign: Path, run: str, work: Path) -> list[Line]:
    """A line of each family that a run has left out, and of their mean."""
    folder = campaign / "runs" / run
    made = json.loads((folder / "options.json").read_text())
    evaluation = Evaluation(own := Path(made["work"]))
    photographs, fakes = tested_entries(evaluation.entries)
    fakes = [n for n in fakes if evaluation.entries[n]["family"] in made["leave_out"]]
    numbers = [*photographs, *fakes]
    scores = _scores(folder, made, evaluation, numbers, work / "ours" / f"{run}.npy")
    calibrating = every_other_source([evaluation.entries[n]["group"] for n in photographs])
    entries = [evaluation.entries[n] for n in numbers]
    held_out = np.array([s for e, s in zip(entries, scores, strict=True) if _calibrates(e, calibrating)])
    rows = [
        _row(entry, float(score), held_out)
        for entry, score in zip(entries, scores, strict=True)
        if not _calibrates(entry, calibrating)
    ]
    parts = [
        Scored(
            NAME, family, [r for r in rows if r.label == "photo"], [r for r in rows if r.track == family], []
        )
        for family in made["leave_out"]
    ]
    note = "" if own.resolve() == campaign.resolve() else "photographs of an older split"
    cost = {"train_minutes": made["minutes"], "learns_from": "fakes and photographs", "note": note}
    cost |= columns(cost_of_channel("generators"))
    left_out = {"left_out": " ".join(made["leave_out"])}
    return [left_out | line | cost for line in lines_of(parts)]


def _scores(
    folder: Path, made: dict[str, object], evaluation: Evaluation, numbers: list[int], file: Path
) -> Sequence[float]:
    """The network's logit of each picture; kept in a file."""
    from train import built

    if not file.exists():
        net = built(argparse.Namespace(**{"residual": False} | made | {"imagenet": None}))
        net.load_state_dict(load_file(folder / "average.safetensors"))
        file.parent.mkdir(parents=True, exist_ok=True)
        network = session(net, file.with_suffix(".onnx"))
        np.save(file, scored(network, evaluation.pixels, numbers, (LOOK,), mirror=False)[:, 0])
    found: list[float] = np.load(file).tolist()
    return found


def _calibrates(entry: CacheRow, calibrating: set[str]) -> bool:
    return entry["label"] == "photo" and entry["group"] in calibrating


def _row(entry: CacheRow, score: float, held_out: np.ndarray) -> ScoreRow:
    p_value = float(p_values(np.array([score]), held_out)[0])
    return ScoreRow(
        path=entry["path"],
        sha256="",
        detector=NAME,
        detector_key="",
        test_set="",
        track=entry["family"] or "",
        degradation="none",
        label=entry["label"],
        generator=entry["generator"] or "",
        source=entry["group"] or "",
        group="",
        in_source=False,
        scope="ok",
        score=score,
        p_value=p_value,
        flagged=None,
        seconds=None,
        error="",
    )
