"""Marks that generators of pictures leave in metadata, in one table: who leaves it, in which field, and how it reads.

The sources are the programs' own code and documents: Stable Diffusion WebUI (`modules/images.py`), ComfyUI (`nodes.py`,
`comfy_extras/nodes_images.py`), InvokeAI (`image_files_disk.py`), SwarmUI ("Image Metadata Format"), NovelAI
(`novelai-image-metadata`), the IPTC's vocabulary Digital Source Type (cv.iptc.org/newscodes/digitalsourcetype), C2PA
2.1 (18.12, actions), China's TC260 (GB 45438-2025, appendix E). Where a service documents nothing, the mark is as
others report it from its downloads: Midjourney's job number, xAI's signature, Google's credit line.

A caption may speak of anything. So names of products count only in fields that name a program, and where a program
writes into a field for captions, the whole form counts: WebUI's line of settings has a line of its own, JSON begins the
field, Midjourney's job number ends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from cameraborn.photo.provenance_fields import Field
from cameraborn.photo.provenance_source import OF_PART, OF_WHOLE, SOURCE_TYPE, source_code

Extent = Literal["whole", "part"]  # of the picture was generated, as the mark says
_EXCERPT = 100  # characters


@dataclass(frozen=True)
class Trace:
    """A mark that was found."""

    generator: str  # the program or service; "a generator that is not named" where the mark names none
    place: str  # "PNG text parameters"
    excerpt: str  # what stands there, cut
    extent: Extent


@dataclass(frozen=True)
class Mark:
    """One line of the table."""

    generator: str
    where: re.Pattern[str]  # matched against a field's place and name
    # All of them are searched in its text, one by one: no pattern looks far. An excerpt begins where the last one fits.
    what: tuple[re.Pattern[str], ...]
    extent: Extent = "whole"


UNNAMED = "a generator that is not named"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_FREE = (
    r"(?:PNG text (?:parameters|Comment|Description|UserComment)|EXIF (?:UserComment|ImageDescription|XPComment)"
    r"|comment|XMP (?:exif:UserComment|dc:description)|pixels \w+)"
)
_PROGRAM = (
    r"(?:PNG text (?:Software|Model|Creator ?Tool)"
    r"|EXIF (?:Software|RAWDevelopingSoftware|ImageEditingSoftware)"
    r"|XMP (?:ingredient )?(?:xmp:CreatorTool|stEvt:softwareAgent|tiff:Software|Iptc4xmpExt:AISystemUsed)"
    r"|IPTC OriginatingProgram|C2PA (?:ingredient )?(?:claim_generator|softwareAgent|details))"
)
_CREDIT = (
    r"(?:XMP (?:ingredient )?photoshop:Credit|IPTC Credit|PNG text Credit|C2PA (?:ingredient )?description)"
)
_CAPTION = r"(?:PNG text Description|EXIF ImageDescription|XMP dc:description|IPTC Caption)"
_JSON = r'\A\s*(?:"?\w+"?: ?)?\{'  # perhaps with a name in front: `prompt:{...`
# Each of WebUI's settings has a name, and a colon: `Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512`.
_SETTINGS = r"(?m)^Steps: \d+, (?=.*\bSeed: -?\d)(?=.*\b(?:Sampler|CFG scale|Guidance Scale|Size): )"


def _mark(generator: str, where: str, *what: str, extent: Extent = "whole") -> Mark:
    return Mark(generator, re.compile(where), tuple(map(re.compile, what)), extent)


# The first mark that fits a field is reported of it, so the particular stand before the general.
MARKS: tuple[Mark, ...] = (
    _mark("SwarmUI", _FREE, _JSON, r'"sui_image_params"\s*:'),
    _mark("Fooocus", r"PNG text fooocus_scheme"),
    _mark("Fooocus", _FREE, _JSON, r'"version"\s*:\s*"Fooocus'),
    _mark("Fooocus", _FREE, rf"{_SETTINGS}(?=.*\bVersion: Fooocus)"),
    _mark("SD.Next", _FREE, rf"{_SETTINGS}(?=.*\bApp: SD\.Next)"),
    _mark("Stable Diffusion WebUI", _FREE, _SETTINGS),
    _mark("Stable Diffusion WebUI", r"PNG text (?:postprocessing|extras)", r"Postprocess |Upscaler|GFPGAN"),
    _mark(
        "ComfyUI",
        r"PNG text (?:prompt|workflow)|EXIF \w+|comment|XMP exif:UserComment",
        _JSON,
        r'"class_type"\s*:',
        r'"inputs"\s*:',
    ),
    _mark(
        "ComfyUI",
        r"PNG text workflow|EXIF (?:Make|Model|ImageDescription|UserComment)",
        _JSON,
        r'"nodes"\s*:',
        r'"links"\s*:',
    ),
    _mark("InvokeAI", r"PNG text invokeai_(?:metadata|workflow|graph)", _JSON),
    _mark("InvokeAI", r"PNG text sd-metadata", _JSON, r'"app_id"\s*:|"image"\s*:'),
    _mark("InvokeAI", r"PNG text Dream", r"\s-s ?\d", r"\s-S ?\d"),
    _mark("NovelAI", r"(?:PNG text|EXIF) Software", r"\ANovelAI\b"),
    _mark("NovelAI", r"PNG text Title", r"\ANovelAI generated image\Z"),
    _mark(UNNAMED, r"PNG text Title", r"\AAI generated image\Z"),
    _mark(
        "NovelAI",
        r"PNG text Source",
        r"\A(?:NovelAI Diffusion|Stable Diffusion)(?: [A-Z]\S*){0,3} [0-9A-F]{8}\Z",
    ),
    _mark("NovelAI", r"PNG text Comment", _JSON, r'"signed_hash"\s*:|"uc"\s*:', r'"sampler"\s*:'),
    _mark("NovelAI", r"pixels \w+", r'"Software"\s*:\s*"NovelAI|NovelAI Diffusion'),
    _mark(  # where there are no chunks, one JSON of them all
        "NovelAI",
        _FREE,
        _JSON,
        r'"Software"\s*:\s*"NovelAI"|"Source"\s*:\s*"NovelAI Diffusion[^"]{0,30} [0-9A-F]{8}"',
    ),
    _mark("Easy Diffusion", r"PNG text use_stable_diffusion_model"),
    _mark("Hugging Face", r"PNG text hf-job-id", _UUID),
    # The prompt with its parameters, or one that has none; people write sentences and `Client: ...` instead.
    _mark(
        "Midjourney",
        _CAPTION,
        rf" Job ID: {_UUID}\s*\Z",
        r" --[a-z]+\b|\A[^.:;!?|\n]*\w Job ID: ",
    ),
    _mark(
        "Google AI",
        _CREDIT,
        r"(?i)\A\s*(?:made|created|generated) (?:with|by) google(?: generative)? ai\b\W*\Z",
    ),
    _mark("Google AI", _CREDIT, r"(?i)\A\s*edited with google(?: generative)? ai\b\W*\Z", extent="part"),
    _mark(
        "a generator, labelled as GB 45438 asks",
        rf"XMP TC260:AIGC|PNG text AIGC|{_FREE}",
        _JSON,
        r'"Label"\s*:\s*"?[123]\b',
        r'"(?:ContentProducer|ProduceID)"\s*:',
    ),
    # Phones and photographers may be called Gemini or Flux: a camera's name must leave no doubt.
    _mark("Midjourney", r"(?:EXIF|XMP tiff:)\s?(?:Make|Model)", r"(?i)\bmidjourney\b"),
    _mark("Stable Diffusion", r"(?:EXIF|XMP tiff:)\s?(?:Make|Model)", r"(?i)\bstable[ _-]?diffusion\b"),
    _mark("OpenAI", r"(?:EXIF|XMP tiff:)\s?(?:Make|Model)", r"(?i)\bopenai\b|\bdall[ ·•-]e\b"),
    _mark("Midjourney", _PROGRAM, r"(?i)\bmidjourney\b"),
    _mark("Adobe Firefly", _PROGRAM, r"(?i)\badobe[ _]firefly\b|^firefly\b"),
    _mark("OpenAI", _PROGRAM, r"(?i)\bopenai\b|\bdall[ ·•.-]?e\b|\bchatgpt\b|\bgpt-(?:4o|image)|^sora\b"),
    _mark(
        "Microsoft", _PROGRAM, r"(?i)\b(?:bing )?image creator\b|\bmicrosoft[ _]responsible[ _]ai(?![a-z])"
    ),
    # Elsewhere it may be the program that people lay out pages with.
    _mark("Microsoft", r"C2PA (?:ingredient )?softwareAgent", r"(?i)\bmicrosoft designer\b"),
    _mark(UNNAMED, r"C2PA (?:ingredient )?description", r"(?i)\A\s*AI[ -]generated image\W*\Z"),
    _mark(
        "Google AI",
        _PROGRAM,
        # The name of a model whole, as Imagen is an editor of photographs too.
        r"(?i)\bgoogle (?:generative ai|gemini|imagen)\b|\bimagen-\d[\w.]*-(?:[a-z]+-)*generate\b"
        r"|\bgemini[ -]\d|\bnano banana\b",
    ),
    _mark("xAI Grok", _PROGRAM, r"(?i)^xai\b|\bgrok\b"),
    _mark("Stability AI", _PROGRAM, r"(?i)\bstability[ _]?ai\b|\bdreamstudio\b"),
    _mark("Stable Diffusion", _PROGRAM, r"(?i)\bstable[ _-]?diffusion\b|^sdxl\b"),
    _mark("FLUX", _PROGRAM, r"(?i)\bblack[ _]forest[ _]labs\b|\bflux[.-]?[12]\b"),
    _mark("ComfyUI", _PROGRAM, r"(?i)\bcomfyui\b"),
    _mark("InvokeAI", _PROGRAM, r"(?i)\binvoke-?ai\b"),
    _mark("Draw Things", _PROGRAM, r"^Draw Things\b"),
    _mark("Leonardo.Ai", _PROGRAM, r"(?i)\bleonardo\.ai\b"),
    _mark("Ideogram", _PROGRAM, r"(?i)^ideogram\b"),
    _mark("ByteDance", _PROGRAM, r"(?i)\bseedream\b|\bjimeng\b|\bbyteplus_modelark\b"),
    _mark(UNNAMED, r"pixels stealth_\w+"),
    _mark(UNNAMED, SOURCE_TYPE, r"(?i)(?:\A|[/:])trainedAlgorithmicMedia/?\Z"),
    _mark(
        UNNAMED,
        SOURCE_TYPE,
        r"(?i)(?:\A|[/:])(?:compositeWithTrainedAlgorithmicMedia|compositeSynthetic)/?\Z",
        extent="part",
    ),
)

_XAI_SIGNATURE = re.compile(r"Signature: ?[A-Za-z0-9+/=]{64,}")


def traces_of(fields: Iterable[Field]) -> tuple[Trace, ...]:
    """The marks in a file's fields, a trace a field at most, in the order of the fields."""
    given = list(fields)
    in_part = _is_in_part(given)
    found = [trace for field in given if (trace := _trace(field, in_part)) is not None]
    return tuple(dict.fromkeys([*found, *_xai(given)]))


