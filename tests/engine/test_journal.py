"""A journal is gone on with, or refused in one line; never read as something else."""

import pytest

from cameraborn.engine.journal import Journal
from cameraborn.errors import JournalError


@pytest.mark.parametrize("line", [b'{"settings": {', b'{"settings": [1]}', b'{"settings": \xff}'])
def test_settings_that_are_damaged(tmp_path, line):
    (tmp_path / "journal").write_bytes(line + b"\n")
    with (
        pytest.raises(JournalError, match="not the journal of an interrupted run"),
        Journal(tmp_path / "journal", {"rate": 1}),
    ):
        pass
    assert (tmp_path / "journal").read_bytes() == line + b"\n"
