"""The journal of an import: what was found out of each picture, so that an interrupted import goes on."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from cameraborn.data.adapters import Entry
from cameraborn.data.manifest import Row
from cameraborn.engine import journal
from cameraborn.engine.journal import Mark, digest


@dataclass(frozen=True)
class Examined:
    """What one picture has given: its rows (none if it shows no face), or why it is left out.

    `unopened` tells that a data set lists the picture, and that it cannot be opened.
    """

    path: str
    rows: tuple[Row, ...] = ()
    problem: str = ""
    unopened: bool = False


def mark_of(listed: Entry, faces: bool) -> Mark:
    """The mark of a listed picture: of all that its data set says of it."""
    return Mark.of(digest(f"{listed.row.model_dump_json()} {listed.read} {faces}"), listed.row.path)


class Journal(journal.Journal):
    """What an import has found out so far: a JSON object of the path, the rows, and the problem of each picture."""

    def known(self, mark: Mark) -> Examined | None:
        """What was found out of a picture, if it is still the same picture."""
        try:
            _, found = self.get(mark) or (0, None)
            return found and Examined(
                found["path"],
                tuple(map(Row.model_validate, found["rows"])),
                found["problem"],
                found.get("unopened", False),
            )
        except (ValueError, LookupError, TypeError):
            return None

    def keep(self, mark: Mark, examined: Examined) -> None:
        """Write what was found out, at once. Raises JournalError if the disk is full."""
        rows = [row.model_dump(mode="json", exclude_defaults=True) for row in examined.rows]
        self.add(mark, asdict(examined) | {"rows": rows})
