"""What libtiff says of a damaged TIFF: kept for the picture that is being decoded, instead of printed.

Pillow leaves libtiff's error handler as it is, and that one writes to standard error, which belongs to the whole
process. libtiff calls its handler in the thread that decodes, so a handler of ours knows whose picture is meant. Other
threads, and other users of the same library, have the handler that was there before.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import _imaging

_LONGEST = 200  # bytes of one message
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_NAMELESS = b"tempfile.tif"  # what Pillow calls every file to libtiff


class _Kept(threading.local):
    words: list[str] | None = None  # of the picture that this thread decodes; None if it decodes none


_kept = _Kept()
_lock = threading.Lock()
_installed = False
_before = _HANDLER()  # the handler that was there


@contextmanager
def libtiff_errors() -> Iterator[list[str]]:
    """The errors that libtiff reports in this thread, in their order; within another such block, the same list.

    Where Pillow was built with libtiff inside, as on Windows, there is no way to the handler: they are printed.
    """
    _install()
    outer = _kept.words
    _kept.words = [] if outer is None else outer
    try:
        yield _kept.words
    finally:
        _kept.words = outer


def _install() -> None:
    """Put our handler in front of the one that is there, once."""
    global _installed, _before
    with _lock:
        if _installed:
            return
        _installed = True
        try:
            replace_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler  # in what it is linked with
        except (AttributeError, OSError):
            return
        replace_handler.argtypes, replace_handler.restype = [_HANDLER], _HANDLER
        _before = replace_handler(_HANDLE)


def _keep(module: bytes | None, form: bytes, arguments: int) -> None:
    """libtiff's TIFFErrorHandler. Its third argument, a va_list, is one pointer wherever Pillow is built."""
    if _kept.words is not None:
        text = ctypes.create_string_buffer(_LONGEST)
        ctypes.pythonapi.PyOS_vsnprintf(text, ctypes.c_size_t(_LONGEST), form, ctypes.c_void_p(arguments))
        words = text.value if module in {None, _NAMELESS} else module + b": " + text.value
        _kept.words.append(words.decode("utf-8", "replace").rstrip("."))
    elif _before:
        _before(module, form, arguments)


_HANDLE = _HANDLER(_keep)  # as long as the process lives: libtiff may call it
