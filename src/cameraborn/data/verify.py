"""What is wrong with a manifest: broken rows, files that are missing or changed, rows listed twice, torn groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from cameraborn.data.manifest import Row, manifest_lines, parse_row, sha256_of
from cameraborn.errors import ManifestError

Mapper = Callable[
    ..., Iterator[Any]
]  # `map`, or one that works on several items at a time and keeps their order


def verify_manifest(
    path: Path, *, mapper: Mapper = map, report: Callable[[int], None] = lambda _: None
) -> Iterator[str]:
    """Yield a line of text for each problem; rows are read one by one, and a few bytes of each are kept.

    Args:
        path: the manifest.
        mapper: hashes files; see `Mapper`.
        report: told how many rows are done.

    Raises:
        ManifestError: there is no manifest, or it is empty.
    """
    known: dict[int, int] = {}  # what makes a row unlike others -> its line
    homes: dict[int, tuple[str, int]] = {}  # group -> its first split and line
    checksum = lru_cache(maxsize=64)(sha256_of)  # several faces may lie in one file

    def check(numbered: tuple[int, bytes]) -> tuple[int, Row | None, str]:
        number, line = numbered
        try:
            row = parse_row(path, number, line)
        except ManifestError as error:
            return number, None, str(error)
        return number, row, _of_its_file(row, checksum)

    for done, (number, row, problem) in enumerate(mapper(check, manifest_lines(path)), 1):
        report(done)
        if row is None:
            yield problem
        elif problem := problem or _among_others(row, number, known, homes):
            yield f"{path}, line {number}: {row.path}: {problem}"


def _of_its_file(row: Row, checksum: Callable[[Path], str]) -> str:
    file = Path(row.path)
    if not file.is_file():
        return "the file is missing"
    try:
        same = checksum(file) == row.sha256
    except OSError as error:
        return f"the file cannot be read ({error.strerror})"
    return "" if same else "the file is not the one that was imported (its SHA-256 differs)"


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


def digest(text: str) -> int:
    """64 bits of a text, which take less memory than the text does."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
