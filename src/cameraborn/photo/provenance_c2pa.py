"""What a C2PA manifest (Content Credentials) says: who claims what, with which program, and whose signature it bears.

C2PA Technical Specification 2.1, sections 10 (claims), 11 (manifests), 13 (signatures) and 18.12 (actions). Reading is
not checking: anyone can write such boxes, so the signature's state is `unchecked` unless the C2PA library has checked
it (`pip install 'cameraborn[c2pa]'`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from cameraborn.photo.provenance_cbor import CborError, decode_cbor
from cameraborn.photo.provenance_fields import Field
from cameraborn.photo.provenance_jumbf import Box, read_boxes
from cameraborn.photo.provenance_signature import signature_state
from cameraborn.photo.provenance_source import source_code

Signature = Literal["missing", "unchecked", "invalid", "valid", "trusted"]
_ALGORITHMS = {-7: "ES256", -35: "ES384", -36: "ES512", -37: "PS256", -38: "PS384", -39: "PS512", -8: "EdDSA"}
_ALGORITHM, _CERTIFICATES = 1, 33  # COSE header parameters (RFC 9052, 3.1; RFC 9360)
_COMMON_NAME, _ORGANISATION = bytes.fromhex("550403"), bytes.fromhex("55040a")
# Keys of actions and of metadata assertions whose texts name programs or sources.
_KEYS = {"softwareAgent": "softwareAgent", "description": "description", "com.adobe.details": "details"}
_ASSERTIONS = ("c2pa.actions", "c2pa.metadata", "cawg.metadata", "stds.iptc")
_SIGNATURES = {
    "unchecked": "unchecked signature",
    "invalid": "invalid signature",
    "valid": "valid signature",
    "trusted": "valid signature",
}
_BRINGS_IN = ("c2pa.opened", "c2pa.placed")  # actions by which a picture that was there comes in (18.12)
_MAX_TEXTS = 200
_MAX_NAME = 200  # characters of a name in a sentence
_MAX_JSON = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """The active manifest of a file, and texts of all of its manifests."""

    claim_generator: str | None  # the program that made the claim, as it calls itself
    signature: Signature  # `valid`: nothing was changed since; by whom it was signed is another matter
    # As the certificate calls it, organisation or name: anyone's, while the signer is not verified.
    signer: str | None
    algorithm: str | None  # "ES256", ...
    ingredients: int  # earlier manifests, of pictures that this one was made from
    fields: tuple[Field, ...] = ()  # programs, sources and descriptions, the active manifest's first
    signer_verified: bool = False  # the certificate is on a trust list; none comes with us

    def in_words(self) -> str:
        """One sentence: whose claim it is, and what is known of its signature."""
        if self.signature == "missing":
            return "a C2PA manifest without a signature, or one that cannot be read"
        claimed = f" ({self.claim_generator[:_MAX_NAME]})" if self.claim_generator else ""
        if not self.signer:
            signer = "an unverified signer without a name"
        elif self.signer_verified:
            signer = f"{self.signer[:_MAX_NAME]}, whose certificate is on a trust list"
        else:
            signer = f"an unverified signer that calls itself {self.signer[:_MAX_NAME]}"
        return f"a C2PA manifest{claimed}, {_SIGNATURES[self.signature]} of {signer}"


def manifest_of(store: bytes, data: bytes, format: str) -> Manifest | None:
    """The manifest that a file carries; None where there is none. What cannot be read of it is missing.

    Args:
        store: the file's manifest store (`provenance_jumbf.manifest_store`), encoded.
        data: the file, encoded.
        format: the name of its decoder, "JPEG".
    """
    if not store:
        return None
    manifest = read_manifest(store)
    state = signature_state(data, format) if manifest.signature == "unchecked" else None
    return replace(manifest, signature=state, signer_verified=state == "trusted") if state else manifest


def read_manifest(store: bytes) -> Manifest:
    """The manifest of an encoded store; the last in the store is the active one (C2PA 2.1, 11.1.4.2)."""
    boxes = read_boxes(store)
    manifests = [box for box in boxes[0].children if box.type == "jumb"] if boxes else []
    if not manifests:
        return Manifest(None, "missing", None, None, 0)
    active = manifests[-1]
    fields = [*_fields(active, "")]
    for earlier in manifests[-2::-1]:
        fields += _fields(earlier, "ingredient ")
    signer, algorithm = _signer(active)
    return Manifest(
        claim_generator=next((f.text for f in fields if f.name == "claim_generator"), None),
        signature="unchecked" if active.child("c2pa.signature") else "missing",
        signer=signer,
        algorithm=algorithm,
        ingredients=len(manifests) - 1,
        fields=tuple(fields[:_MAX_TEXTS]),
    )


def _fields(manifest: Box, prefix: str) -> Iterator[Field]:
    claim = _decoded((manifest.child("c2pa.claim") or Box("")).content("cbor"))
    if isinstance(claim, dict) and (generator := _generator(claim)):
        yield Field("C2PA", f"{prefix}claim_generator", generator)
    assertions = manifest.child("c2pa.assertions") or Box("")
    for box in assertions.children:
        if box.label.startswith(_ASSERTIONS):
            value = _decoded(box.content("cbor")) or _parsed(box.content("json"))
            for of_part, name, text in _texts(value):
                yield Field("C2PA", prefix + name, text, of_part)


def _generator(claim: dict[object, object]) -> str:
    """Version 1 has a text and perhaps a list of names, version 2 a map (10.2)."""
    info = claim.get("claim_generator_info")
    named = _program(info[0] if isinstance(info, list) and info else info)
    text = claim.get("claim_generator")
    return named or (text if isinstance(text, str) else "")


def _program(value: object) -> str:
    """A text, or a map with a name and perhaps a version."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return ""
    parts = (value.get("name"), value.get("version"))
    return " ".join(part for part in parts if isinstance(part, str))


