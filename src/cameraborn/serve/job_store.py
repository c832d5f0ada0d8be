"""Jobs and the results of their pictures, in SQLite: a file of the operator's, or memory.

No picture is in it. Whatever kills the server, a picture's state and its rows are written in one transaction, so that
it is settled once or not at all; what is still pending when the file is opened again can never be judged, and is lost.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from cameraborn.errors import CamerabornError

JobState = Literal["running", "finished", "cancelled", "interrupted"]
PictureState = Literal["judged", "refused", "cancelled", "lost"]
PENDING = "pending"

_APPLICATION, _SCHEMA_VERSION = 0x63616D62, 3  # "camb", by which the file is known as one of ours
_SCHEMA = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL, ended REAL,
    options TEXT NOT NULL, read INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE pictures (
    job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, number INTEGER NOT NULL, name TEXT NOT NULL,
    state TEXT NOT NULL, event INTEGER, rows TEXT NOT NULL DEFAULT '[]', problem TEXT NOT NULL DEFAULT 'null',
    provenance TEXT NOT NULL DEFAULT 'null',
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX pictures_by_event ON pictures (job, event);
CREATE INDEX pictures_by_state ON pictures (job, state);
"""
# From which version.
_UPGRADES = {
    1: "ALTER TABLE pictures ADD COLUMN provenance TEXT NOT NULL DEFAULT 'null'",
    2: "ALTER TABLE jobs ADD COLUMN read INTEGER NOT NULL DEFAULT 0",
}
_SPARE = "ended IS NOT NULL AND (read OR ended <= ?)"  # somebody has the rows, or their time is over
Row = Mapping[str, Any]


@dataclass(frozen=True)
class StoredJob:
    """A job as it stands.

    Attributes:
        id: nobody can guess it.
        owner: whose token made it; empty where none was needed.
        state: `running`, or how it ended; `interrupted` is the server's end before the job's.
        created, ended: seconds since 1970; None while it runs.
        options: that its pictures are judged with.
        counts: of its pictures, by state.
    """

    id: str
    owner: str
    state: JobState
    created: float
    ended: float | None
    options: Mapping[str, Any]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Result:
    """What became of one picture.

    Attributes:
        event: the how-manieth of its job's pictures to be settled, from 1.
        picture: its number in the request that made the job, from 0.
        name: what it was called.
        state: `judged`, or why it was not.
        rows: a row a face; empty unless it was judged.
        problem: why it was refused, as a `Problem` has it.
        provenance: what the file says of its own origin, if that was asked for.
    """

    event: int
    picture: int
    name: str
    state: PictureState
    rows: Sequence[Row]
    problem: Row | None
    provenance: Row | None = None


