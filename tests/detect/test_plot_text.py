"""Names in plots: no font is asked for glyphs that it lacks, no byte or formula is believed."""

import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from cameraborn.detect.plot_text import Pen, Script, clipped, drawable, kept_apart

OWN = get_font(findfont(FontProperties())).get_charmap()


def drawn(text):
    """Draw it, with every warning an error: matplotlib warns of glyphs that it draws as boxes."""
    figure = Figure()
    canvas = FigureCanvasAgg(figure)
    figure.text(0.1, 0.5, **drawable(text), weight="bold")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canvas.draw()
    return drawable(text)["s"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("portrait.jpg", "portrait.jpg"),
        ("Zoë Müller.jpg", "Zoë Müller.jpg"),
        ("p\udcff.jpg", "p\\udcff.jpg"),  # a byte that is no UTF-8
        ("a\nb\x1b[31m.jpg", "a\\nb\\x1b[31m.jpg"),
        ("cost $5$ \\frac.jpg", "cost $5$ \\frac.jpg"),
    ],
)
def test_names_are_drawn(name, shown):
    assert drawn(name) == shown


@pytest.mark.parametrize("name", ["人物.jpg", "얼굴.png", "顔写真.webp", "😀.jpg", "\U00012000.jpg"])
def test_other_scripts_are_drawn_where_a_font_has_them_and_else_escaped(name):
    covered = set(OWN)
    for font in fontManager.ttflist:
        if font.style == "normal" and not font.name.startswith(("cm", "STIX", "Last Resort")):
            covered |= set(get_font(font.fname).get_charmap())
    expected = "".join(c if ord(c) in covered else c.encode("unicode_escape").decode("ascii") for c in name)
    assert drawn(name) == expected


def test_a_glyph_that_another_font_has_is_taken_from_it():
    other = next(
        font for font in fontManager.ttflist if font.name == "STIXGeneral" and font.style == "normal"
    )
    glyph = next(
        chr(code)
        for code in sorted(get_font(other.fname).get_charmap())
        if code not in OWN and chr(code).isprintable()
    )
    assert drawn(f"a{glyph}b") == f"a{glyph}b"
    assert len(drawable(glyph)["family"]) == 2


def test_long_names_keep_both_ends():
    assert clipped("short.jpg", 9) == "short.jpg"
    assert clipped("a" * 50 + "b" * 50, 11) == "aaaaa…bbbbb"
    assert [clipped("abcdef", width) for width in (1, 2, 3)] == ["…", "a…", "a…f"]


@pytest.fixture
def pen():
    figure = Figure()
    FigureCanvasAgg(figure)
    return Pen(figure, 10)


@pytest.mark.parametrize("text", ["", "short", "many words in a row " * 30, "W" * 500, "\U00012000" * 90])
@pytest.mark.parametrize("room", [1.5, 3.0])
def test_texts_fit_into_their_room(pen, text, room):
    for made in (pen.shortened(text, room), pen.wrapped(text, room, lines=2)):
        lines = made["s"].split("\n")
        assert len(lines) <= 2
        assert all(pen.width(line, Script.of(line)) <= room for line in lines)
    whole = pen.width(text, Script.of(text)) <= 0.98 * room
    assert ("…" not in pen.shortened(text, room)["s"]) == whole


def test_escapes_stay_whole_when_a_name_is_shortened(pen):
    """Half an escape names no character."""
    shown = pen.shortened("\U00012000" * 60 + ".jpg", 4.0)["s"]
    begin, end = shown.split("…")
    assert begin == "\\U00012000" * (len(begin) // 10)
    assert end == "\\U00012000" * (len(end) // 10) + ".jpg"


def test_lines_break_between_words(pen):
    text = "one two three four five six seven eight nine ten eleven twelve"
    made = pen.wrapped(text, 1.5, lines=9)["s"]
    assert made.replace("\n", " ") == text
    assert made.count("\n") > 1
    cut = pen.wrapped(text, 1.5, lines=2)["s"]
    assert cut.endswith("…")
    assert text.startswith(cut[:-1].replace("\n", " "))


def test_a_name_that_runs_from_right_to_left_turns_nothing_around():
    """Arabic is drawn left of what follows it, as in `name, face 0`."""
    figure = Figure(figsize=(4, 1), dpi=100)
    canvas = FigureCanvasAgg(figure)

    def inked(text):
        figure.clear()
        figure.text(0, 0.4, **drawable(text) | {"s": text}, fontsize=12)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., 0] < 128

    name = "\u0627\u0644\u0639.jpg"
    assert kept_apart("photo-1.jpg") == "photo-1.jpg"
    line, alone = inked(f"{kept_apart(name)}, face 0"), inked(kept_apart(name))
    width = int(np.flatnonzero(alone.any(axis=0))[-1]) - 2
    np.testing.assert_array_equal(line[:, :width], alone[:, :width])


def test_what_a_family_has_in_one_weight_alone_is_no_glyph():
    """A heading is bold: of STIXGeneral, which matplotlib brings, that lacks the hiragana of the other weight."""
    assert drawn("photo の.jpg") in ("photo の.jpg", "photo \\u306e.jpg")
