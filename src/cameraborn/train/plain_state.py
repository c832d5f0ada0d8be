"""Checkpoints that hold code beside weights: how their owners save the weights alone.

A pickled module or a TorchScript archive runs code of others when it is opened. So nothing here opens one: whoever
trusts it does so with a command that is told, in an environment of theirs.
"""

from __future__ import annotations

import pickletools
import shlex
import zipfile
from pathlib import Path, PurePath

WRAPPERS = ("model", "state_dict", "state_net")  # under which checkpoints keep their weights
_PICKLES = (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5")  # how pickles begin
_TORCHS = b"\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."  # torch's own, before it wrote archives
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


def is_plain_pickle(path: Path) -> bool:
    """Whether a file is a pickle that torch did not save."""
    with path.open("rb") as file:
        begun = file.read(len(_TORCHS))
    return begun.startswith(_PICKLES) and begun != _TORCHS


def first_name(path: Path) -> str:
    """The first name of code that a pickle asks for, or nothing; its operations are listed, and none of them is run."""
    texts: list[str] = []
    try:
        with path.open("rb") as file:
            for operation, argument, _ in pickletools.genops(file):
                if operation.name == "GLOBAL":
                    return str(argument).replace(" ", ".")
                if operation.name == "STACK_GLOBAL" and len(texts) > 1:
                    return ".".join(texts[-2:])
                if isinstance(argument, str):
                    texts.append(argument)
    except (MemoryError, OverflowError, ValueError):  # damaged
        return ""
    return ""


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
