"""What it costs to look for the pictures of a folder: by endings alone, and by first bytes where those fail.

    python benchmarks/folders.py

Under a minute. 100,000 small files in 100 folders, all of them with the ending of a picture, or all without. Reading
the first bytes is what a walk by endings does not do; a file whose name is a picture's is not opened. The files are in
the system's cache, as after a copy: on a cold disk both ask for the same folders, and the second for one block a file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from common import processor, write_table

from cameraborn.photo.decode import SUPPORTED_EXTENSIONS
from cameraborn.photo.files import pictures_in

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "folders.csv"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(2000)


def by_endings(folder: str) -> Iterator[str]:
    """The walk as it was: names alone."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries)
    for name in names:
        if name.endswith("/"):
            yield from by_endings(f"{folder}/{name[:-1]}")
        elif os.path.splitext(name)[1].lower() in SUPPORTED_EXTENSIONS:  # noqa: PTH122
            yield f"{folder}/{name}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = []
    for ending in (".jpg", ""):
        with tempfile.TemporaryDirectory() as folder:
            make_files(Path(folder), options.files, ending)
            walks: list[Callable[[str], Iterator[str]]] = [by_endings, pictures_in]
            for walk in walks:
                found, taken = 0, []
                for _ in range(3):
                    started = time.perf_counter()
                    found = sum(1 for _ in walk(folder))
                    taken.append(time.perf_counter() - started)
                rows.append(
                    {
                        "files": options.files,
                        "ending": ending or "none",
                        "walk": walk.__name__,
                        "pictures": found,
                        "seconds": f"{statistics.median(taken):.2f}",
                    }
                )
                print(rows[-1], flush=True)
    write_table(rows, options.output, machine=processor())


def make_files(folder: Path, count: int, ending: str) -> None:
    for number in range(count):
        if number % 1000 == 0:
            inside = folder / f"{number // 1000:03}"
            inside.mkdir()
        (inside / f"{number:06}{ending}").write_bytes(JPEG)


if __name__ == "__main__":
    main()
