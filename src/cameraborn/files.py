"""What every room says of arrays and files: the names of common types, and a file that is there whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # [H W 3], grey levels
Array = NDArray[np.float64]
Box = tuple[float, float, float, float]  # x0, y0, x1, y1, pixels


@contextmanager
def replacing(path: Path, *, contended: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place at the end of the block: `with replacing(path) as part`.

    It is called `NAME.part`, before the file's ending, which some writers go by. After an exception it is removed, and
    what was at `path` is as it was. If `contended`, other threads and processes may write the same file at the same
    time: each has a part of its own, and the last one stays.
    """
    own = f".{os.getpid()}-{threading.get_ident()}" if contended else ""
    part = path.with_name(f"{path.stem}{own}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
