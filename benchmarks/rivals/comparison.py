"""The comparison from end to end: pictures, training, scores, tables. `benchmarks/rivals.py` is the command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import torch
from common import write_table
from costs import about, missing, speed
from measuring import (
    ALL,
    CHANNELS,
    CUES,
    ONE_CLASS,
    ORDER,
    Section,
    channels,
    measure_dev,
    measure_left_out,
    trained,
    untrained,
)
from ours import our_lines
from table import Line, lines_of, scored
from training import RIVALS, train

from cameraborn.detect.detector import default_bundle
from pictures import GROUPS, make_pictures


def main(title: str) -> None:
    """Do what is not done yet, and write both tables."""
    parser = argparse.ArgumentParser(description=title)
    for name in ("campaign", "shared", "dev", "work", "lite", "autoencoders"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument("--minutes", type=float, default=4, help="to train each")
    parser.add_argument("--left-out-minutes", type=float, default=2, help="to train each without families")
    parser.add_argument("--without", nargs="*", default=[], help="rivals to leave out")
    parser.add_argument(
        "--never-without", nargs="*", default=[], help="rivals that are not trained without families"
    )
    parser.add_argument("--ours", nargs="*", default=[], help="runs of the campaign with families left out")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    make_pictures(options.campaign, options.shared, options.work)
    on_dev(options)
    on_families_left_out(options)


def on_dev(options: argparse.Namespace) -> None:
    """Train on all families, measure on the development tracks; rivals.csv grows with each."""
    work, lines = options.work, list[Line]()
    for section in chain([channels((*CHANNELS, ALL), options.bundle)], each(options, (), options.minutes)):
        folder = measure_dev(section, options.dev, work)
        pace = speed(section[0], options.dev, work)
        for line in lines_of(scored(folder)):
            name = str(line["detector"])
            whole = (
                name not in CUES and name.removeprefix("ours: ") not in CHANNELS
            )  # a bundle looks once for all
            lines.append(line | about(name, (), work) | {"faces_a_second": pace if whole else ""})
        measured = {str(line["detector"]).partition(" (")[0] for line in lines}
        write_table([*in_order(lines), *missing(measured)], options.output / "rivals.csv")


def on_families_left_out(options: argparse.Namespace) -> None:
    """Train without families, measure on these; rivals_left_out.csv grows with each."""
    lines = [line for run in options.ours for line in our_lines(options.campaign, run, options.work)]
    write_table(in_order(lines), options.output / "rivals_left_out.csv")
    for group in GROUPS:
        ours = channels(CHANNELS[1:], options.bundle)
        for section in chain([ours], each(options, group, options.left_out_minutes)):
            folder = measure_left_out(section, group, options.work)
            for line in lines_of(scored(folder)):
                told = about(str(line["detector"]), group, options.work)
                lines.append({"left_out": " ".join(group)} | line | told)
            write_table(in_order(lines), options.output / "rivals_left_out.csv")


def each(options: argparse.Namespace, group: tuple[str, ...], minutes: float) -> Iterator[list[Section]]:
    """Every rival, trained when it is asked for; what learns from no fakes is the same whatever is left out."""
    recipes = {rival: recipe for recipe, rival in RIVALS.items()}
    for name in ORDER:
        recipe = recipes.get(name)
        learns_from_fakes = recipe is not None and recipe not in ONE_CLASS
        if name in options.without or (group and learns_from_fakes and name in options.never_without):
            continue
        if recipe is None:
            yield [untrained(name, options.lite, options.autoencoders)]
            continue
        left_out, trained_for = (group, minutes) if learns_from_fakes else ((), options.minutes)
        train(recipe, left_out, trained_for, options.work, options.lite)
        yield [trained(recipe, left_out, options.work)]


def in_order(lines: Sequence[Line]) -> list[Line]:
    """Ours first, the others by their mean AUC."""
    means: dict[object, list[float]] = {}
    for line in lines:
        if line["track"] == "mean":
            means.setdefault(line["detector"], []).append(float(str(line["auc"])))
    best = {name: sum(values) / len(values) for name, values in means.items()}
    return sorted(
        lines, key=lambda line: (not str(line["detector"]).startswith("ours"), -best[line["detector"]])
    )
