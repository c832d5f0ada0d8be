"""`python -m fuzz TARGET --runs N`: coverage-guided, by atheris (`pip install 'cameraborn[fuzz]'`).

It begins with the corpus and with what `--keep` holds from earlier runs, and ends at the first finding, which is
written to `--keep` too, as `crash-...`; `python -m fuzz TARGET crash-...` repeats it.
"""

from __future__ import annotations

import argparse
import sys
from hashlib import sha1
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("python -m fuzz needs atheris: pip install -c constraints.txt -e '.[test,fuzz]'")

with atheris.instrument_imports(include=["cameraborn", "PIL"], enable_loader_override=False):
    from fuzz.targets import TARGETS


def main() -> None:
    """Run one target, or repeat inputs."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("inputs", nargs="*", type=Path, help="read these files, and nothing else")
    parser.add_argument("--runs", type=int, default=100_000, help="number of executions")
    parser.add_argument("--seed", type=int, default=1, help="random seed")
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"), help="folder of inputs worth keeping")
    options = parser.parse_args()
    target = TARGETS[options.target]
    for path in options.inputs:
        target(path.read_bytes())
    if options.inputs:
        return
    folder = options.keep / options.target
    folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (folder / sha1(seed).hexdigest()).write_bytes(seed)
    limits = ["-timeout=60", "-rss_limit_mb=4096", "-malloc_limit_mb=2048"]
    places = [f"-artifact_prefix={options.keep}/{options.target}-", str(folder)]
    counts = [f"-runs={options.runs}", f"-seed={options.seed}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, *counts, *places], target)
    atheris.Fuzz()


main()
