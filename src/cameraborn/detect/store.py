"""Bundles on disk: a folder or a zip, every file hashed in `bundle.json`, no pickle anywhere."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cameraborn.detect.bundle import Bundle
from cameraborn.detect.card import card_text
from cameraborn.detect.schema import SCHEMA_VERSION, BundleInfo
from cameraborn.errors import BundleError, first_line
from cameraborn.files import replacing
from cameraborn.photo.sniff import refuse_special

_INFO, _CARD = "bundle.json", "CARD.md"
CONVERTIBLE = (2, 3)  # schemas that `convert` reads


def read_bundle(path: Path) -> Bundle:
    """Read a bundle from a folder or zip; every file's SHA-256 must be the recorded one.

    Raises:
        BundleError: it is missing, foreign, of another schema, incomplete, or damaged.
    """
    fields, files = read_checked(path, SCHEMA_VERSION)
    try:
        info = BundleInfo.model_validate(fields)
    except ValidationError as error:
        raise _damaged(path, error) from error
    return Bundle(info, files, str(path))


def read_checked(path: Path, *versions: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The fields of `bundle.json` and the files of a bundle of one of some schemas, all of them as recorded.

    Raises:
        BundleError: as `read_bundle`, but for the other fields of `bundle.json`.
    """
    files = _read_files(path)
    if _INFO not in files:
        raise BundleError(
            f"{path}: not a bundle (no {_INFO} in it): give the folder that export or fit wrote"
        )
    try:
        fields = json.loads(files[_INFO])
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error
    found = fields.get("schema_version") if isinstance(fields, dict) else None
    if found not in versions:
        step = "install the release that made it, or export it again"
        if found == SCHEMA_VERSION:
            step = "it needs no conversion"
        elif found in CONVERTIBLE:
            step = f"run 'cameraborn convert {path} -o NEW' first"
        read = " and ".join(map(str, versions))
        raise BundleError(
            f"{path}: {_INFO} has schema version {found!r} and this reads version {read}: {step}"
        )
    recorded = fields.get("files", {})
    if not isinstance(recorded, dict):
        raise _damaged(path, ValueError("its files are no table"))
    for name, digest in recorded.items():
        if name not in files:
            raise BundleError(f"{path}: {name} is missing from the bundle: get the bundle again")
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise BundleError(
                f"{path}: {name} is not the file that was recorded (SHA-256 differs): get the bundle again"
            )
    return fields, {name: files[name] for name in recorded}


def write_bundle(bundle: Bundle, folder: Path) -> None:
    """Write a bundle into a new folder, or in place of an older bundle there.

    Everything is written beside, under names that nothing has, and renamed at the end, so that no half-written bundle
    is ever seen. Of a link, what it leads to is written. Files and folders that are no part of the older bundle stay.

    Raises:
        BundleError: as `check_place`, or the disk is full.
    """
    check_place(folder)
    place = Path(os.path.realpath(folder))
    part, old = _free_name(place, ".part"), _free_name(place, ".old")
    contents = _contents(bundle)
    foreign: list[str] = []
    try:
        part.mkdir(parents=True)
        for name, data in contents.items():
            with replacing(part / name) as file:
                file.write_bytes(data)
        if place.exists():
            own = {*_own_files(place), *contents}
            foreign = [one.name for one in place.iterdir() if one.name not in own]
            place.rename(old)
        part.rename(place)
    except OSError as error:
        raise BundleError(
            f"{folder}: cannot be written ({error.strerror}): free some space, or give another folder"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for name in foreign:
        (old / name).rename(place / name)
    shutil.rmtree(old, ignore_errors=True)


def check_place(folder: Path) -> None:
    """See that a bundle can be written there: that it is new, empty, or a bundle.

    Raises:
        BundleError: it is something else, or this process works inside it: as a whole it is moved away.
    """
    taken = folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))
    if taken and not _own_files(folder):
        raise BundleError(f"{folder}: exists and is not a bundle: give another folder")
    if Path(os.path.realpath(folder)) in (here := Path.cwd(), *here.parents):
        raise BundleError(
            f"{folder}: this command was given inside this folder, which is replaced as a whole: give it elsewhere"
        )


def _own_files(folder: Path) -> set[str]:
    """The names of a bundle's files, as its `bundle.json` has them; empty for what is no bundle."""
    path = folder / _INFO
    try:
        fields = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError):
        return set()
    if not isinstance(fields, dict) or not isinstance(fields.get("schema_version"), int):
        return set()
    files = fields.get("files")
    return {_INFO, _CARD, *(files if isinstance(files, dict) else ())}


def _free_name(folder: Path, ending: str) -> Path:
    """A name beside a folder that nothing has: somebody may keep an older bundle as `my-bundle.old`."""
    names = (folder.with_name(f"{folder.name}{ending}{number or ''}") for number in itertools.count())
    return next(name for name in names if not os.path.lexists(name))


def _contents(bundle: Bundle) -> Mapping[str, bytes]:
    recorded = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(bundle.files.items())}
    info = bundle.info.model_copy(update={"files": recorded})
    return {
        **bundle.files,
        _INFO: (info.model_dump_json(indent=1) + "\n").encode(),
        _CARD: card_text(bundle).encode(),
    }


def _damaged(path: Path, error: Exception) -> BundleError:
    reason = first_line(error)
    return BundleError(f"{path}: {_INFO} is damaged ({reason}): get the bundle again")


def _read_files(path: Path) -> dict[str, bytes]:
    refuse_special(path, BundleError)
    try:
        if path.is_dir():
            return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return {
                    name.rpartition("/")[2]: archive.read(name)
                    for name in archive.namelist()
                    if name[-1] != "/"
                }
    except (
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
    ) as error:
        raise BundleError(f"{path}: cannot be read ({error}): get the bundle again") from error
    if path.exists():
        raise BundleError(f"{path}: neither a folder nor a zip: give a bundle")
    raise BundleError(f"{path}: no such bundle: check the path")
