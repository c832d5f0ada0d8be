"""Which rows of a manifest are meant: by split, kind, label, manipulation and licence; no group on both sides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cameraborn.data.manifest import Row, read_manifest
from cameraborn.errors import ManifestError

T = TypeVar("T")


@dataclass(frozen=True)
class Selection:
    """What a row must be, to be meant.

    Attributes:
        split: its split; empty: any.
        kinds: one of these kinds; empty: any.
        label: `photo` or `generated`; empty: either.
        manipulations: one of these manipulations, where "" is an untouched picture; None: any.
        research_only: whether it may be one that must not train weights that are given away.
    """

    split: str = ""
    kinds: Collection[str] = ()
    label: str = ""
    manipulations: Collection[str] | None = None
    research_only: bool = True

    def __contains__(self, row: Row) -> bool:
        return (
            self.split in ("", row.split)
            and (not self.kinds or row.kind in self.kinds)
            and self.label in ("", row.label)
            and (self.manipulations is None or row.manipulation in self.manipulations)
            and (self.research_only or not row.research_only)
        )

    def __str__(self) -> str:
        """For messages: "of split 'train' of kind a, b"; empty where everything is meant."""
        words = [f"labelled {self.label}"] if self.label else []
        words += [f"of split '{self.split}'"] if self.split else []
        words += [f"of kind {', '.join(self.kinds)}"] if self.kinds else []
        return " ".join(words)


def select(manifest: Path, selection: Selection) -> Iterator[Row]:
    """Yield the rows that are meant, in the manifest's order.

    Raises:
        ManifestError: the manifest is missing, empty or broken.
    """
    return (row for row in read_manifest(manifest) if row in selection)


def select_each(manifest: Path, *selections: Selection) -> tuple[list[Row], ...]:
    """The rows of each selection, by reading the manifest once.

    Raises:
        ManifestError: the manifest is missing, empty or broken, or splits are asked for and it has none.
    """
    chosen: tuple[list[Row], ...] = tuple([] for _ in selections)
    is_split = False
    for row in read_manifest(manifest):
        is_split |= bool(row.split)
        for selection, rows in zip(selections, chosen, strict=True):
            if row in selection:
                rows.append(row)
    wanted = dict.fromkeys(selection.split for selection in selections if selection.split)
    if wanted and not is_split:
        shares = " ".join(f"{split}=SHARE" for split in wanted)
        raise ManifestError(
            f"{manifest}: no row is in any split: divide them with 'cameraborn data split {manifest} {shares}'"
        )
    return chosen


def check_groups_apart(manifest: Path, rows: Sequence[Row], others: Sequence[Row]) -> None:
    """Refuse a group that is on both sides: its pictures share camera, editor and subject.

    Raises:
        ManifestError: there is one.
    """
    shared = {row.group for row in rows} & {row.group for row in others} - {""}
    if shared:
        raise ManifestError(
            f"{manifest}: group '{min(shared)}' is in both splits: run 'cameraborn data split' again"
        )


def check_files(manifest: Path, rows: Sequence[Row]) -> None:
    """See that every picture is there, before hours of work find out.

    Raises:
        ManifestError: some are not.
    """
    missing = [row.path for row in rows if not Path(row.path).is_file()]
    if missing:
        raise ManifestError(
            f"{manifest}: {len(missing)} of {len(rows)} pictures are missing, {missing[0]} first: put them back, "
            "or import the data again"
        )


def evenly(rows: Sequence[T], limit: int | None) -> Sequence[T]:
    """At most `limit` rows, evenly chosen from all through the list; None: all."""
    if limit is None or len(rows) <= limit:
        return rows
    return [rows[i * len(rows) // limit] for i in range(limit)]
