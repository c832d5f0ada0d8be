"""What libtiff says of a damaged picture, kept from standard error and given to whoever decodes the picture.

Pillow turns libtiff's warnings off and leaves its errors to the default, which prints them without a file's name. They
cannot be reached through Pillow. Redirecting file descriptor 2 would take the words of every thread of the host. So
libtiff's own function for the purpose is used, `TIFFSetErrorHandler`, through the extension module that is linked with
it: the handler keeps what the decoding thread's picture is to blame for, and hands everything else to the handler that
was there before. Where that function cannot be reached (Windows, or a Pillow that hides it), libtiff prints as ever.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import _imaging

_LONGEST = 512  # bytes of one message
_PILLOWS_NAME = b"tempfile.tif"  # what Pillow calls every file
_local = threading.local()
_installing = threading.Lock()
_Handler = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p
)  # module, format, va_list
_kept_alive: list[object] = []


@contextmanager
def libtiff_words() -> Iterator[list[str]]:
    """A list that gets what libtiff says of pictures that this thread decodes inside; inner blocks share it."""
    _install()
    outer: list[str] | None = getattr(_local, "words", None)
    words: list[str] = [] if outer is None else outer
    _local.words = words
    try:
        yield words
    finally:
        _local.words = outer


def _install() -> None:
    """Put our handler in front of the one that is there, once in a process."""
    with _installing:
        if _kept_alive or os.name != "posix":
            return
        try:
            set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
            format_list = ctypes.CDLL(None).vsnprintf
        except (AttributeError, OSError):
            _kept_alive.append(None)  # not to be tried again
            return
        format_list.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]
        set_handler.restype = ctypes.c_void_p
        before: list[int] = []

        def handle(module: bytes | None, text: bytes | None, values: int | None) -> None:
            words = getattr(_local, "words", None)
            if words is None:
                for address in before:
                    _Handler(address)(module, text, values)
                return
            buffer = ctypes.create_string_buffer(_LONGEST)
            format_list(buffer, _LONGEST, text, values)
            where = b"" if module == _PILLOWS_NAME else module
            said = b": ".join(part for part in (where, buffer.value) if part)
            words.append(said.decode("utf-8", "replace").strip().rstrip("."))

        handler = _Handler(handle)
        _kept_alive.append(handler)
        if address := set_handler(handler):
            before.append(address)
