"""Files by path or address, wherever they lie: on a disk, in S3 or Google's storage, or where fsspec reaches.

An address is `SCHEME://BUCKET/NAME`. Object storages show an object once it is whole; on disks a file takes its name
when it is whole. Credentials, regions and endpoints are those of the environment, as AWS's own tools read it
(`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`). PyArrow's file systems do the work; they are imported when an address
is used, not before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from cameraborn.errors import StorageError, first_line
from cameraborn.files import replacing

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WITHOUT_FOLDERS = ("s3://", "gs://")  # a name may hold slashes, and that is all
_CHECK = "check the address, the credentials and the network"


@dataclass(frozen=True)
class Entry:
    """What a folder holds.

    Attributes:
        name: without the folder.
        address: with it.
        is_folder: whether it is a folder itself.
    """

    name: str
    address: str
    is_folder: bool


def is_address(path: str) -> bool:
    """Whether a text is an address, and no path of this machine."""
    return _SCHEME.match(path) is not None


def inside(folder: str, *names: str) -> str:
    """The path or address of what lies in a folder."""
    return "/".join([folder.rstrip("/"), *names])


@contextmanager
def opened(place: str) -> Iterator[BinaryIO]:
    """A file to read from.

    Raises:
        FileNotFoundError: there is none.
        StorageError: it cannot be read.
    """
    if not is_address(place):
        with Path(place).open("rb") as file:
            yield file
        return
    system, path = _resolved(place)
    try:
        with system.open_input_stream(path) as stream:
            yield cast(BinaryIO, stream)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(f"{place}: cannot be read ({first_line(error)}): {_CHECK}") from error


def read(place: str) -> bytes:
    """The content of a file; as `opened`."""
    with opened(place) as file:
        return file.read()


def write(place: str, data: bytes) -> None:
    """Put a file there, whole or not at all, and the folders around it.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        if is_address(place):
            system, path = _resolved(place)
            if not place.lower().startswith(_WITHOUT_FOLDERS):
                system.create_dir(path.rpartition("/")[0], recursive=True)
            with system.open_output_stream(path) as stream:
                stream.write(data)
            return
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        with replacing(Path(place)) as part, part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(
            f"{place}: cannot be written ({first_line(error)}): {_CHECK}, or the disk"
        ) from error


def remove(place: str) -> None:
    """Remove a file.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        if is_address(place):
            system, path = _resolved(place)
            system.delete_file(path)
        else:
            Path(place).unlink()
    except OSError as error:
        raise StorageError(f"{place}: cannot be removed ({first_line(error)}): {_CHECK}") from error


def entries(folder: str) -> list[Entry]:
    """What lies in a folder, by name; nothing where there is none.

    Raises:
        StorageError: it cannot be listed.
    """
    try:
        if not is_address(folder):
            found = (
                [(path.name, path.is_dir()) for path in Path(folder).iterdir()]
                if Path(folder).is_dir()
                else []
            )
        else:
            found = _listed(folder)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be listed ({first_line(error)}): {_CHECK}") from error
    return [Entry(name, inside(folder, name), is_folder) for name, is_folder in sorted(found)]


def is_file(place: str) -> bool:
    """Whether a file lies there.

    Raises:
        StorageError: it cannot be told.
    """
    if not is_address(place):
        return Path(place).is_file()
    system, path = _resolved(place)
    try:
        return bool(system.get_file_info(path).is_file)
    except OSError as error:
        raise StorageError(f"{place}: cannot be read ({first_line(error)}): {_CHECK}") from error


def arrow_file(place: str) -> Any:  # noqa: ANN401 (a file of PyArrow, which has no types)
    """A file that PyArrow's readers take, and read parts of.

    Raises:
        StorageError: it cannot be opened.
    """
    from pyarrow.fs import LocalFileSystem

    system, path = _resolved(place) if is_address(place) else (LocalFileSystem(), place)
    try:
        return system.open_input_file(path)
    except OSError as error:
        raise StorageError(f"{place}: cannot be read ({first_line(error)}): {_CHECK}") from error


def _listed(folder: str) -> list[tuple[str, bool]]:
    from pyarrow.fs import FileSelector

    system, path = _resolved(folder)
    infos = system.get_file_info(FileSelector(path, allow_not_found=True))
    return [(info.base_name, not info.is_file) for info in infos]


def _resolved(address: str) -> tuple[Any, str]:
    """The file system of an address, and what the file is called there."""
    scheme = address.partition("://")[0].lower()
    rest = address.partition("://")[2].strip("/")
    if scheme in ("s3", "gs"):
        return _object_storage(scheme, rest.partition("/")[0]), rest
    return _by_fsspec(scheme), rest if scheme != "memory" else "/" + rest


@lru_cache(maxsize=64)
def _object_storage(scheme: str, bucket: str) -> Any:  # noqa: ANN401 (PyArrow has no types)
    from pyarrow import fs

    try:
        if scheme == "gs":
            return fs.GcsFileSystem()
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if endpoint:
            parts = urlsplit(endpoint)
            return fs.S3FileSystem(endpoint_override=parts.netloc, scheme=parts.scheme, region=region)
        return fs.S3FileSystem(region=region or fs.resolve_s3_region(bucket))
    except OSError as error:
        raise StorageError(
            f"{scheme}://{bucket}: cannot be reached ({first_line(error)}): {_CHECK}"
        ) from error


@lru_cache(maxsize=64)
def _by_fsspec(scheme: str) -> Any:  # noqa: ANN401 (PyArrow has no types)
    import fsspec
    from pyarrow import fs

    try:
        return fs.PyFileSystem(fs.FSSpecHandler(fsspec.filesystem(scheme)))
    except (ImportError, ValueError, OSError) as error:
        raise StorageError(f"{scheme}://: no such storage here ({first_line(error)}): {_CHECK}") from error
