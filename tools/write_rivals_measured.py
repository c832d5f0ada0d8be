"""Write docs/rivals_measured.md from benchmarks/results/rivals*.csv: python tools/write_rivals_measured.py"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from cameraborn.bench.scorers import PROTOCOL
from cameraborn.rivals import ENCODERS, RIVALS
from cameraborn.rivals.published import without_memory

ROOT = Path(__file__).resolve().parents[1]
PAGE, RESULTS = ROOT / "docs" / "rivals_measured.md", ROOT / "benchmarks" / "results"
OURS, CUES = "ours: ", ("sharpness", "bytes-per-pixel")
BUNDLE = "cameraborn-6"  # whose channels stand in these tables
Row = dict[str, str]
INTRODUCTION = """# Rivals, trained and measured on our pictures

Written by `python tools/write_rivals_measured.py` from the tables of `python benchmarks/rivals.py`; do not edit.
[rivals.csv](../benchmarks/results/rivals.csv) holds the development tracks,
[rivals_left_out.csv](../benchmarks/results/rivals_left_out.csv) the families left out. What each rival is in detail,
and how ours differs from its authors' code, stands in [rivals.md](rivals.md).

All were trained from nothing, or on the encoder's published weights where the name says so, on the same deliveries of
the same faces: fakes of 23 generators and photographs that may train, none of them of a source that calibrates. The
recipes are those of [configs/rivals](../configs/rivals), shortened to minutes of one processor thread; the column of
minutes says how far. All thresholds are those that 5 % of the same 115 held-out photographs pass (of a channel of ours:
of its own calibration, by condition); in brackets what is flagged by the rival's own threshold: even odds, or of a
mixture the 5th percentile of the photographs that it was fitted to. AUC has its 95 % interval: a bootstrap in which the
photographs of a source are drawn together.

**How the recipes were shortened** ([training.py](../benchmarks/rivals/training.py)): smaller batches and crops, and
learning rates for so few steps, as most begin from nothing where their authors begin from ImageNet's weights; rates
do not fall, and what a recipe does to files by itself is left to the lottery. Batch normalisation's statistics are
measured anew on training pictures at the end. Our own channels are those of BUNDLE, the release before:
`generators` was trained for MINUTES minutes ([campaign.csv](../benchmarks/results/campaign.csv)), the two others for
a quarter of an hour each ([default_bundle.md](default_bundle.md)). Its networks run together, so its speed is told
once. They look for the face by themselves and leave out one that they would not judge, so on the deliveries they are
judged on fewer pictures than rivals, which see each whole: the tables' columns `photographs` and `generated`.

