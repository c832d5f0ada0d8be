"""The page and its Markdown: what a table says, and nothing that a name could smuggle in."""

import base64
from html.parser import HTMLParser

import pytest

from cameraborn.report.document import Cell, Picture, Report, Section, Table
from cameraborn.report.page import html_page, markdown_page

EVIL = "<script>alert(1)</script> | `x` *y* [z](http://a)\nnext"
TABLE = Table(
    ["name", "AUC"],
    [
        [Cell(EVIL), Cell("0.75", "0.50–1.00", 0.5)],
        [Cell("mean"), Cell("worse", tone="bad")],
    ],
    last_apart=True,
    notes=("A note & more.",),
)
REPORT = Report(
    "Title",
    ["One sentence."],
    [("Pictures", EVIL)],
    [Section("First, of all", "Text.", [TABLE, Picture("auc", "<svg/>", 'what "it" shows')])],
)


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.styles, self.text, self.images = [], [], [], "", []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.styles += [value for name, value in attributes if name in ("style", "class")]
        if tag == "img":
            self.images.append(dict(attributes))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page():
    parsed = Page()
    parsed.feed(html_page(REPORT))
    assert parsed.open == []
    return parsed


def test_names_from_strangers_are_text(page):
    assert "script" not in page.tags
    assert page.text.count(EVIL) == 2  # in the table and in the facts


def test_a_page_holds_its_pictures(page):
    (image,) = page.images
    assert image["alt"] == 'what "it" shows'
    head, _, data = image["src"].partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(data) == b"<svg/>"


def test_tints_tones_and_summaries_are_shown(page):
    assert "background:rgba(86,160,200,0.31)" in page.styles  # half of .62
    assert "tone bad" in page.styles
    assert page.styles.count("apart") == 1
    assert page.styles.count("word") == 3  # the heading and both names


def test_a_link_leads_to_each_section():
    text = html_page(REPORT)
    assert REPORT.sections[0].anchor == "first--of-all"
    assert 'href="#first--of-all"' in text
    assert 'id="first--of-all"' in text


def test_markdown_says_the_same():
    lines = markdown_page(REPORT).splitlines()
    table = lines[lines.index("| name | AUC |") :]
    assert table[1] == "|---|--:|"
    assert table[2] == (
        "| \\<script\\>alert(1)\\</script\\> \\| \\`x\\` \\*y\\* \\[z\\](http://a) next | 0.75 \\[0.50–1.00\\] |"
    )
    assert table[3] == "| mean | worse |"
    assert "A note & more." in lines
    assert '![what "it" shows](figures/auc.png)' in lines
