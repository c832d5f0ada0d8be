"""How many pictures and faces a run has judged, and how."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

from cameraborn.detect.verdict import Verdict


@dataclass
class Tally:
    """Counts.

    Attributes:
        pictures: inputs.
        folders: those that were met and could not be opened; they are no inputs.
        videos: those of them that were read as videos.
        read: those that could be read.
        faceless: those without a face.
        found: faces, or whole pictures.
        judged: those of them that have a p-value.
        flagged: those of them that are flagged.
    """

    pictures: int = 0
    videos: int = 0
    read: int = 0
    faceless: int = 0
    found: int = 0
    judged: int = 0
    flagged: int = 0
    folders: int = 0

    def add(self, verdict: Verdict) -> None:
        """Count a row; those of single frames are counted with their video's."""
        if verdict.start_s is not None and verdict.frames is None:
            return
        if verdict.scope == "unreadable" and os.path.isdir(verdict.path):  # noqa: PTH112 (a text, of any bytes)
            self.folders += 1
            return
        if not verdict.face:  # a picture's first row
            self.pictures += 1
            self.videos += verdict.start_s is not None
            self.read += verdict.scope != "unreadable"
            self.faceless += verdict.scope == "no-face"
        self.found += verdict.box is not None
        self.judged += verdict.scope == "ok"
        self.flagged += verdict.flagged is True

    @classmethod
    def sum(cls, tallies: Iterable[Tally]) -> Self:
        """The counts of several runs together."""
        total = cls()
        for tally in tallies:
            for field in fields(cls):
                setattr(total, field.name, getattr(total, field.name) + getattr(tally, field.name))
        return total