class JobStore:
    """Jobs in an SQLite database; thread-safe.

    Args:
        path: the file, which is made if it is not there, for its owner's eyes alone; None for memory.

    Attributes:
        is_kept: whether results are in a file.
        dropped: how many jobs were not finished when it was closed.

    Raises:
        CamerabornError: it cannot be opened, belongs to another program, or another server has it open.
    """

    def __init__(self, path: Path | None) -> None:
        self.is_kept, self.dropped = path is not None, 0
        self._lock = threading.Lock()
        if path is None:
            self._database = _connected(":memory:")
            return
        with _in_one_line(path):
            path.touch(0o600)
            self._database = _connected(os.fspath(path))
            self._lose_pending()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, *, dropped: int = 0) -> None:
        """Let the file go; so many jobs are not finished."""
        self.dropped = dropped
        with self._lock:
            self._database.close()

    def add(self, job: str, owner: str, options: Row, names: Sequence[str]) -> None:
        """Keep a new job, all of whose pictures are pending."""
        with self._transaction() as database:
            database.execute(
                "INSERT INTO jobs (id, owner, state, created, options) VALUES (?, ?, 'running', ?, ?)",
                (job, owner, time.time(), json.dumps(options)),
            )
            database.executemany(
                "INSERT INTO pictures (job, number, name, state) VALUES (?, ?, ?, ?)",
                ((job, number, name, PENDING) for number, name in enumerate(names)),
            )

    def settle(
        self,
        job: str,
        picture: int,
        state: PictureState,
        rows: Sequence[Row] = (),
        problem: Row | None = None,
        provenance: Row | None = None,
    ) -> bool:
        """Keep what became of a picture, if it is pending; a job ends with its last. Whether it still runs."""
        with self._transaction() as database:
            database.execute(
                "UPDATE pictures SET state = :state, rows = :rows, problem = :problem,"
                " provenance = :provenance,"
                " event = (SELECT COALESCE(MAX(event), 0) + 1 FROM pictures WHERE job = :job)"
                " WHERE job = :job AND number = :picture AND state = 'pending'",
                {
                    "state": state,
                    "rows": json.dumps(rows),
                    "problem": json.dumps(problem),
                    "provenance": json.dumps(provenance),
                    "job": job,
                    "picture": picture,
                },
            )
            database.execute(
                "UPDATE jobs SET state = 'finished', ended = :now WHERE id = :job AND state = 'running'"
                " AND NOT EXISTS (SELECT 1 FROM pictures WHERE job = :job AND state = 'pending')",
                {"now": time.time(), "job": job},
            )
            left = database.execute("SELECT 1 FROM jobs WHERE id = ? AND state = 'running'", (job,))
            return left.fetchone() is not None

    def cancel(self, job: str) -> None:
        """End a job that runs; what is pending will not be judged."""
        with self._transaction() as database:
            _end(database, job, "cancelled", "cancelled")

    def delete(self, job: str) -> None:
        """Forget a job and its results."""
        with self._transaction() as database:
            database.execute("DELETE FROM jobs WHERE id = ?", (job,))

    def expire(self, seconds: float) -> list[str]:
        """Forget the jobs that ended so long ago, and say which they were."""
        with self._transaction() as database:
            found = database.execute("SELECT id FROM jobs WHERE ended <= ?", (time.time() - seconds,))
            expired = [str(job) for (job,) in found]
            database.executemany("DELETE FROM jobs WHERE id = ?", ((job,) for job in expired))
            return expired

    def mark_read(self, job: str) -> None:
        """Note that the rows of a job, if it has ended, were given out to the last."""
        with self._transaction() as database:
            database.execute("UPDATE jobs SET read = 1 WHERE id = ? AND ended IS NOT NULL", (job,))

    def make_room(self, most: int, seconds: float) -> list[str]:
        """Forget jobs until there is room for one more, and say which: of those that can be spared, the oldest.

        Args:
            most: jobs that are kept.
            seconds: that an ended job is kept whose rows nobody has read to the end.
        """
        with self._transaction() as database:
            (kept,) = database.execute("SELECT COUNT(*) FROM jobs").fetchone()
            found = database.execute(
                f"SELECT id FROM jobs WHERE {_SPARE} ORDER BY ended LIMIT ?",
                (time.time() - seconds, max(0, kept + 1 - most)),
            )
            spared = [str(job) for (job,) in found]
            database.executemany("DELETE FROM jobs WHERE id = ?", ((job,) for job in spared))
            return spared

    def job(self, job: str, owner: str) -> StoredJob | None:
        """A job of this owner's, if there is one of this name."""
        return next(iter(self._jobs("id = ? AND owner = ?", (job, owner))), None)

    def jobs(self, owner: str) -> list[StoredJob]:
        """The jobs of an owner, newest first."""
        return self._jobs("owner = ?", (owner,))

    def held(self, seconds: float) -> int:
        """How many jobs, whoever made them, cannot be spared: see `make_room`."""
        with self._lock:
            held = self._database.execute(
                f"SELECT COUNT(*) FROM jobs WHERE NOT ({_SPARE})", (time.time() - seconds,)
            )
            return int(held.fetchone()[0])

    def first_end(self) -> float | None:
        """When the first of the jobs that are kept has ended, in seconds since 1970."""
        with self._lock:
            (ended,) = self._database.execute("SELECT MIN(ended) FROM jobs").fetchone()
            return None if ended is None else float(ended)

    def results(self, job: str, after: int, most: int) -> list[Result]:
        """What became of a job's pictures since an event, in the order in which they were settled."""
        with self._lock:
            found = self._database.execute(
                "SELECT event, number, name, state, rows, problem, provenance FROM pictures"
                " WHERE job = ? AND event > ? ORDER BY event LIMIT ?",
                (job, after, most),
            ).fetchall()
        return [
            Result(event, number, name, state, *map(json.loads, told))
            for event, number, name, state, *told in found
        ]

    def _jobs(self, condition: str, values: Sequence[str]) -> list[StoredJob]:
        with self._lock:
            found = self._database.execute(
                "SELECT id, owner, state, created, ended, options FROM jobs"
                f" WHERE {condition} ORDER BY created DESC, id",
                values,
            ).fetchall()
            return [
                StoredJob(job, owner, state, created, ended, json.loads(options), self._counts(job))
                for job, owner, state, created, ended, options in found
            ]

    def _counts(self, job: str) -> dict[str, int]:
        found = self._database.execute(
            "SELECT state, COUNT(*) FROM pictures WHERE job = ? GROUP BY state", (job,)
        )
        return dict.fromkeys((PENDING, *get_args(PictureState)), 0) | dict(found.fetchall())

    def _lose_pending(self) -> None:
        with self._transaction() as database:
            running = database.execute("SELECT id FROM jobs WHERE state = 'running'").fetchall()
            for (job,) in running:
                _end(database, job, "lost", "interrupted")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._database as database:
            yield database


