"""Names in plots: no font is asked for glyphs that it lacks, no byte or formula is believed."""

import warnings

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from cameraborn.detect.plot_text import clipped, drawable

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
