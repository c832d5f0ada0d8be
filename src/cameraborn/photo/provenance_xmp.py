"""XMP (ISO 16684-1): the properties of a packet, as flat pairs of name and text.

A packet is RDF in XML from a stranger, so it is read by expat without a document type: no entity is ever expanded,
nothing is fetched, and packet, properties and texts are bounded. What comes before a fault is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from xml.parsers import expat

from PIL import Image

from cameraborn.photo.provenance_fields import MAX_FIELDS, XMP_KEYWORD, Field, png_texts
from cameraborn.photo.provenance_profiles import raw_profile

MAX_PACKET = 4 << 20  # bytes
MAX_PROPERTIES = 2000
_MAX_VALUE = 1 << 16  # characters
_MAX_DEPTH = 100
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_PREFIXES = {  # as the specifications print them, whatever a file calls them
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#": "stEvt",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dcterms",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://www.tc260.org.cn/ns/AIGC/1.0/": "TC260",
}
_TIFF_TAG = 700
_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"  # in front of a packet in a segment APP1
# What these hold is of the pictures that this one was made from (part 2, 1.2.4.1 and 2.1.4).
_OF_INGREDIENTS = frozenset({"xmpMM:Pantry", "xmpMM:Ingredients", "xmpMM:DerivedFrom"})


def xmp_fields(image: Image.Image, data: bytes) -> tuple[Field, ...]:
    """The properties of a file's XMP packet; none where there is no packet, or one that cannot be read."""
    return tuple(Field("XMP", name, text) for name, text in xmp_properties(_packet(image, data)))


def _packet(image: Image.Image, data: bytes) -> bytes:
    found = _in_png(data) or image.info.get("xmp") or _in_tiff(image)
    if isinstance(found, str):
        return found.encode("utf-8", "replace")
    if isinstance(found, bytes) and found:
        return found
    # Packets are made to be found in formats that a reader does not know (part 1, 7.3.2), as in GIF.
    start = data.find(b"<x:xmpmeta")
    end = data.find(b"</x:xmpmeta>", start, start + MAX_PACKET) if start >= 0 else -1
    return data[start : end + len(b"</x:xmpmeta>")] if end > 0 else b""


def _in_png(data: bytes) -> str | bytes:
    """In a chunk of its own, else in a text of ImageMagick's."""
    texts = list(islice(png_texts(data), MAX_FIELDS))
    own = next((text for keyword, text in texts if keyword == XMP_KEYWORD), "")
    profiles = (raw_profile(keyword, text, "xmp", "app1") for keyword, text in texts)
    segments = (profile.removeprefix(_SEGMENT) for profile in profiles)
    return own or next((profile for profile in segments if profile.lstrip().startswith(b"<")), b"")


def _in_tiff(image: Image.Image) -> object:
    tags = getattr(image, "tag_v2", None)
    return None if tags is None else tags.get(_TIFF_TAG)


def xmp_properties(packet: bytes) -> list[tuple[str, str]]:
    """Pairs of qualified name and text, in the order of the packet; a list gives a pair an item. Never raises."""
    reader = _Reader()
    # After a fault, what was read up to there is true all the same.
    with suppress(expat.ExpatError, _Enough, LookupError, ValueError):
        reader.read(packet[:MAX_PACKET].strip(b"\0 \t\r\n"))
    return reader.properties


class _Enough(Exception):
    """There is a document type, or more than any program writes."""


class _Reader:
    def __init__(self) -> None:
        self.properties: list[tuple[str, str]] = []
        self._open: list[tuple[str, list[str]]] = []  # names of elements, and their text so far

    def read(self, packet: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(packet, True)

    def _refuse(self, *_: object) -> None:
        raise _Enough

    def _add(self, name: str, text: str) -> None:
        if text.strip():
            inside = any(_qualified(parent) in _OF_INGREDIENTS for parent, _ in self._open)
            self.properties.append((f"ingredient {name}" if inside else name, text.strip()[:_MAX_VALUE]))
        if len(self.properties) >= MAX_PROPERTIES:
            raise _Enough

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise _Enough
        self._open.append((name, []))
        for attribute, value in attributes.items():
            if attribute == f"{_RDF} resource":
                self._add(self._property(), value)
            elif " " in attribute and not attribute.startswith(_RDF):
                self._add(_qualified(attribute), value)

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1][1].append(text)

    def _end(self, _name: str) -> None:
        self._add(self._property(), "".join(self._open[-1][1]))
        self._open.pop()

    def _property(self) -> str:
        """The nearest element around that is a property and not RDF's own: a list's items are values of its."""
        return next(self._names(), "")

    def _names(self) -> Iterator[str]:
        for name, _ in reversed(self._open):
            if not name.startswith(_RDF):
                yield _qualified(name)


def _qualified(name: str) -> str:
    uri, _, local = name.rpartition(" ")
    return f"{_PREFIXES.get(uri, uri)}:{local}" if uri else local
