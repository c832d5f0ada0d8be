"""docs/scale.md says what the measured costs say."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOL = runpy.run_path(str(ROOT / "tools" / "write_scale_docs.py"))
ROW = {"side": 1000.0, "kilobytes": 500.0, "all_ms": 86.4, "decoding_ms": 40.0, "faces_ms": 10.0} | {
    "network_ms": 30.0,
    "condition_ms": 6.0,
    "rest_ms": 0.4,
}


def test_the_page_is_current():
    text = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert TOOL["page"](text, TOOL["Assumptions"](), TOOL["costs"]()) == text, (
        "run: python tools/write_scale_docs.py"
    )
    assert len(re.findall(r"^\| a (?:million|billion) \|", text, re.MULTILINE)) == 2 * len(TOOL["costs"]())


def test_the_stages_are_all_that_a_picture_costs():
    for row in TOOL["costs"]():
        # Medians of parts need not add up to the median of the whole.
        assert sum(row[f"{stage}_ms"] for stage in TOOL["STAGES"]) == pytest.approx(row["all_ms"], rel=0.1)


def test_needs_follow_from_the_costs():
    given = TOOL["Assumptions"](
        use=0.5, cores=4, core_hour=0.1, memory=1024, gb_month=0.03, get_1000=0.001, kept_days=10
    )
    need = TOOL["needs"](ROW, 1e7, given)
    # 1e7 x 0.0864 s are 864,000 s of work a day: 10 cores, 20 at half use.
    assert need == pytest.approx(
        {
            "cores": 20,
            "machines": 5,
            "memory_gb": 20,
            "read_gbit_s": 5000 * 8 / 86_400,
            "pictures_tb": 50,
            "rows_gb": 1e7 * TOOL["ROW_BYTES"] / 1e9,
            "compute_usd": 48,
            "storage_usd": 50,
            "requests_usd": 10,
        }
    )
    assert TOOL["needs"](ROW, 1e7 + 1e4, given)["machines"] == 6


def test_the_largest_stage_is_named():
    assert list(TOOL["stage_table"]([ROW]))[-1].endswith("| decoding, 46 % |")
