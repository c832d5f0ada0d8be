"""The errors that users see: each is one line that names the thing at fault and the next step."""

import re

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
    """A cluster cannot be reached, or its workers end before their work does."""


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
