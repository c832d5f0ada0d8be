"""How a verb fails: one line on standard error and an exit code, whatever the machine lacks.

Exit codes: 0 done, 1 nothing could be read, 2 usage, or a file, disk or memory that does not allow it, 3 something was
flagged, 4 some inputs could not be read; 130, 141 and 143 are those of SIGINT, SIGPIPE and SIGTERM.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cameraborn.errors import CamerabornError, counted, lacks_memory

EXIT_NOTHING_READ, EXIT_USAGE, EXIT_FLAGGED, EXIT_SOME_UNREADABLE = 1, 2, 3, 4
# As a shell reports programs ended by SIGINT, SIGPIPE and SIGTERM.
EXIT_INTERRUPTED, EXIT_BROKEN_PIPE, EXIT_TERMINATED = 130, 141, 143

_WRITING = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EBADF, errno.EDQUOT}

_NO_MEMORY = "the memory does not suffice: give a smaller --jobs, smaller pictures or a larger machine"

quiet = threading.Event()  # --quiet was given


def say(line: str) -> None:
    """Print one line on standard error, unless --quiet was given."""
    if not quiet.is_set():
        complain(line)


def complain(line: str) -> None:
    """Print one line of what went wrong on standard error; where that is closed or full, nobody can be told."""
    try:
        print(printable(line), file=sys.stderr)
    except (OSError, ValueError):
        return


def printable(text: str) -> str:
    """The text with line breaks, control codes and the like shown as escapes."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text
    )


class Terminated(KeyboardInterrupt):
    """Someone asked the process to end (SIGTERM), as batch systems do: what Ctrl-C tidies up is tidied up."""


def terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """What SIGTERM does."""
    raise Terminated


def interrupted(error: KeyboardInterrupt) -> NoReturn:
    """End at once, as a program that SIGINT or SIGTERM ends."""
    terminated = isinstance(error, Terminated)
    complain(f"cameraborn: {'terminated' if terminated else 'interrupted'}")
    # Worker threads may be inside a large picture; nothing of theirs is worth waiting for.
    os._exit(EXIT_TERMINATED if terminated else EXIT_INTERRUPTED)


@contextmanager
def keeping(
    place: Path, number: Callable[[], int], one: str, many: str = "", *, again: str = "the same command"
) -> Iterator[None]:
    """After a failure or an interruption of its block, say what is kept, if anything is, and how to go on.

    Args:
        place: the file or folder that keeps it.
        number: tells how many things that are.
        one: such a thing.
        many: several of them, if that is not `one` with an s.
        again: what goes on.
    """
    try:
        yield
    except BaseException:
        if kept := number():
            complain(
                f"{place}: {counted(kept, one, many)} {'is' if kept == 1 else 'are'} kept: {again} goes on"
            )
        raise


def lines_in(path: Path) -> int:
    """How many whole lines a file has; 0 if it is not there, or no file."""
    if not path.is_file():
        return 0
    try:
        with path.open("rb") as lines:
            return sum(line.endswith(b"\n") for line in lines)
    except OSError:
        return 0


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turns every expected failure into one line, and the end of the process with its exit code."""
    try:
        yield
    except CamerabornError as error:
        said = str(error)  # "damaged", say, where it could only not be loaded
        _fail(_NO_MEMORY if "memory" not in said and lacks_memory(error) else said)
    except KeyboardInterrupt as error:
        interrupted(error)
    except BrokenPipeError:
        _drop_standard_output()  # the reader went away, as `head` does: say nothing more
        sys.exit(EXIT_BROKEN_PIPE)
    except Exception as error:  # of a library that could not be loaded, a thread that could not be started
        if lacks_memory(error):
            _fail(_NO_MEMORY)
        if not isinstance(error, OSError):
            raise
        _fail(_of_the_system(error))


def _fail(line: str) -> NoReturn:
    complain(f"cameraborn: {line}")
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _drop_standard_output()
    sys.exit(EXIT_USAGE)


def _of_the_system(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOMEM, errno.EAGAIN):
        return f"the machine has too little memory or too many processes ({reason}): give a smaller --jobs"
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {reason}: check the path and the disk"
    if error.errno in _WRITING:  # files are named wherever one is written
        return f"standard output: {reason}: free some space, or write to another place"
    return f"a file cannot be read or written: {reason}: check the disk"


def _drop_standard_output() -> None:
    """What is still to be written goes nowhere, also when Python flushes at its exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # it has no file, or is closed
        return
