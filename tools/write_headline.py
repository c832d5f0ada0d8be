"""Write the tables of what the bundle that ships finds and flags, from CSVs: python tools/write_headline.py

They stand in the README, in the bundle's card and in docs/default_bundle.md. `benchmarks/headline.py` and
`benchmarks/one_class.py` write the CSVs.
"""

import re
from collections.abc import Callable
from pathlib import Path

from site_tables import NAMES, Line, percent, read, table

ROOT = Path(__file__).resolve().parents[1]
LEAST = 20  # faces of a set that are judged: of fewer an interval says next to nothing
PLAIN = {
    "png-delivered": "portraits delivered as PNG",
    "straight from a camera, human yes": "straight from a camera",
}
TRACKS = ("stylegan2-512", "sd21-768", "sdxl-470", "ldm-256")


def judged() -> list[Line]:
    """The sets of which enough faces were judged."""
    return [line for line in read("headline.csv") if int(line["judged"]) >= LEAST]


def readme() -> str:
    """Generated faces found, and photographs flagged."""
    parts = (("generated", "generated faces", "found"), ("photo", "photographs", "flagged"))
    return "\n".join(
        table(
            (what, "judged", f"{how} at 5 %", f"{how} at 1 %"),
            [
                [NAMES.get((label, line["kind"]), PLAIN.get(line["kind"], line["kind"])), line["judged"]]
                + [
                    percent(line, f"flagged_at_{rate}", f"low_at_{rate}", f"high_at_{rate}")
                    for rate in (5, 1)
                ]
                for line in judged()
                if line["label"] == label
            ],
        )
        for label, what, how in parts
    )


def card() -> str:
    """Every set, fakes before photographs."""
    rows = []
    for line in sorted(judged(), key=lambda line: (line["set"], line["kind"], line["label"])):
        label = "generated" if line["label"] == "generated" else "photographs"
        share, low, high = (
            f"{100 * float(line[f'{name}_at_5']):.0f} %" for name in ("flagged", "low", "high")
        )
        rest = f"{100 * float(line['flagged_at_1']):.0f} %"
        rows.append([f"{line['kind']} ({label})", line["judged"], f"{share} ({low} to {high})", rest])
    return table(("set", "judged", "flagged at 5 %", "at 1 %"), rows)


def bundle_page() -> str:
    """Each track's AUC, and what is flagged of its two classes."""
    flagged = {(line["kind"], line["label"]): float(line["flagged_at_5"]) for line in judged()}
    aucs = {line["track"]: line for line in read("one_class.csv") if not line["detector"].startswith("cue")}
    rows = []
    for track in TRACKS:
        auc, low, high = (f"{float(aucs[track][name]):.2f}" for name in ("auc", "auc_low", "auc_high"))
        shares = (f"{100 * flagged[track, label]:.0f} %" for label in ("generated", "photo"))
        rows.append([track, f"{auc} ({low} to {high})", *shares])
    return table(("track", "AUC (95 %)", "generated flagged at 5 %", "photographs flagged at 5 %"), rows)


# Of each page: where its tables stand, and what they are.
PAGES: dict[str, tuple[str, Callable[[], str]]] = {
    "README.md": (r"(?<=<!-- headline -->\n).*?(?=<!-- /headline -->)", readme),
    "models/default/CARD.md": (r"^\| set \| judged \|.*?\n(?=\n)", card),
    "docs/default_bundle.md": (r"^\| track \| AUC \(95 %\).*?\n(?=\n)", bundle_page),
}


def page(name: str) -> str:
    """A page with its tables as the CSVs have them.

    Raises:
        ValueError: it has no place for them, or several.
    """
    place, tables = PAGES[name]
    text, count = re.subn(
        place, lambda _: tables(), (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    if count != 1:
        raise ValueError(f"{name}: {count} places for the tables of the results, and not one")
    return text


if __name__ == "__main__":
    for name in PAGES:
        (ROOT / name).write_text(page(name), encoding="utf-8")
