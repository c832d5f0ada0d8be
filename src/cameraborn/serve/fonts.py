"""The list of this system's fonts, which drawings need: matplotlib makes it once, and would keep it on disk."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from tempfile import TemporaryDirectory

_FOLDER = "MPLCONFIGDIR"


def list_fonts() -> None:
    """Have it made now, which takes a while, in a folder that is gone afterwards unless the user has named one.

    Without matplotlib, or where no folder can be made, this is left to the first drawing.
    """
    is_named = _FOLDER in os.environ
    with suppress(ImportError, OSError), TemporaryDirectory(prefix="cameraborn-") as folder:
        os.environ.setdefault(_FOLDER, folder)
        try:
            import_module("matplotlib.font_manager")
        finally:
            if not is_named:
                del os.environ[_FOLDER]
