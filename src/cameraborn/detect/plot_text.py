"""Texts from strangers as a plot can show them: of any length, and in any script, or none."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypedDict
from unicodedata import bidirectional

# Matplotlib brings these for formulas and for boxes; their glyphs are not at Unicode's places, or say nothing.
_NO_TEXT = ("cm", "STIXSize", "STIXNonUnicode", "Last Resort")
_SLACK = 0.98  # PDF and SVG set texts a little wider than the pixels that they are measured by


class Drawable(TypedDict):
    """The arguments of matplotlib's texts that depend on what is written."""

    s: str
    family: list[str]
    parse_math: bool


@dataclass(frozen=True)
class Script:
    """Fonts of this system for a text, and its characters that none of them has. Matplotlib must be installed."""

    families: list[str]
    missing: set[str]

    @classmethod
    def of(cls, text: str) -> Script:
        """The fonts that `text` needs, as few as have its glyphs."""
        from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

        own = get_font(findfont(FontProperties())).family_name
        families = [own]
        missing = {c for c in text if c.isprintable() and ord(c) not in _glyphs_of(own)}
        for font in fontManager.ttflist if missing else ():
            if font.style == "normal" and font.name not in families and not font.name.startswith(_NO_TEXT):
                found = {c for c in missing if ord(c) in _glyphs_of(font.name)}
                if found:
                    families.append(font.name)
                    missing -= found
            if not missing:
                break
        return cls(families, missing)

    def shown(self, text: str) -> str:
        """`text` with an escape, `\\u4eba`, for each character that cannot be drawn."""
        return "".join(c if c.isprintable() and c not in self.missing else _escape(c) for c in text)

    def drawable(self, *lines: str) -> Drawable:
        """These lines for a plot."""
        shown = "\n".join(map(self.shown, lines))
        return {"s": shown, "family": self.families, "parse_math": False}  # a name with two $ is no formula


@dataclass(frozen=True)
class Pen:
    """Fits texts of one size, in points, and weight into a figure whose canvas is Agg's; widths are in inches."""

    figure: Any  # matplotlib's, which is imported late
    size: float
    weight: str = "normal"

    def width(self, text: str, script: Script) -> float:
        """How wide one line becomes."""
        from matplotlib.font_manager import FontProperties

        font = FontProperties(family=script.families, size=self.size, weight=self.weight)
        pixels, _, _ = self.figure.canvas.get_renderer().get_text_width_height_descent(
            script.shown(text), font, False
        )
        return float(pixels) / float(self.figure.dpi)

    def shortened(self, text: str, room: float) -> Drawable:
        """One line that is `room` wide at most; a long one keeps its beginning and its end."""
        script = Script.of(text + "…")
        most = _most(len(text), lambda n: self.width(clipped(text, n), script) <= room * _SLACK)
        return script.drawable(clipped(text, most))

    def wrapped(self, text: str, room: float, *, lines: int, joint: str = " ") -> Drawable:
        """At most so many lines, each `room` wide at most, with an ellipsis for what is left out.

        Lines break at a `joint`; what is wider than a line without one breaks anywhere.
        """
        script = Script.of(text + "…")
        words, made = text.split(joint), list[str]()

        def fits(line: str) -> bool:
            return self.width(line, script) <= room * _SLACK

        while words and len(made) < lines:
            line, words = _first_line(words, joint, fits)
            made.append(line)
        if words:
            last = made[-1]
            made[-1] = last[: _most(len(last), lambda n: fits(last[:n] + "…"))].rstrip() + "…"
        return script.drawable(*made)


@contextmanager
def fonts_unreported() -> Iterator[None]:
    """Matplotlib reports each font that has not the weight that is asked for, of which nobody can make use."""
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def drawable(text: str) -> Drawable:
    """`text` with fonts of this system that have its glyphs; what none has is written as an escape, `\\u4eba`.

    Matplotlib must be installed.
    """
    return Script.of(text).drawable(text)


def kept_apart(text: str) -> str:
    """`text` as it stands in a line from left to right: Arabic or Hebrew in it turns nothing around that is beside it.

    By isolates (Unicode, annex 9), where matplotlib knows about directions, which it does from 3.11 on.
    """
    from matplotlib import ft2font

    turns = any(bidirectional(c) in {"R", "AL"} for c in text)
    return f"\u2066{text}\u2069" if turns and hasattr(ft2font, "__libraqm_version__") else text


def clipped(text: str, width: int) -> str:
    """`text` in so many characters at most; a long one keeps its beginning and its end."""
    if len(text) <= width:
        return text
    end = max(0, width - 1) // 2
    return f"{text[: max(0, width - 1 - end)]}…{text[len(text) - end :]}"


def _first_line(words: list[str], joint: str, fits: Callable[[str], bool]) -> tuple[str, list[str]]:
    """As many words as fit, or as much of the first one; and what is left."""
    count = _most(len(words), lambda n: fits(joint.join(words[:n])))
    if count:
        return joint.join(words[:count]), words[count:]
    first, *others = words
    cut = max(1, _most(len(first), lambda n: fits(first[:n])))
    return first[:cut], [first[cut:], *others]


def _most(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest number from 0 to `limit` that fits, where all below it do."""
    bound = 1
    while bound < limit and fits(bound):  # to measure a long text takes a while
        bound *= 2
    return bisect_left(range(1, min(bound, limit) + 1), True, key=lambda n: not fits(n))


@lru_cache(maxsize=512)
def _glyphs_of(family: str) -> frozenset[int]:
    """The code points that a family has in both weights: a heading is written in the bold one."""
    from matplotlib.font_manager import FontProperties, findfont

    files = {findfont(FontProperties(family=family, weight=weight)) for weight in ("normal", "bold")}
    return frozenset.intersection(*map(_glyphs, files))


@lru_cache(maxsize=512)
def _glyphs(file: str) -> frozenset[int]:
    """The code points of a font; it takes a while to list them."""
    from matplotlib.font_manager import get_font

    return frozenset(get_font(file).get_charmap())


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
