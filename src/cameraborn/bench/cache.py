"""Features by content: the feature of a crop is computed once, for all evidence that is fitted to it.

One SQLite file with two tables. `crops`: network and crop -> feature, so that a bundle with another mixture needs no
second pass of the network. `pictures`: network and file -> its crop, so that fitting, the sweep of components and t-SNE
need not even open the files again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cameraborn.errors import BenchError

_TABLES = """
CREATE TABLE IF NOT EXISTS crops (encoder TEXT, crop TEXT, feature BLOB, PRIMARY KEY (encoder, crop)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pictures (
  encoder TEXT, whole INTEGER, sha256 TEXT, scope TEXT, crop TEXT, PRIMARY KEY (encoder, whole, sha256)
) WITHOUT ROWID;
"""


def digest(*parts: object) -> str:
    """A short hash of what decides a feature or a score."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Observed:
    """What is known of a file: its feature [D], or the scope that says why it has none."""

    scope: str
    feature: NDArray[np.float32] | None


class FeatureCache:
    """A file of features; thread-safe, and safe to interrupt.

    Raises:
        BenchError: the file is not such a cache, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        try:
            self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            tables = {name for (name,) in self._file.execute("SELECT name FROM sqlite_master")}
            if tables and "crops" not in tables:
                raise BenchError(f"{path}: a database of something else: name another file, or move it away")
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.executescript(_TABLES)
        except sqlite3.Error as error:
            raise BenchError(
                f"{path}: not a file of features ({error}): delete it, or name another"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def crop(self, encoder: str, crop: str) -> NDArray[np.float32] | None:
        """The feature [D] of a crop, if it is known."""
        with self._lock:
            row = self._file.execute(
                "SELECT feature FROM crops WHERE encoder = ? AND crop = ?", (encoder, crop)
            ).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float32)

    def put_crop(self, encoder: str, crop: str, feature: NDArray[np.float32]) -> None:
        """Keep the feature [D] of a crop."""
        data = np.ascontiguousarray(feature, np.float32).tobytes()
        with self._lock:
            self._file.execute("INSERT OR REPLACE INTO crops VALUES (?, ?, ?)", (encoder, crop, data))

    def picture(self, encoder: str, sha256: str, *, whole: bool) -> Observed | None:
        """What is known of a file."""
        with self._lock:
            row = self._file.execute(
                "SELECT scope, feature FROM pictures LEFT JOIN crops USING (encoder, crop) "
                "WHERE encoder = ? AND whole = ? AND sha256 = ?",
                (encoder, whole, sha256),
            ).fetchone()
        if row is None:
            return None
        return Observed(row[0], None if row[1] is None else np.frombuffer(row[1], np.float32))

    def put_picture(self, encoder: str, sha256: str, *, whole: bool, scope: str, crop: str | None) -> None:
        """Keep which crop a file has, or why it has none."""
        with self._lock:
            self._file.execute(
                "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?)",
                (encoder, whole, sha256, scope, crop),
            )


def features_in(path: Path) -> int:
    """How many features a file has; 0 if there is none or it cannot be read."""
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(path)) as file:
            return int(file.execute("SELECT count(*) FROM crops").fetchone()[0])
    except sqlite3.Error:
        return 0


class CachedFeatures:
    """A cache's features of one encoder, as a `detect.observe.FeatureStore`."""

    def __init__(self, cache: FeatureCache, encoder: str) -> None:
        self._cache, self._encoder = cache, encoder

    def find(self, crop: str) -> NDArray[np.float32] | None:
        """The feature [D] of a crop, if it is known."""
        return self._cache.crop(self._encoder, crop)

    def keep(self, crop: str, feature: NDArray[np.float32]) -> None:
        """Keep the feature [D] of a crop."""
        self._cache.put_crop(self._encoder, crop, feature)
