"""Disks that are nearly full."""

import resource
from contextlib import contextmanager


@contextmanager
def room_for(n_bytes):
    """No file may grow beyond that, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