def _texts(assertion: object) -> Iterator[tuple[bool, str, str]]:
    """The texts of interest in an assertion, each with whether it speaks of a part of the picture."""
    if not isinstance(assertion, dict) or not isinstance(assertion.get("actions"), list):
        yield from ((False, name, text) for name, text in _named_texts(assertion))
        return
    actions = assertion["actions"]
    names = [action.get("action") if isinstance(action, dict) else None for action in actions]
    # Nothing but what was generated is in the picture before a later action, and nothing else is brought in.
    is_new = not any(name in _BRINGS_IN for name in names) and any(
        name == "c2pa.created" and _is_whole(action) for name, action in zip(names, actions, strict=True)
    )
    for name, action in zip(names, actions, strict=True):
        of_part = not (_is_whole(action) and (is_new or name == "c2pa.created"))
        yield from ((of_part, *found) for found in _named_texts(action))


def _is_whole(action: object) -> bool:
    """Whether an action's source type, if it has one, leaves nothing to a camera or a person."""
    sources = [
        source_code(text).lower() for name, text in _named_texts(action) if name == "digitalSourceType"
    ]
    return set(sources) <= {"trainedalgorithmicmedia"}


def _named_texts(value: object) -> Iterator[tuple[str, str]]:
    """The texts under keys of interest, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _named_texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and key.lower().endswith("digitalsourcetype") and isinstance(item, str):
                yield "digitalSourceType", item
            elif key in _KEYS and (text := _program(item)):
                yield _KEYS[key], text
            else:
                yield from _named_texts(item)


def _decoded(data: bytes) -> object:
    try:
        return decode_cbor(data)
    except CborError:
        return None


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data[:_MAX_JSON])
    except (ValueError, RecursionError):
        return None


def _signer(manifest: Box) -> tuple[str | None, str | None]:
    """Who the first certificate names, and the algorithm: a COSE_Sign1 of two headers, no payload, a signature."""
    message = _decoded((manifest.child("c2pa.signature") or Box("")).content("cbor"))
    if not isinstance(message, list) or len(message) != 4:
        return None, None
    protected = _decoded(message[0]) if isinstance(message[0], bytes) else None
    headers = [header for header in (protected, message[1]) if isinstance(header, dict)]
    chains = [chain for header in headers for key in (_CERTIFICATES, "x5chain") if (chain := header.get(key))]
    leaf = chains[0][0] if chains and isinstance(chains[0], list) else next(iter(chains), None)
    algorithms = [header[_ALGORITHM] for header in headers if isinstance(header.get(_ALGORITHM), int)]
    names = _subject(leaf) if isinstance(leaf, bytes) else {}
    return (
        names.get(_ORGANISATION) or names.get(_COMMON_NAME),
        _ALGORITHMS.get(algorithms[0]) if algorithms else None,
    )


def _subject(certificate: bytes) -> dict[bytes, str]:
    """Names of an X.509 certificate's subject by their object identifiers (RFC 5280, 4.1); empty if malformed."""
    outer = _children(certificate)
    signed = _children(_children(outer[0][1])[0][1]) if outer and _children(outer[0][1]) else []
    # [0] version, serial number, algorithm, issuer, validity, subject, ...
    parts = [part for part in signed if part[0] != 0xA0]
    names = {}
    for _, relative in _children(parts[4][1]) if len(parts) > 4 else []:
        for _, pair in _children(relative):
            identifier, value, *_ = [*_children(pair), (0, b""), (0, b"")]
            names[identifier[1]] = value[1].decode("utf-8", "replace")
    return names


def _children(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each value of a DER sequence, as far as they are complete (X.690, 8.1)."""
    found, at = [], 0
    while at + 2 <= len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length > 0x80:
            size = length - 0x80
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            break
        found.append((tag, data[at : at + length]))
        at += length
    return found
