"""Tables: the CSVs hold to the byte what they held before, and the figures for people are the same figures."""

from pathlib import Path

import pytest

from cameraborn.report import tables
from cameraborn.report.analysis import Analysis
from cameraborn.report.results import Results

from .made_run import made_run

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.csv"))


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    return Analysis(Results(made_run(tmp_path_factory.mktemp("made")).output))


def test_the_csvs_are_to_the_byte_what_they_were(analysis, tmp_path):
    """Written before cells and CSV had one list of columns, from the same scores."""
    written = tables.write_tables(analysis, tmp_path)
    assert sorted(path.name for path in written) == [path.name for path in GOLDEN]
    for path in GOLDEN:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