**Why a published figure is not the same thing as ours.** Authors train on tens of thousands of pictures of one
generator, for hours on GPUs, and start from ImageNet's or CLIP's weights; here it is minutes on hundreds of pictures of
23 generators. Authors test on pictures as their generators saved them, mostly beside photographs of another format,
size and compression, which a detector can learn in place of the generator; here both classes were delivered by one
lottery. They set the threshold at even odds or choose it on test pictures; here held-out photographs decide. So a low
figure below is no failure of the paper's, and a published one is no promise for faces such as these.
"""


def page() -> str:
    """The whole page."""
    dev, left_out = _read("rivals.csv"), _read("rivals_left_out.csv")
    measured = [row for row in dev if row["track"]]
    return "\n".join(
        [
            INTRODUCTION.replace("MINUTES", _minutes_of_ours()).replace("BUNDLE", BUNDLE),
            "## On the development tracks, as they come\n",
            *_tracks_table(measured),
            "",
            *_comparison(measured, "on the mean of the tracks"),
            "\n## On families of generators left out, delivered by the lottery\n",
            *_families(left_out),
            "",
            *_comparison_of_families(left_out),
            "\n## What each is, costs, and is said to reach\n",
            *_glance(measured),
            "\n## Not measured\n",
            *_missing([row for row in dev if row["missing"]]),
            "",
        ]
    )


def _read(name: str) -> list[Row]:
    file = RESULTS / name
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _minutes_of_ours() -> str:
    """How long the channel `generators` of `BUNDLE` was trained."""
    (run,) = (row for row in _read("campaign.csv") if f"(shipped as {BUNDLE})" in row["recipe"])
    return f"{float(run['cpu_minutes']):.0f}"


def _tracks_table(rows: Sequence[Row]) -> Iterator[str]:
    """AUC of each track, and what is found of all fakes at which false alarms."""
    tracks = [track for track in dict.fromkeys(row["track"] for row in rows) if track != "mean"]
    yield f"| detector | learns from | minutes | {' | '.join(tracks)} | mean AUC | found | photographs flagged |"
    yield "|---|---|---|" + "---|" * (len(tracks) + 3)
    for name in dict.fromkeys(row["detector"] for row in rows):
        of = {row["track"]: row for row in rows if row["detector"] == name}
        mean = of["mean"]
        aucs = " | ".join(_number(of[track]["auc"]) for track in tracks)
        yield (
            f"| {name} | {mean['learns_from']} | {mean.get('train_minutes', '')} | {aucs} | {_auc(mean)} | "
            f"{_shares(mean, 'found')} | {_shares(mean, 'false_alarms')} |"
        )


def _families(rows: Sequence[Row]) -> Iterator[str]:
    """AUC of each family; a rival has one network for each of two groups of families."""
    if not rows:
        yield "Not measured yet."
        return
    families = [track for track in dict.fromkeys(row["track"] for row in rows) if track != "mean"]
    means = _means_of_families(rows)
    yield f"| detector | learns from | minutes | {' | '.join(families)} | mean | found, by family |"
    yield "|---|---|---|" + "---|" * (len(families) + 2)
    for name in dict.fromkeys(row["detector"] for row in rows):
        of = {row["track"]: row for row in rows if row["detector"] == name and row["track"] != "mean"}
        first = next(iter(of.values()))
        aucs = " | ".join(_auc(of[family]) if family in of else "" for family in families)
        mean = _number(str(means[name])) if name in means else ""
        found = ", ".join(_percent(of[f]["found"]) if f in of else "not measured" for f in families)
        yield f"| {name} | {first['learns_from']} | {first.get('train_minutes', '')} | {aucs} | {mean} | {found} |"
    if notes := sorted(
        {f"{row['detector']} ({row['left_out']}): {row['note']}" for row in rows if row.get("note")}
    ):
        yield "\n" + "; ".join(notes) + "."


def _comparison(rows: Sequence[Row], where: str) -> Iterator[str]:
    """Which rivals beat each of our channels, said plainly."""
    means = [row for row in rows if row["track"] == "mean" and row["detector"] not in CUES]
    for ours in (row for row in means if row["detector"].startswith(OURS)):
        others = [row for row in means if not row["detector"].startswith(OURS)]
        better = [row["detector"] for row in others if float(row["auc"]) > float(ours["auc"])]
        surely = [row["detector"] for row in others if float(row["auc_low"]) > float(ours["auc_high"])]
        channel = ours["detector"].removeprefix(OURS)
        words = f"beats `{channel}` ({_auc(ours)}) {where}"
        yield f"- **{', '.join(better)}** {words}." if better else f"- No rival measured so far {words}."
        if surely:
            yield f"  The intervals of {', '.join(surely)} do not even touch its own."
        if singly := list(_better_on_tracks(rows, ours["detector"])):
            yield f"  On single tracks, rivals that rank better: {'; '.join(singly)}."


def _means_of_families(rows: Sequence[Row]) -> dict[str, float]:
    """The mean AUC of each detector that was measured on every family."""
    families = {row["track"] for row in rows} - {"mean"}
    aucs: dict[str, list[float]] = {}
    for row in rows:
        if row["track"] != "mean":
            aucs.setdefault(row["detector"], []).append(float(row["auc"]))
    return {name: sum(known) / len(known) for name, known in aucs.items() if len(known) == len(families)}


def _comparison_of_families(rows: Sequence[Row]) -> Iterator[str]:
    """Which rivals beat each of ours on the mean of all families."""
    means = {name: mean for name, mean in _means_of_families(rows).items() if name not in CUES}
    for ours in (name for name in means if name.startswith(OURS)):
        better = [
            f"{name} {_number(str(mean))}"
            for name, mean in means.items()
            if mean > means[ours] and not name.startswith(OURS)
        ]
        beaten = f"`{ours.removeprefix(OURS)}` ({_number(str(means[ours]))}) on the mean of the families"
        yield (
            f"- **Better than {beaten}: {', '.join(better)}.**"
            if better
            else f"- No rival is better than {beaten}."
        )


def _better_on_tracks(rows: Sequence[Row], ours: str) -> Iterator[str]:
    """Each track on which rivals rank better than a channel of ours, and which."""
    for mine in (row for row in rows if row["detector"] == ours and row["track"] != "mean"):
        others = [
            row
            for row in rows
            if row["track"] == mine["track"]
            and not row["detector"].startswith(OURS)
            and row["detector"] not in CUES
            and row["auc"]
            and float(row["auc"]) > float(mine["auc"])
        ]
        if others:
            named = ", ".join(f"{row['detector']} {_number(row['auc'])}" for row in others)
            yield f"{mine['track']} {named} (ours {_number(mine['auc'])})"


def _glance(rows: Sequence[Row]) -> Iterator[str]:
    """Paper, size, speed, training, and what is published."""
    yield "| detector | of | parameters | G multiply-adds | faces a second | pictures seen | published |"
    yield "|---|---|---|---|---|---|---|"
    for row in (row for row in rows if row["track"] == "mean" and row["detector"] not in CUES):
        name = row["detector"].removesuffix(f" ({PROTOCOL})")
        known = name in RIVALS or name in ENCODERS
        paper = without_memory(name).publication.paper if known else "this project"
        size = f"{int(row['parameters']):,}" if row["parameters"] else ""
        work = (
            f"{float(row['mega_multiply_adds']) / 1000:.3g}" if row["mega_multiply_adds"] else "not counted"
        )
        seen, speed = row.get("pictures_seen", ""), row["faces_a_second"]
        yield f"| {row['detector']} | {paper} | {size} | {work} | {speed} | {seen} | {row['published']} |"


def _missing(rows: Sequence[Row]) -> Iterator[str]:
    """What is published of each, and why it is not measured."""
    yield "| detector | published | why |"
    yield "|---|---|---|"
    for row in rows:
        yield f"| {row['detector']} | {row['published']} | {row['missing'].removeprefix(row['detector'] + ': ')} |"


def _auc(row: Row) -> str:
    return f"{_number(row['auc'])} ({_number(row['auc_low'])} to {_number(row['auc_high'])})"


def _number(text: str) -> str:
    return f"{float(text):.2f}".removeprefix("0") if text else ""


def _percent(text: str) -> str:
    return f"{100 * float(text):.0f} %" if text else ""


def _shares(row: Row, name: str) -> str:
    """By the threshold of held-out photographs, and in brackets by its own."""
    own = row[f"own_{name}"]
    return _percent(row[name]) + (f" ({_percent(own)})" if own else "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
