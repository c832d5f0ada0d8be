"""The report as one HTML page without scripts or anything from elsewhere, and as Markdown."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Sequence
from html import escape

from cameraborn.report.document import Cell, Picture, Report, Section, Table

_GOOD, _BAD = (86, 160, 200), (222, 130, 98)

_CSS = """
:root { --ink: #1d2430; --faint: #636c78; --line: #dfe3e8; --paper: #fff; --band: #f6f7f9; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em; }
h2 { font-size: 20px; margin: 52px 0 6px; padding-top: 14px; border-top: 2px solid var(--ink); }
p { margin: 6px 0 14px; max-width: 74ch; }
.summary { background: var(--band); border-left: 4px solid #0072b2; padding: 14px 22px; margin: 22px 0; }
.summary ul { margin: 0; padding-left: 18px; } .summary li { margin: 4px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; font-size: 13.5px; margin: 18px 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
nav { font-size: 13.5px; color: var(--faint); margin: 16px 0 0; }
nav a { color: #005a8d; text-decoration: none; margin-right: 14px; white-space: nowrap; }
nav a:hover { text-decoration: underline; }
.scroll { overflow-x: auto; margin: 14px 0 6px; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; min-width: 55%; }
th { text-align: right; vertical-align: bottom; font-weight: 600; color: var(--faint); font-size: 12.5px;
  padding: 6px 10px; border-bottom: 1.5px solid var(--ink); }
td { text-align: right; padding: 6px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.word, td.word { text-align: left; white-space: normal; }
td small { display: block; color: var(--faint); font-size: 11.5px; }
tr.apart td { border-top: 1.5px solid var(--ink); font-weight: 600; }
tr.apart small { font-weight: 400; }
.tone { display: inline-block; padding: 1px 9px; border-radius: 9px; font-size: 12.5px; white-space: normal; }
.good { background: #dcecf5; color: #00446b; } .bad { background: #f9e1d7; color: #85300f; }
.noise { background: #eceef1; color: #535c67; text-align: left; }
.note { color: var(--faint); font-size: 12.5px; margin: 4px 0; max-width: 100ch; }
img { max-width: 100%; height: auto; display: block; margin: 14px 0; }
@media print { main { padding: 0; max-width: none; } h2 { break-after: avoid; } tr, img { break-inside: avoid; } }
"""


def html_page(report: Report) -> str:
    """The whole page; it holds its pictures and its style, and asks for nothing."""
    links = "".join(f'<a href="#{escape(s.anchor)}">{escape(s.title)}</a> ' for s in report.sections)
    summary = "".join(f"<li>{escape(sentence)}</li>" for sentence in report.summary)
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in report.facts)
    body = "\n".join(_html_section(section) for section in report.sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{escape(report.title)}</title>
<style>{_CSS}</style>
</head>
<body>
<main>
<h1>{escape(report.title)}</h1>
<nav>{links}</nav>
<div class="summary"><ul>{summary}</ul></div>
<dl>{facts}</dl>
{body}
</main>
</body>
</html>
"""


def _html_section(section: Section) -> str:
    parts = "\n".join(
        _html_table(part) if isinstance(part, Table) else _html_picture(part) for part in section.parts
    )
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    return f'<section id="{escape(section.anchor)}">\n<h2>{escape(section.title)}</h2>\n{text}\n{parts}\n</section>'


def _html_picture(picture: Picture) -> str:
    data = base64.b64encode(picture.svg.encode("utf-8")).decode("ascii")
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(picture.says)}">'


def _html_table(table: Table) -> str:
    head = "".join(
        f'<th{_word(place, table)} scope="col">{escape(name)}</th>'
        for place, name in enumerate(table.columns)
    )
    lines = []
    for number, row in enumerate(table.rows):
        apart = ' class="apart"' if table.last_apart and number == len(table.rows) - 1 else ""
        cells = "".join(_html_cell(cell, _word(place, table)) for place, cell in enumerate(row))
        lines.append(f"<tr{apart}>{cells}</tr>")
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + f"\n</tbody></table></div>{notes}"
    )


def _word(place: int, table: Table) -> str:
    return ' class="word"' if place in table.words else ""


def _html_cell(cell: Cell, word: str) -> str:
    tint = "" if cell.shade is None else f' style="background:{_tint(cell.shade)}"'
    text = f'<span class="tone {cell.tone}">{escape(cell.text)}</span>' if cell.tone else escape(cell.text)
    detail = f"<small>{escape(cell.detail)}</small>" if cell.detail else ""
    return f"<td{word}{tint}>{text}{detail}</td>"


def _tint(shade: float) -> str:
    """From white to blue for good, to red for bad."""
    red, green, blue = _GOOD if shade >= 0 else _BAD
    return f"rgba({red},{green},{blue},{0.62 * min(1.0, abs(shade)):.2f})"


def markdown_page(report: Report) -> str:
    """The same as Markdown; pictures are files in figures/."""
    return "\n".join(_markdown(report))


def _markdown(report: Report) -> Iterator[str]:
    yield f"# {report.title}\n"
    yield from (f"- {_plain(sentence)}" for sentence in report.summary)
    yield ""
    yield from _markdown_rows(["", ""], [[name, fact] for name, fact in report.facts], (0, 1))
    for section in report.sections:
        yield f"## {_plain(section.title)}\n"
        if section.text:
            yield f"{_plain(section.text)}\n"
        for part in section.parts:
            if isinstance(part, Table):
                rows = [[_words(cell) for cell in row] for row in part.rows]
                yield from _markdown_rows(part.columns, rows, part.words)
                yield from (f"{_plain(note)}\n" for note in part.notes)
            else:
                yield f"![{_plain(part.says)}](figures/{part.name}.png)\n"


def _markdown_rows(
    columns: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[int]
) -> Iterator[str]:
    yield "| " + " | ".join(_plain(column) for column in columns) + " |"
    yield "|" + "|".join("---" if place in words else "--:" for place in range(len(columns))) + "|"
    for row in rows:
        yield "| " + " | ".join(_plain(text) for text in row) + " |"
    yield ""


def _words(cell: Cell) -> str:
    return f"{cell.text} [{cell.detail}]" if cell.detail else cell.text


def _plain(text: str) -> str:
    """Text that Markdown takes as text: names come from strangers."""
    text = " ".join(text.split())
    return "".join("\\" + c if c in "\\`*_|<>[]" else c for c in text)
