"""Tables that the site renders from the results' CSVs, so that no figure is copied by hand.

A page asks for one by a comment, alone in its line: `<!-- table: NAME -->`.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_ASKED = re.compile(r"^<!-- table: ([\w./-]+) -->$", re.MULTILINE)
Line = dict[str, str]
# What the kinds of the development set are called; others have a name of their own.
NAMES = {
    ("generated", "ldm-256"): "LDM, face super-resolution",
    ("generated", "sd21-768"): "Stable Diffusion 2.1",
    ("generated", "sdxl-470"): "SDXL",
    ("generated", "stylegan2-512"): "StyleGAN2",
    ("photo", "ldm-256"): "FFHQ, prepared as LDM's",
    ("photo", "sd21-768"): "FFHQ, prepared as Stable Diffusion 2.1's",
    ("photo", "sdxl-470"): "FFHQ, prepared as SDXL's",
    ("photo", "stylegan2-512"): "FFHQ, prepared as StyleGAN2's",
}


def filled(text: str) -> str:
    """A page with its tables.

    Raises:
        KeyError: it asks for a table that nobody makes.
    """
    return _ASKED.sub(lambda match: _table(match[1]), text)


def read(name: str) -> list[Line]:
    """The lines of a CSV of the results."""
    with (RESULTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def results() -> list[str]:
    """Every CSV, named from the folder of results."""
    return sorted(path.relative_to(RESULTS).as_posix() for path in RESULTS.rglob("*.csv"))


def table(head: Iterable[str], lines: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    names = list(head)
    rows = [names, ["---"] * len(names), *([str(cell) for cell in line] for line in lines)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


def percent(line: Line, share: str, low: str, high: str) -> str:
    """A share with its 95 % interval, in percent; a dash where nothing was judged."""
    if not line[share]:
        return "–"
    value, least, most = (f"{100 * float(line[name]):.0f}" for name in (share, low, high))
    return f"{value} ({least} to {most})"


def photographs() -> str:
    """Photographs flagged by the bundle that ships, source by source."""
    return _headline("photo", "photographs", "flagged")


def generators() -> str:
    """Generated faces found by the bundle that ships, generator by generator."""
    return _headline("generated", "generated faces", "found")


def _headline(label: str, what: str, how: str) -> str:
    lines = [line for line in read("headline.csv") if line["label"] == label]
    lines.sort(key=lambda line: (not int(line["judged"]), -float(line["flagged_at_5"])))
    return table((what, "judged", f"{how} at 5 %", f"{how} at 1 %"), map(headline_cells, lines))


def headline_cells(line: Line) -> list[str]:
    """Which faces, how many of them were judged, and the shares that are flagged, in percent."""
    name = NAMES.get((line["label"], line["kind"]), line["kind"])
    judged = f"{line['judged']} of {line['faces']}"
    if not int(line["judged"]):
        return [name, judged, "–", "–"]
    shares = [percent(line, f"flagged_at_{rate}", f"low_at_{rate}", f"high_at_{rate}") for rate in (5, 1)]
    return [name, judged, *shares]


def processed() -> str:
    """Photographs flagged after each degradation, of every table of false alarms that a benchmark wrote."""
    return "\n".join(_processed()) or "No such table.\n"


def _processed() -> Iterator[str]:
    head = ("detector", "source", "after", "judged", "flagged at 5 %")
    for name in results():
        if not name.endswith("false_alarms.csv"):
            continue
        lines = [line for line in read(name) if line["kind"] == "bundle" and line["rate"]]
        lines.sort(key=lambda line: (line["detector"], line["source"], -float(line["rate"])))
        named = [
            tuple(line[column] for column in ("detector", "source", "degradation", "judged"))
            for line in lines
        ]
        shares = [percent(line, "rate", "rate_low", "rate_high") for line in lines]
        cells = ((*names, share) for names, share in zip(named, shares, strict=True))
        yield folded(name, table(head, cells))


def folded(title: str, text: str, language: str = "") -> str:
    """A note that opens with a click: Markdown, or code of a language."""
    body = f"```{language}\n{text.rstrip()}\n```\n" if language else text
    return f'??? note "{title}"\n\n' + "".join(f"    {line}\n" for line in body.splitlines())


def made_by(name: str) -> str:
    """How many rows a CSV has, and the commands that made them."""
    lines = read(name)
    commands = dict.fromkeys(line["command"] for line in lines if line.get("command"))
    count = f"{len(lines)} rows" if len(lines) != 1 else "1 row"
    link = f"[{name}](../benchmarks/results/{name})"
    if not commands:
        return f"{link}: {count}.\n"
    how_many = "The command" if len(commands) == 1 else f"The {len(commands)} commands"
    return f"{link}: {count}.\n\n" + folded(f"{how_many} that made it", "\n".join(commands), "text")


_TABLES: dict[str, Callable[[], str]] = {
    "photographs": photographs,
    "generators": generators,
    "processed-photographs": processed,
}


def _table(name: str) -> str:
    return made_by(name) if name.endswith(".csv") else _TABLES[name]()
