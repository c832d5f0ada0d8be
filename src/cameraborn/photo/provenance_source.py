"""The IPTC's Digital Source Type: what a file says of how it was made, and the words for it.

The list is cv.iptc.org/newscodes/digitalsourcetype, with the values that were retired, as files keep them, and the two
that C2PA added (c2pa.org/digitalsourcetype). A value is a claim: a generated picture may bear `digitalCapture`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cameraborn.photo.provenance_fields import Field

SOURCE_TYPE = (
    r"(?:(?:XMP|C2PA)(?: ingredient)?|PNG text|EXIF) (?:.*[:.])?[Dd]igitalSourceType"  # where it stands
)
OF_PART = ("compositeWithTrainedAlgorithmicMedia", "compositeSynthetic")  # generated in part
OF_WHOLE = "trainedAlgorithmicMedia"
WORDS = {
    "digitalCapture": "was taken by a digital camera",
    "computationalCapture": "was taken by a camera and computed from several exposures",
    "negativeFilm": "was scanned from a film negative",
    "positiveFilm": "was scanned from a film positive",
    "print": "was scanned from a print",
    "humanEdits": "was edited by a person",
    "minorHumanEdits": "was edited a little by a person",
    "compositeWithTrainedAlgorithmicMedia": "was edited with generative AI",
    "algorithmicallyEnhanced": "was altered by an algorithm",
    "softwareImage": "was made by software",
    "digitalArt": "is digital art",
    "digitalCreation": "was made by a person with digital tools",
    "dataDrivenMedia": "was drawn from data",
    "trainedAlgorithmicMedia": "was made by generative AI",
    "algorithmicMedia": "was made by an algorithm that was trained on nothing",
    "screenCapture": "is a capture of a screen",
    "virtualRecording": "is a recording of a virtual event",
    "composite": "was composed of several elements",
    "compositeCapture": "was composed of elements that were captured from real life",
    "compositeSynthetic": "was composed of elements, at least one of them synthetic",
    "empty": "is an empty canvas",
    "trainedAlgorithmicData": "is data from a trained model",
}
_SPELLINGS = {code.lower(): code for code in WORDS}
_LONGEST = 100  # characters of a value that is not in the list
_MOST = 5  # claims that are told


def source_type_of(fields: Iterable[Field]) -> str | None:
    """The last word of the Digital Source Type, such as `digitalCapture`; the file's own before ingredients'."""
    return next((source_code(field.text) for field in _found(fields)), None)


def source_claims(fields: Iterable[Field]) -> tuple[str, ...]:
    """Each value in words, the file's own before ingredients': "the file says that it is digital art (digitalArt)"."""
    claims = (f"{_speaker(field)} says that it {_words(source_code(field.text))}" for field in _found(fields))
    return tuple(dict.fromkeys(claims))[:_MOST]


def _found(fields: Iterable[Field]) -> list[Field]:
    found = [field for field in fields if re.fullmatch(SOURCE_TYPE, field.where) and source_code(field.text)]
    return sorted(found, key=_of_ingredient)


def _of_ingredient(field: Field) -> bool:
    return "ingredient" in field.name


def _speaker(field: Field) -> str:
    return "an earlier picture that it was made from" if _of_ingredient(field) else "the file"


def source_code(text: str) -> str:
    """The last word, from an address, a qualified code (`digsrctype:print`) or the bare word; spelt as in the list."""
    word = re.split(r"[/:]", text.strip().rstrip("/"))[-1][:_LONGEST]
    return _SPELLINGS.get(word.lower(), word)


def _words(code: str) -> str:
    words = WORDS.get(code)
    return f"{words} ({code})" if words else f'has the source type "{code}", which is not in the IPTC\'s list'