def _is_in_part(fields: Iterable[Field]) -> bool:
    """Whether the file's own source type is that of a picture that was generated in part, and none is of a whole."""
    own = [field for field in fields if re.fullmatch(SOURCE_TYPE, field.where) and not _of_ingredient(field)]
    codes = [(source_code(field.text), field.of_part) for field in own]
    return any(code in OF_PART for code, _ in codes) and (OF_WHOLE, False) not in codes


def _of_ingredient(field: Field) -> bool:
    return field.name.startswith("ingredient ")


def _trace(field: Field, in_part: bool) -> Trace | None:
    for mark in MARKS:
        if mark.where.fullmatch(field.where) is None:
            continue
        matches = [pattern.search(field.text) for pattern in mark.what]
        if all(matches):
            # What an earlier picture says that this one was made from holds for a part of it at most; and a program
            # may have generated what was filled in.
            is_program = re.fullmatch(_PROGRAM, field.where) is not None
            of_part = field.of_part or _of_ingredient(field) or (in_part and is_program)
            extent: Extent = "part" if of_part else mark.extent
            start = matches[-1].start() if matches and matches[-1] else 0
            return Trace(mark.generator, field.where, _excerpt(field.text, start), extent)
    return None


def _excerpt(text: str, start: int) -> str:
    start = 0 if len(text) <= _EXCERPT else start
    part = " ".join(text[start : start + _EXCERPT].split())
    return part + "..." if len(text) > start + _EXCERPT else part


def _xai(fields: list[Field]) -> Iterator[Trace]:
    """xAI's pair: a signature as the description, and the picture's number as the artist."""
    texts = {field.name: field.text for field in fields if field.place == "EXIF"}
    description, artist = texts.get("ImageDescription", ""), texts.get("Artist", "")
    if _XAI_SIGNATURE.match(description) and re.fullmatch(_UUID, artist, re.IGNORECASE):
        yield Trace("xAI Grok", "EXIF ImageDescription", _excerpt(description, 0), "whole")
