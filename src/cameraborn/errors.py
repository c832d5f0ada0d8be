"""The errors that users see: each is one line that names the thing at fault and the next step."""

import errno
import re
from pathlib import Path

_ESCAPES = re.compile(
    r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-_])"
)  # of a terminal: ECMA-48's


class CamerabornError(Exception):
    """Base of every error this package raises on purpose.

    Its text is one complete line: what cannot be printed, as a line break in a file's name, becomes `?`.
    """

    def __str__(self) -> str:
        return "".join(c if c.isprintable() else "?" for c in super().__str__())


class OverwriteError(CamerabornError):
    """A file or folder would be lost: it is there already, or the same run reads it."""


class JournalError(CamerabornError):
    """The journal of an interrupted run cannot be gone on with, or cannot be written."""


class EngineError(CamerabornError):
    """A cluster cannot be reached, its workers end before their work does, or `jobs` is no number of workers."""


class StorageError(CamerabornError):
    """A place of files cannot be read, listed or written."""


class PictureError(CamerabornError):
    """A picture cannot be read, or is not a picture."""


def first_line(error: BaseException) -> str:
    """What a library's error says in its first line, for a line of ours; its kind, if it says nothing.

    Colours and other orders to a terminal are left out.
    """
    plain = _ESCAPES.sub("", str(error)).strip()
    line = (plain.splitlines() or [""])[0]
    return "".join(c for c in line if c.isprintable()).rstrip() or type(error).__name__


# How libraries and the loader of shared ones say that memory, or an address space, is used up.
_NO_MEMORY = ("memory", "map segment", "bad_alloc", "can't start new thread")
_OWN_CLASSES = ("cv2", "onnxruntime")  # of errors, beside Python's, have these
_OTHER_REASONS = ("not permitted", "denied")  # why a segment is not mapped although there is memory


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, comes of too little memory, whatever its class."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        usual = isinstance(error, ImportError | OSError | RuntimeError)
        if (usual or type(error).__module__.partition(".")[0] in _OWN_CLASSES) and _of_memory(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _of_memory(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    said = str(error)
    return any(word in said for word in _NO_MEMORY) and not any(word in said for word in _OTHER_REASONS)


def no_file(path: object, what: str, advice: str) -> str:
    """The line on a path at which no regular file lies: there is nothing, or a pipe, which gives its content once."""
    there = Path(str(path))
    if there.exists() and not there.is_dir():
        return (
            f"{path}: a pipe or a device, and it is read more than once: write it into a file, and name that"
        )
    return f"{path}: no such {what}: {advice}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number with the word for so many: `1 face`, `2 faces`; `many` where it is not `one` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


class CopyOfAnother(str):
    """Why a picture counts no second time: an earlier one shows the same. Other reasons to leave one out are plain."""

    __slots__ = ()


def picture_error(name: str, problem: str, advice: str) -> PictureError:
    """The error of one picture: its name, what is wrong, the next step."""
    return PictureError(f"{name}: {problem}: {advice}")


class DegradationError(CamerabornError):
    """A name of a degradation cannot be understood."""


class ManifestError(CamerabornError):
    """A manifest is missing, broken, or cannot serve the purpose it was given for."""


class BundleError(CamerabornError):
    """A bundle is missing, damaged, foreign, or lacks the part that was asked for."""


class CalibrationError(CamerabornError):
    """A false-alarm rate, a fit or a calibration was asked of too few photographs."""


class RecipeError(CamerabornError):
    """A training recipe or checkpoint is invalid."""


class BenchError(CamerabornError):
    """A benchmark's configuration or results cannot be used."""
