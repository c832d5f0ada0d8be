"""Whose files are in a run's folder: what others wrote there is not replaced, whatever it is called.

`scores.csv`, `run.json` and `audit.json` are known by what they hold. Reports and the papers' tables and figures look
like anybody's: `written.json` keeps the SHA-256 of each, so that one that was changed by hand is not replaced either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cameraborn.bench.config import FEATURES
from cameraborn.bench.leaks import AUDIT
from cameraborn.bench.record import RUN, SCORES
from cameraborn.bench.scores import COLUMNS
from cameraborn.errors import OverwriteError
from cameraborn.files import holds_something, refuse_foreign, replacing
from cameraborn.photo.sniff import refuse_special

WRITTEN = "written.json"


def check_folder(folder: Path) -> None:
    """See that a folder is new, empty, or that of a run, before anything is written into it.

    Raises:
        OverwriteError: it holds other files, or one of a run's names is somebody else's.
    """
    refuse_pipes(folder)
    refuse_foreign(folder, (SCORES, RUN, FEATURES, WRITTEN))
    for name, is_ours in _OURS.items():
        path = folder / name
        if holds_something(path) and not (path.is_file() and is_ours(path.read_bytes())):
            raise OverwriteError(f"{path}: no benchmark wrote it: give a new or empty folder")


def refuse_pipes(folder: Path) -> None:
    """See that no file of a run's folder is a pipe, a socket or a device, which would be waited for.

    Raises:
        OverwriteError: one is.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        refuse_special(path, OverwriteError)


def _is_scores(data: bytes) -> bool:
    return data.startswith(",".join(COLUMNS[:4]).encode())  # of other releases too, which say so themselves


def _is_run(data: bytes) -> bool:
    return {"config", "detectors", "versions"} <= _keys(_parsed(data))


def _is_audit(data: bytes) -> bool:
    found = _parsed(data)
    return isinstance(found, list) and all({"test_set", "track", "digest"} <= _keys(one) for one in found)


def _is_written(data: bytes) -> bool:
    found = _parsed(data)
    return isinstance(found, dict) and all(isinstance(digest, str) for digest in found.values())


_OURS: dict[str, Callable[[bytes], bool]] = {
    SCORES: _is_scores,
    RUN: _is_run,
    AUDIT: _is_audit,
    WRITTEN: _is_written,
}


def _parsed(data: bytes) -> Any:  # noqa: ANN401 (JSON)
    try:
        return json.loads(data)
    except ValueError:
        return None


def _keys(found: object) -> set[str]:
    return {*found} if isinstance(found, dict) else set()


@contextmanager
def written_by_us(folder: Path, *places: str, overwrite: bool = False) -> Iterator[None]:
    """See that a command replaces nothing but what such commands wrote, and note what it writes.

    Args:
        folder: of the run.
        places: the files, and the folders of files, that it writes.
        overwrite: what others wrote may be replaced.

    Raises:
        OverwriteError: a file there is not as one of these commands wrote it.
    """
    record = folder / WRITTEN
    data = record.read_bytes() if holds_something(record) else b"{}"
    if not _is_written(data):
        raise OverwriteError(f"{record}: no benchmark wrote it: move it away")
    known, before = json.loads(data), _files(folder, places)
    for name in () if overwrite else before:
        if known.get(name) != _digest(folder / name):
            raise OverwriteError(
                f"{folder / name}: is there already, and not as this command wrote it: move it away, or give "
                "--overwrite to replace what is in the way"
            )
    yield
    after = _files(folder, places)
    new = {name: _digest(folder / name) for name in after if before.get(name) != after[name]}
    with replacing(record) as part:
        part.write_text(json.dumps(known | new, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _files(folder: Path, places: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """The files there that hold something, each with its inode and time of change."""
    found = [
        file
        for place in places
        for file in ((folder / place).iterdir() if (folder / place).is_dir() else [folder / place])
        if file.is_file() and holds_something(file)
    ]
    states = {file.relative_to(folder).as_posix(): file.stat() for file in found}
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in states.items()}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
