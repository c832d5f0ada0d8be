"""Texts from strangers as a plot can show them: file names need be neither text nor in a script that a font has."""

from __future__ import annotations

from typing import TypedDict

# Matplotlib brings these for formulas and for boxes; their glyphs are not at Unicode's places, or say nothing.
_NO_TEXT = ("cm", "STIXSize", "STIXNonUnicode", "Last Resort")


class Drawable(TypedDict):
    """The arguments of matplotlib's texts that depend on what is written."""

    s: str
    family: list[str]
    parse_math: bool


def drawable(text: str) -> Drawable:
    """`text` with fonts of this system that have its glyphs; what none has is written as an escape, `\\u4eba`.

    Matplotlib must be installed.
    """
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

    own = get_font(findfont(FontProperties()))
    families = [own.family_name]
    missing = {c for c in text if c.isprintable() and ord(c) not in own.get_charmap()}
    for font in fontManager.ttflist if missing else ():
        if font.style == "normal" and font.name not in families and not font.name.startswith(_NO_TEXT):
            found = {c for c in missing if ord(c) in get_font(font.fname).get_charmap()}
            if found:
                families.append(font.name)
                missing -= found
        if not missing:
            break
    shown = "".join(c if c.isprintable() and c not in missing else _escape(c) for c in text)
    return {"s": shown, "family": families, "parse_math": False}  # a name with two $ is no formula


def clipped(text: str, width: int) -> str:
    """`text` in so many characters at most; a long one keeps its beginning and its end."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[-end:]}"


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
