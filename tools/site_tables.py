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
    lines = [line for line in read("headline.csv") if line["label"] == "photo"]
    return _headline(lines)


def generators() -> str:
    """Generated faces found by the bundle that ships, generator by generator."""
    return _headline([line for line in read("headline.csv") if line["label"] == "generated"])


def _headline(lines: list[Line]) -> str:
    head = ("set", "kind", "faces", "judged", "flagged at 5 %, percent", "flagged at 1 %, percent")
    worst_first = sorted(lines, key=lambda line: (not int(line["judged"]), -float(line["flagged_at_5"])))
    return table(
        head,
        (
            (
                line["set"], line["kind"], line["faces"], line["judged"],
                *(
                    percent(line, f"flagged_at_{rate}", f"low_at_{rate}", f"high_at_{rate}")
                    if int(line["judged"]) else "–"
                    for rate in (5, 1)
                ),
            )
            for line in worst_first
        ),
    )  # fmt: skip


def processed() -> str:
    """Photographs flagged after each degradation, of every table of false alarms that a benchmark wrote."""
    return "\n".join(_processed()) or "No such table.\n"


def _processed() -> Iterator[str]:
    head = ("detector", "source", "after", "judged", "flagged at 5 %, percent")
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
