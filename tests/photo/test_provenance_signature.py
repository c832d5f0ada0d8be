"""Signatures of manifests: as the reference library says where it is installed, and unchecked without it."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from cameraborn.photo import provenance_signature
from cameraborn.photo.provenance import read_provenance
from cameraborn.photo.provenance_signature import can_check, signature_state
from tests.photo.provenance_files import jpeg

FILES = Path(__file__).with_name("data") / "c2pa"
needs_library = pytest.mark.skipif(not can_check(), reason="needs pip install 'cameraborn[c2pa]'")


def test_the_signature_is_never_taken_for_good():
    data = (FILES / "made.jpg").read_bytes()
    forged = data.replace(b"Test Generator", b"Best Generator")
    assert read_provenance(forged).c2pa.signature in ("unchecked", "invalid")


@needs_library
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "avif", "gif"])
def test_the_reference_library_checks_the_signature(ending):
    data = (FILES / f"made.{ending}").read_bytes()
    found = read_provenance(data)
    assert (found.c2pa.signature, found.c2pa.signer_verified) == ("valid", False)
    assert "valid signature of an unverified signer that calls itself Cameraborn Test" in found.notes[-1]
    changed = bytearray(data)
    changed[-20 if ending in ("jpg", "avif") else data.index(b"Test Generator")] ^= 1
    assert manifest_of_changed(bytes(changed), ending) == "invalid"


def manifest_of_changed(data, ending):
    names = {"jpg": "JPEG", "tif": "TIFF"}
    return signature_state(data, names.get(ending, ending.upper()))


@pytest.mark.parametrize("missing", [("C2paError",), ("Reader", "Context", "Settings", "C2paError")])
def test_without_the_library_nothing_is_checked_whatever_has_its_name(missing, monkeypatch):
    other = ModuleType("c2pa")
    for name in {"Reader", "Context", "Settings", "C2paError"} - set(missing):
        setattr(other, name, object)
    monkeypatch.setitem(sys.modules, "c2pa", other)
    provenance_signature._library.cache_clear()
    try:
        assert not can_check()
        assert read_provenance(FILES / "made.jpg").c2pa.signature == "unchecked"
    finally:
        provenance_signature._library.cache_clear()


def test_of_a_format_that_the_library_does_not_know_nothing_is_said():
    data = (FILES / "made.jpg").read_bytes()
    assert signature_state(data, "BMP") is None
    assert signature_state(data, "") is None


@needs_library
def test_a_file_without_a_manifest_has_no_signature_that_holds():
    assert signature_state(jpeg(), "JPEG") == "invalid"


@needs_library
def test_what_was_made_from_a_signed_picture_is_valid_as_long_as_nothing_changes():
    data = (FILES / "edited.jpg").read_bytes()
    assert signature_state(data, "JPEG") == "valid"
    assert signature_state(data[:-2] + b"\0" + data[-2:], "JPEG") == "invalid"
