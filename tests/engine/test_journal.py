"""A journal is gone on with, or refused in one line; never read as something else."""

import pytest

from cameraborn.engine.journal import Journal, Mark
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


class _Interrupted(dict):
    """Ctrl-C between the writing of a line and its being counted."""

    def __setitem__(self, key, value):
        raise KeyboardInterrupt


def test_what_was_written_counts_although_the_interruption_came_before_it_was_counted(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    with Journal(path, {"rate": 1}) as journal:
        with monkeypatch.context() as patched:
            patched.setattr(journal, "_places", _Interrupted())
            with pytest.raises(KeyboardInterrupt):
                journal.add(Mark(1, 2, 3), "found")
        assert journal.recount() == 1
    with Journal(path, {"rate": 1}) as journal:
        _, found = journal.get(Mark(1, 2, 3))
    assert found == "found"
