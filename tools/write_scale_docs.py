"""Write the tables of docs/scale.md from the measured costs of a picture: python tools/write_scale_docs.py

Prices and machines are assumptions, given as options; the page names those that it was written with.
"""

import argparse
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE, COSTS = ROOT / "docs" / "scale.md", ROOT / "benchmarks" / "results" / "picture_cost.csv"
STAGES = ("decoding", "faces", "network", "condition", "rest")
A_DAY = 86_400  # seconds
ROW_BYTES = 150  # of a row in a Parquet part, compressed


@dataclass(frozen=True)
class Assumptions:
    """What is not measured.

    Attributes:
        use: share of the time that cores are at work.
        cores: of a machine.
        core_hour: dollars for a core and an hour.
        memory: MiB that a worker has at most.
        gb_month: dollars for a gigabyte of object storage and a month.
        get_1000: dollars for a thousand requests.
        kept_days: days that pictures stay in the storage.
    """

    use: float = 0.7
    cores: int = 32
    core_hour: float = 0.04
    memory: int = 2048
    gb_month: float = 0.023
    get_1000: float = 0.0004
    kept_days: int = 30


def costs(path: Path = COSTS) -> list[dict[str, float]]:
    """The measured costs, a row a size of picture."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: float(row[name]) for name in ("side", "kilobytes", *(f"{s}_ms" for s in (*STAGES, "all")))}
            for row in csv.DictReader(file)
        ]


def stage_table(rows: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """Milliseconds of each stage, and which takes most."""
    yield (
        "| side, px | file, kB | "
        + " | ".join(f"{stage}, ms" for stage in STAGES)
        + " | all, ms | most goes to |"
    )
    yield "|---" * (len(STAGES) + 4) + "|"
    for row in rows:
        largest = max(STAGES, key=lambda stage: row[f"{stage}_ms"])
        share = row[f"{largest}_ms"] / row["all_ms"]
        cells = [f"{row['side']:.0f}", f"{row['kilobytes']:,.0f}"]
        cells += [f"{row[f'{stage}_ms']:.1f}" for stage in (*STAGES, "all")]
        yield "| " + " | ".join([*cells, f"{largest}, {100 * share:.0f} %"]) + " |"


def needs(row: Mapping[str, float], pictures: float, given: Assumptions) -> dict[str, float]:
    """What so many pictures a day of this size need."""
    cores = pictures * row["all_ms"] / 1000 / A_DAY / given.use
    gigabytes = pictures * row["kilobytes"] / 1e6
    return {
        "cores": cores,
        "machines": -(-cores // given.cores),
        "memory_gb": cores * given.memory / 1024,
        "read_gbit_s": gigabytes * 8 / A_DAY,
        "pictures_tb": gigabytes * given.kept_days / 1000,
        "rows_gb": pictures * ROW_BYTES / 1e9,
        "compute_usd": cores * 24 * given.core_hour,
        "storage_usd": gigabytes * given.kept_days * given.gb_month / 30,
        "requests_usd": pictures / 1000 * given.get_1000,
    }


def needs_table(rows: Sequence[Mapping[str, float]], given: Assumptions) -> Iterator[str]:
    """The same for a million and a billion."""
    yield (
        "| pictures a day | side, px | cores | machines | memory, GB | read, Gbit/s | pictures kept, TB | "
        "rows a day, GB | cores, $ a day | storage, $ a day | requests, $ a day | $ for a million pictures |"
    )
    yield "|---" * 12 + "|"
    for pictures, words in ((1e6, "a million"), (1e9, "a billion")):
        for row in rows:
            need = needs(row, pictures, given)
            total = need["compute_usd"] + need["storage_usd"] + need["requests_usd"]
            cells = [words, f"{row['side']:.0f}", *(rounded(value) for value in need.values())]
            yield "| " + " | ".join([*cells, rounded(total / pictures * 1e6)]) + " |"


def assumed(given: Assumptions) -> str:
    """The assumptions as a sentence."""
    return (
        f"Assumed: cores are at work {100 * given.use:.0f} % of the time; a machine has {given.cores} cores; a core "
        f"costs ${given.core_hour:g} an hour; a worker, which is one core, has {given.memory / 1024:g} GB of memory; "
        f"storage costs ${given.gb_month:g} a gigabyte and month, and ${given.get_1000:g} for a thousand requests; "
        f"pictures stay {given.kept_days} days; a row in a part takes {ROW_BYTES} bytes."
    )


def rounded(value: float) -> str:
    """Two digits, which is more than prices are good for."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def page(text: str, given: Assumptions, rows: Sequence[Mapping[str, float]]) -> str:
    """The page with its tables written anew."""
    parts = {
        "stages": "\n".join(stage_table(rows)),
        "needs": "\n".join([assumed(given), "", *needs_table(rows, given)]),
    }
    for name, part in parts.items():
        text = re.sub(
            rf"<!-- {name} -->.*?<!-- /{name} -->",
            f"<!-- {name} -->\n{part}\n<!-- /{name} -->",
            text,
            flags=re.DOTALL,
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in vars(Assumptions()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    given = Assumptions(**vars(parser.parse_args()))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), given, costs()), encoding="utf-8")


if __name__ == "__main__":
    main()
