"""Dividing a manifest between splits: whole groups, as near to the wanted shares as they allow, in bounded memory."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cameraborn.data.manifest import Row, group_of, read_manifest, write_manifest
from cameraborn.errors import ManifestError


@dataclass
class SplitSize:
    """What a split has got: rows, groups, and the rows of its largest group."""

    rows: int = 0
    groups: int = 0
    largest: int = 0

    def add(self, rows: int) -> None:
        """Count a group of so many rows."""
        self.rows += rows
        self.groups += 1
        self.largest = max(self.largest, rows)


def assign_splits(sizes: Mapping[str, int], shares: Mapping[str, float], *, seed: int = 0) -> dict[str, str]:
    """Give every group (`sizes` counts its rows) a split, so that each comes near to its share of the rows.

    Groups are taken in a seeded random order, large ones first, each to the split that lacks most.

    Raises:
        ManifestError: shares do not sum to 1, or there are fewer groups than splits.
    """
    # `not`, so that nan is refused too
    if not all(share > 0 for share in shares.values()) or not abs(sum(shares.values()) - 1) <= 1e-6:
        raise ManifestError(f"split shares must be positive and sum to 1, got {dict(shares)}: fix the shares")
    if len(sizes) < len(shares):
        raise ManifestError(
            f"{len(sizes)} group(s) cannot be divided into {len(shares)} splits: "
            "give rows a 'group' ('data import --group photo', say), or use fewer splits"
        )
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -sizes[group])
    total = sum(sizes.values())
    lacking = {name: share * total for name, share in shares.items()}
    assigned: dict[str, str] = {}
    for group in order:
        split = max(lacking, key=lambda name: lacking[name] / shares[name])
        assigned[group] = split
        lacking[split] -= sizes[group]
    return assigned


def split_manifest(
    path: Path,
    shares: Mapping[str, float],
    *,
    research_only: str = "",
    seed: int = 0,
    report: Callable[[int], None] = lambda _: None,
) -> dict[str, SplitSize]:
    """Write the manifest again, in place and in its order, with every row's split; return what each split has got.

    The manifest is read twice and never held: what is kept in memory is a number for each group.

    Args:
        shares: split -> share of the rows.
        research_only: the split of all groups in which a row is for research only; empty: they are divided too.
        report: told how many rows have been read; in the end that is twice as many as there are.

    Raises:
        ManifestError: the manifest is broken, or cannot be divided so.
    """
    sizes: Counter[str] = Counter()
    apart: set[str] = set()
    count = 0
    for count, row in enumerate(read_manifest(path), 1):
        report(count)
        group = group_of(row)
        sizes[group] += 1
        if research_only and row.research_only:
            apart.add(group)  # as a whole: no group is ever torn
    assigned = assign_splits(
        {group: n for group, n in sizes.items() if group not in apart}, shares, seed=seed
    )
    assigned |= dict.fromkeys(apart, research_only)

    def divided() -> Iterator[Row]:
        for number, row in enumerate(read_manifest(path), count + 1):
            report(number)
            yield row.model_copy(update={"split": assigned[group_of(row)]})

    write_manifest(divided(), path)
    found = {name: SplitSize() for name in [*shares, *([research_only] if apart else [])]}
    for group, split in assigned.items():
        found[split].add(sizes[group])
    return found
