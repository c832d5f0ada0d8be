"""What is wrong with a manifest: broken rows, files that are missing or changed, rows listed twice, torn groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cameraborn.data.manifest import Row, manifest_lines, parse_row, sha256_of
from cameraborn.engine.journal import digest
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Stage
from cameraborn.errors import ManifestError


@dataclass
class _Check(Stage[tuple[int, bytes], tuple[int, Row | None, str]]):
    """A numbered line to its row, None if it is broken, and what is wrong with the row alone or with its file."""

    manifest: Path

    def setup(self) -> None:
        self._checksum = lru_cache(maxsize=64)(sha256_of)  # several faces may lie in one file

    def work(self, item: tuple[int, bytes]) -> tuple[int, Row | None, str]:
        number, line = item
        try:
            row = parse_row(self.manifest, number, line)
        except ManifestError as error:
            return number, None, str(error)
        return number, row, self._problem_of_file(row)

    def _problem_of_file(self, row: Row) -> str:
        file = Path(row.path)
        if not file.is_file():
            return "the file is missing"
        try:
            same = self._checksum(file) == row.sha256
        except OSError as error:
            return f"the file cannot be read ({error.strerror})"
        return "" if same else "the file is not the one that was imported (its SHA-256 differs)"


def verify_manifest(
    path: Path, *, jobs: int | None = 1, report: Callable[[int], None] = lambda _: None
) -> Iterator[str]:
    """Yield a line of text for each problem; rows are read one by one, and a few bytes of each are kept.

    Raises:
        ManifestError: there is no manifest, or it is empty.
    """
    known: dict[int, int] = {}  # what makes a row unlike others -> its line
    homes: dict[int, tuple[str, int]] = {}  # group -> its first split and line
    checked = map_in_order(_Check(path), manifest_lines(path), jobs)
    for done, (number, row, problem) in enumerate(checked, 1):
        report(done)
        if row is None:
            yield problem
        elif problem := problem or _among_others(row, number, known, homes):
            yield f"{path}, line {number}: {row.path}: {problem}"


def _among_others(row: Row, number: int, known: dict[int, int], homes: dict[int, tuple[str, int]]) -> str:
    first = known.setdefault(identity(row), number)
    if first != number:
        return f"the row is listed twice, first in line {first}"
    if row.group and row.split:
        split, line = homes.setdefault(digest(row.group), (row.split, number))
        if split != row.split:
            return f"group '{row.group}' is torn: split '{row.split}' here, '{split}' in line {line}"
    return ""


def identity(row: Row) -> int:
    """A number of 64 bits for what a row shows; two rows with one number are one sample counted twice."""
    return digest(f"{row.path}\0{row.kind}\0{row.box}\0{row.manipulation}")
