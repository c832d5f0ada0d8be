"""Checkpoints that hold code beside weights: how their owners save the weights alone.

A pickled module or a TorchScript archive runs code of others when it is opened. So nothing here opens one: whoever
trusts it does so with a command that is told, in an environment of theirs.
"""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path, PurePath

WRAPPERS = ("model", "state_dict", "state_net")  # under which checkpoints keep their weights
_CHECKED = "assert hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest() == sys.argv[3]; "
_ARCHIVE = "torch.save(torch.jit.load(sys.argv[1], map_location='cpu').state_dict(), sys.argv[2])"
_PICKLED = (
    "held = torch.load(sys.argv[1], map_location='cpu', weights_only=False); "
    "state = held.state_dict() if hasattr(held, 'state_dict') else "
    f"next(held[key] for key in {WRAPPERS} if key in held); torch.save(state, sys.argv[2])"
)


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, by the names of what is in it."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except zipfile.BadZipFile:  # its end alone is one: whoever reads it says what is wrong
        return False


def plain_name(file: str) -> str:
    """Under which name beside a file its weights alone are saved."""
    path = PurePath(file)
    return str(path.with_name(f"{path.stem}-state{path.suffix}"))


def saving_command(file: str, *, archive: bool, sha256: str | None = None) -> str:
    """The command that saves the weights of a file under `plain_name`, checking the file's sum first if it is known."""
    check = _CHECKED if sha256 else ""
    modules = "import hashlib, sys, torch; " if sha256 else "import sys, torch; "
    code = modules + check + (_ARCHIVE if archive else _PICKLED)
    arguments = (file, plain_name(file), *([sha256] if sha256 else []))
    return f'python -c "{code}" {shlex.join(arguments)}'
