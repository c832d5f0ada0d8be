"""The papers' tables and figures, each from one call."""

import csv
import shutil

import numpy as np
import pytest

from cameraborn.report import studies
from cameraborn.report.results import Results


def test_a_table_of_the_papers_keeps_the_other_detectors_in_the_report(tmp_path, finished):
    shutil.copytree(finished.output, tmp_path / "out")
    config = finished.model_copy(update={"output": tmp_path / "out", "cache": None})
    before = Results(config.output).record.detectors
    studies.table2(config, jobs=1)
    assert Results(config.output).record.detectors == before


@pytest.mark.parametrize("study", ["table1", "table2", "table3", "figure4", "figure5"])
def test_the_papers_tables_come_out_of_one_call(study, finished):
    paths = getattr(studies, study)(finished, jobs=1)
    assert [path.suffix for path in paths] == [".csv", ".png"]
    with paths[0].open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["detector"].removesuffix(" (aigfd)") for row in rows} == {"tiny", "<b>whole|"}
    if study == "figure4":
        assert [row["components"] for row in rows[:3]] == ["1", "2", "64"]
        assert [bool(row["problem"]) for row in rows[:3]] == [False, False, True]
        fitted = [float(row["fit"]) for row in rows[:2]]
        bic = 5 * np.log(16) / 16 - 2 * fitted[0]  # one Gaussian in two dimensions: 2 means, 3 covariances
        assert float(rows[0]["bic"]) == pytest.approx(bic, abs=1e-3)
