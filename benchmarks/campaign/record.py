"""One row of benchmarks/results/campaign.csv for a scored run.

python benchmarks/campaign/record.py --work WORK --run NAME --look 256/96x9 --id m1-a --recipe "..." --data "..."
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).resolve().parents[1] / "results" / "campaign.csv"
FAMILIES = ("gan", "sd12", "sd3flux", "gpt", "score")
TRACKS = ("stylegan2-512", "sd21-768", "sdxl-470", "ldm-256")
DEGRADATIONS = ("jpeg75", "half", "webp80")
COLUMNS = (
    *("id", "recipe", "network", "seed", "cpu_minutes", "steps", "data", "left_out", "patches_at_test"),
    *(f"lofo_{family}" for family in FAMILIES),
    "lofo_mean",
    *(f"lofo_as_is_{family}" for family in FAMILIES),
    *(f"lofo_as_is_{family}_balanced" for family in FAMILIES),
    *(f"lofo_as_is_{family}_flagged" for family in FAMILIES),
    *(f"dev_{track}" for track in TRACKS),
    *(f"dev_{track}_flagged" for track in TRACKS),
    *(f"dev_{track}_alarms" for track in TRACKS),
    *(f"dev_{track}_flagged_large" for track in TRACKS),
    *(f"dev_{track}_alarms_large" for track in TRACKS),
    *(f"dev_{name}_mean" for name in DEGRADATIONS),
    *("alarms_by_source", "sharpness_auc_training", "correlation_sharpness"),
)


def row_of(summary: dict[str, float], left_out: list[str]) -> dict[str, object]:
    """The figures of a summary under the columns' names."""
    row: dict[str, object] = {}
    for family in left_out:
        row[f"lofo_{family}"] = summary[f"lottery_{family}"]
        row[f"lofo_as_is_{family}"] = summary[f"as-is_{family}"]
        row[f"lofo_as_is_{family}_balanced"] = summary.get(f"as-is_{family}_balanced", "")
        row[f"lofo_as_is_{family}_flagged"] = summary[f"as-is_{family}_flagged"]
    if left_out:
        row["lofo_mean"] = summary["lofo"]
    for track in TRACKS:
        row[f"dev_{track}"] = summary.get(f"dev_as-is_{track}", "")
        row[f"dev_{track}_flagged"] = summary.get(f"dev_as-is_{track}_flagged", "")
        row[f"dev_{track}_flagged_large"] = summary.get(f"dev_as-is_{track}_flagged_large", "")
        row[f"dev_{track}_alarms_large"] = summary.get(f"dev_as-is_{track}_alarms_large", "")
        row[f"dev_{track}_alarms"] = summary.get(f"dev_as-is_{track}_alarms", "")
    for name in DEGRADATIONS:
        found = [summary[key] for track in TRACKS if (key := f"dev_{name}_{track}") in summary]
        row[f"dev_{name}_mean"] = round(float(np.mean(found)), 3) if found else ""
    alarms = [f"{key[7:]} {value:.3f}" for key, value in summary.items() if key.startswith("alarms_")]
    return row | {
        "alarms_by_source": "; ".join(alarms),
        "correlation_sharpness": summary.get("lottery_corr_sharpness", summary["as-is_corr_sharpness"]),
    }


def main() -> None:
    """Append."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--look", required=True, help="a key of summary.json, such as 256/128x4 or mean")
    parser.add_argument("--id", required=True)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--data", default="")
    options = parser.parse_args()
    folder = options.work / "runs" / options.run
    made = json.loads((folder / "options.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())[options.look]
    log = [line.split(",") for line in (folder / "log.csv").read_text().splitlines()]
    row = row_of(summary, made["leave_out"]) | {
        "id": options.id,
        "recipe": options.recipe,
        "network": made["network"],
        "seed": made["seed"],
        "cpu_minutes": log[-1][1],
        "steps": log[-1][0],
        "data": options.data,
        "left_out": " ".join(made["leave_out"]),
        "patches_at_test": options.look,
        "sharpness_auc_training": round(float(np.mean([float(line[4]) for line in log])), 3),
    }
    append(row)


def append(row: dict[str, object]) -> None:
    """Add a row, and the header to a new file."""
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
