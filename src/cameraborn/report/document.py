"""What a report is made of: tables, pictures and sections, before they become a page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what is read.
        detail: smaller, behind the text: an interval.
        shade: from -1 (bad) to 1 (good) tints the cell; None leaves it.
        tone: `good`, `bad` or `noise` marks a word that is a verdict; empty: none.
    """

    text: str
    detail: str = ""
    shade: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A table for people."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: Collection[int] = (0,)  # columns that hold words, which stand on the left
    last_apart: bool = False  # the last row is a summary of the others
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A plot in the report."""

    name: str  # name of its file
    svg: str
    says: str  # description for readers who cannot see it


@dataclass(frozen=True)
class Section:
    """A part of the report: a heading, a text, and tables and pictures in their order."""

    title: str
    text: str
    parts: Sequence[Table | Picture]

    @property
    def anchor(self) -> str:
        """Name of the section in links."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


@dataclass(frozen=True)
class Report:
    """The whole report."""

    title: str
    summary: Sequence[str]
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
