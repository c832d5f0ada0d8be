"""Whether a C2PA signature holds, as the reference library says: `pip install 'cameraborn[c2pa]'`.

Nothing is fetched: neither manifests that lie elsewhere, nor lists of revoked certificates. *Valid* says that nothing
was changed since it was signed. By whom is known only of a certificate on a trust list, and no list comes with us:
anyone may sign in any name.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any, Literal

State = Literal["invalid", "valid", "trusted"]
_MIME = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "HEIF": "image/heif",
    "JPEG XL": "image/jxl",
}
_STATES: dict[str, State] = {"Invalid": "invalid", "Valid": "valid", "Trusted": "trusted"}
_NEEDED = ("Reader", "Context", "Settings", "C2paError")
_SETTINGS = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


def can_check() -> bool:
    """Whether the library is installed, and not something else of its name or too old a version."""
    return _library() is not None


@lru_cache(maxsize=1)
def _library() -> Any:  # noqa: ANN401 (a module)
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError):  # not there, or its own library cannot be loaded
        return None
    return c2pa if all(hasattr(c2pa, name) for name in _NEEDED) else None


def signature_state(data: bytes, format: str) -> State | None:
    """The state of a file's active manifest; None where the library is missing or does not know the format."""
    mime = _MIME.get(format)
    if mime is None or not can_check():
        return None
    c2pa = _library()
    try:
        with c2pa.Reader(mime, io.BytesIO(data), context=_context()) as reader:
            return _STATES.get(reader.get_validation_state())
    except c2pa.C2paError.NotSupported:
        return None
    except c2pa.C2paError:
        return "invalid"


@lru_cache(maxsize=1)
def _context() -> Any:  # noqa: ANN401 (its class comes from the library)
    c2pa = _library()
    return c2pa.Context(settings=c2pa.Settings.from_dict(_SETTINGS))
