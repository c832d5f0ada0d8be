"""Bearer tokens (RFC 6750), of which the server knows hashes alone.

The file is what `sha256sum` writes: a line a token, its SHA-256 in hex and a name. As tokens are random, a plain hash
is enough: nobody can guess one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from pathlib import Path

from cameraborn.errors import CamerabornError
from cameraborn.photo.sniff import refuse_special

_LINE = re.compile(r"([0-9a-fA-F]{64})(\s+.*)?")


def read_tokens(path: Path) -> frozenset[bytes]:
    """The hashes in a file; empty lines and those that begin with # are passed over.

    Raises:
        CamerabornError: it cannot be read, holds no hash, or something else.
    """
    refuse_special(path, CamerabornError)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise CamerabornError(
            f"{path}: cannot be read ({reason}): give a file of hashes of tokens"
        ) from error
    hashes = set()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if (match := _LINE.fullmatch(text)) is None:
            raise CamerabornError(
                f"{path}: line {number}: does not begin with a SHA-256 in hex: write what sha256sum says of a token"
            )
        hashes.add(bytes.fromhex(match[1]))
    if not hashes:
        raise CamerabornError(f"{path}: holds no hash of a token: write what sha256sum says of one")
    return frozenset(hashes)


def is_known(token: str, hashes: Collection[bytes]) -> bool:
    """Whether a token is one of these; how long it takes tells of hashes alone, which no sender can choose."""
    return hash_of(token) in hashes


def hash_of(token: str) -> bytes:
    """The SHA-256 of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
