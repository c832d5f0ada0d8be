"""What `score` is given: files, folders, patterns, a list on standard input, or one picture there.

On a cluster also manifests and Parquet tables of paths, and addresses of storages; but no picture on standard input.
"""

from __future__ import annotations

import io
import os
import posixpath
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from cameraborn.engine.storage import arrow_file, is_address, opened
from cameraborn.errors import CamerabornError, ManifestError
from cameraborn.files import is_stream
from cameraborn.photo.files import expand
from cameraborn.photo.sniff import HEAD, Census, Kind, can_be_read, in_utf_16, kind_of

STANDARD_INPUT = "-"
_LISTS = frozenset({Kind.TEXT, Kind.EMPTY, Kind.OTHER})  # names may hold any byte but zero


class StandardInput(io.BytesIO):
    """The one picture that was on standard input; its rows call it `-`."""

    name = STANDARD_INPUT


def path_of(picture: str | StandardInput) -> str:
    """Where a picture is read from: what no output may replace."""
    return picture if isinstance(picture, str) else "/dev/stdin"


def inputs(paths: Sequence[str], census: Census, *, null: bool) -> Iterator[str | StandardInput]:
    """The pictures, lazily; whatever is passed over is counted.

    Args:
        paths: files, folders, patterns; `-` is standard input: a list of paths, or one picture.
        census: counts what folders hold besides pictures.
        null: the list's names end in zero bytes, as `find -print0` writes them.

    Raises:
        CamerabornError: standard input is neither.
    """
    for path in paths:
        if path == STANDARD_INPUT and _is_picture(null):
            yield StandardInput(sys.stdin.buffer.read())
        else:
            yield from expand([path], census, separator=b"\0" if null else b"\n")


def _is_picture(null: bool) -> bool:
    """Whether a picture is on standard input, by its first bytes, which stay there."""
    if sys.stdin is None:
        raise CamerabornError("standard input is closed: give paths instead of -")
    head = cast("io.BufferedReader", sys.stdin.buffer).peek(HEAD)[:HEAD]
    kind = kind_of(head)
    if can_be_read(kind):
        return True
    if kind not in _LISTS:
        raise CamerabornError(
            f"standard input: {kind.value}, neither a picture that can be read nor a list of paths: "
            "give the paths, one a line"
        )
    if in_utf_16(head):
        raise CamerabornError("standard input: a list in UTF-16: save it as UTF-8")
    if b"\0" in head and not _may_be_names(head):
        raise CamerabornError(
            "standard input: neither a picture that can be read nor a list of paths: give the paths, one a line"
        )
    if b"\0" in head and not null:
        raise CamerabornError(
            "standard input: not a list of paths, as it has zero bytes in it: "
            "give -0 for names that end in zero bytes, as those of 'find -print0'"
        )
    return False


def _may_be_names(head: bytes) -> bool:
    """Whether bytes with zeros among them are names that end in zeros; programs and models have runs of zeros."""
    return b"\0\0" not in head and not any(byte < 32 and byte not in b"\0\t\n\r" for byte in head)


def inputs_of_cluster(paths: Sequence[str], census: Census, *, null: bool) -> Iterator[str]:
    """The paths and addresses of pictures, lazily; what folders hold besides is counted.

    Args:
        paths: as of `inputs`; addresses of pictures and folders; manifests (.jsonl); tables (.parquet), whose column
            `path` has paths or addresses. A path that is not absolute is one in the folder of its manifest or table.
        census: as of `inputs`.
        null: as of `inputs`.

    Raises:
        CamerabornError: there is a picture on standard input.
        ManifestError: a manifest or a table cannot be used.
        StorageError: a storage cannot be read.
    """
    for path in paths:
        if path.endswith(".jsonl"):
            yield from _no_pipes(_of_manifest(path), census)
        elif path.endswith(".parquet"):
            yield from _no_pipes(_of_table(path), census)
        elif is_address(path):
            from cameraborn.photo.stored import pictures_at

            yield from pictures_at(path, census)
        elif path == STANDARD_INPUT and _is_picture(null):
            raise CamerabornError("standard input: a picture, which no other machine can read: give its path")
        else:
            yield from expand([path], census, separator=b"\0" if null else b"\n")


def _no_pipes(paths: Iterator[str], census: Census) -> Iterator[str]:
    """Pipes, sockets and devices are passed over unopened, as in every list."""
    for path in paths:
        if is_stream(path):
            census.add(Kind.SPECIAL)
        else:
            yield path


def _of_manifest(manifest: str) -> Iterator[str]:
    from cameraborn.data.manifest import no_such_manifest, row_as_written

    try:
        with opened(manifest) as file, io.BufferedReader(cast(io.RawIOBase, file)) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _beside(manifest, row_as_written(manifest, number, line).path)
    except FileNotFoundError:
        raise no_such_manifest(manifest) from None


def _of_table(table: str) -> Iterator[str]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with arrow_file(table) as file:
            for batch in parquet.ParquetFile(file).iter_batches(columns=["path"]):
                for row in batch.to_pylist():
                    yield _beside(table, row["path"])
    except (pa.ArrowInvalid, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(
            f"{table}: no Parquet table with paths in a column 'path': give another"
        ) from error


def _beside(listing: str, path: str) -> str:
    """A path as a manifest or table has it, from where it lies."""
    if is_address(path):
        return path
    if is_address(listing):
        root, _, folder = listing.rpartition("/")[0].partition("://")
        return f"{root}://{posixpath.normpath(posixpath.join(folder, path))}"
    return os.path.abspath(Path(listing).parent.resolve() / path)  # noqa: PTH100 (the path's own links stay)