def _end(database: sqlite3.Connection, job: str, picture: PictureState, state: JobState) -> None:
    """Settle all that is pending of a job that runs, and end it."""
    (last,) = database.execute(
        "SELECT COALESCE(MAX(event), 0) FROM pictures WHERE job = ?", (job,)
    ).fetchone()
    pending = database.execute(
        "SELECT number FROM pictures WHERE job = ? AND state = 'pending' ORDER BY number", (job,)
    ).fetchall()
    database.executemany(
        "UPDATE pictures SET state = ?, event = ? WHERE job = ? AND number = ?",
        ((picture, event, job, number) for event, (number,) in enumerate(pending, last + 1)),
    )
    database.execute(
        "UPDATE jobs SET state = ?, ended = ? WHERE id = ? AND state = 'running'", (state, time.time(), job)
    )


def _connected(path: str) -> sqlite3.Connection:
    """A database that this process alone has open, with our tables; what is deleted is overwritten with zeros."""
    database = sqlite3.connect(path, timeout=0, check_same_thread=False)
    try:
        for setting in ("locking_mode = EXCLUSIVE", "secure_delete = ON", "foreign_keys = ON"):
            database.execute(f"PRAGMA {setting}")
        application, version, tables = (
            database.execute(query).fetchone()[0]
            for query in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT COUNT(*) FROM sqlite_master",
            )
        )
        if tables and (application != _APPLICATION or version not in {*_UPGRADES, _SCHEMA_VERSION}):
            raise sqlite3.DatabaseError("a database of another program or version")
        database.execute("PRAGMA journal_mode = WAL")
        with database:
            database.execute("BEGIN EXCLUSIVE")  # which keeps the lock until the connection is closed
            if not tables:
                for statement in _SCHEMA.split(";\n"):
                    database.execute(statement)
                database.execute(f"PRAGMA application_id = {_APPLICATION}")
            else:
                for old in range(version, _SCHEMA_VERSION):
                    database.execute(_UPGRADES[old])
            database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    """What keeps the file from being opened, as an error that users see."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CamerabornError(f"{path}: {_why(error)}") from error


def _why(error: OSError | sqlite3.Error) -> str:
    if isinstance(error, OSError):
        return f"cannot be opened ({error.strerror}): give another --jobs-file"
    if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY":
        return "another server has it open: give this one a file of its own"
    return f"cannot be used ({error}): give another --jobs-file"
