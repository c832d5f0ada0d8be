"""A journal is gone on with, or refused in one line; never read as something else."""

import pytest

from cameraborn.engine.journal import Journal, Mark
from cameraborn.errors import JournalError
from tests.command import posix


@pytest.mark.parametrize("line", [b'{"settings": {', b'{"settings": [1]}', b'{"settings": \xff}'])
def test_settings_that_are_damaged(tmp_path, line):
    (tmp_path / "journal").write_bytes(line + b"\n")
    with (
        pytest.raises(JournalError, match="not the journal of an interrupted run"),
        Journal(tmp_path / "journal", {"rate": 1}),
    ):
        pass
    assert (tmp_path / "journal").read_bytes() == line + b"\n"


@pytest.mark.parametrize("text", ['{"mine": 1}', "what somebody cares for", "cafe"])
@pytest.mark.parametrize("settings", [None, {"rate": 1}])
def test_a_text_of_others_is_not_taken_for_a_line_that_was_cut_off(tmp_path, text, settings):
    (tmp_path / "journal").write_text(text)
    with pytest.raises(JournalError, match="not the journal"), Journal(tmp_path / "journal", settings):
        pass
    assert (tmp_path / "journal").read_text() == text


@pytest.mark.parametrize("settings", [None, {"rate": 1}])
@pytest.mark.parametrize(
    "tail", [bytes(4096), bytes(7) + b"\n", b"\xff\x00\n" + bytes(30), b"00000000000000"]
)
def test_what_a_power_cut_leaves_behind_the_last_line_is_dropped(tmp_path, settings, tail):
    path = tmp_path / "journal"
    with Journal(path, settings) as journal:
        for key in (1, 2):
            journal.add(Mark(key, 2, 3), f"found {key}")
    path.write_bytes(path.read_bytes() + tail)
    with Journal(path, settings) as journal:
        assert len(journal) == 2
        journal.add(Mark(3, 2, 3), "found 3")
    with Journal(path, settings) as journal:
        assert [journal.get(Mark(key, 2, 3))[1] for key in (1, 2, 3)] == ["found 1", "found 2", "found 3"]


def test_how_many_items_a_file_holds(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        for key in (1, 2):
            journal.add(Mark(key, 2, 3), f"found {key}")
    path.write_bytes(path.read_bytes() + b"0000000000000003 2 3 {")
    assert Journal.held(path) == 2
    path.write_bytes(b"\n" * 93)
    assert Journal.held(path) == Journal.held(tmp_path / "nowhere") == 0


def test_a_damaged_line_costs_itself_alone(tmp_path):
    path = tmp_path / "journal"
    with Journal(path, {"rate": 1}) as journal:
        for key in (1, 2, 3):
            journal.add(Mark(key, 2, 3), f"found {key}")
    path.write_bytes(path.read_bytes().replace(b"0000000000000002 2 3", b"0000000000000002 2 \x003"))
    with Journal(path, {"rate": 1}) as journal:
        assert [journal.get(Mark(key, 2, 3)) is None for key in (1, 2, 3)] == [False, True, False]


@posix
def test_two_runs_do_not_write_one_journal(tmp_path):
    path = tmp_path / "journal"
    with Journal(path, {"rate": 1}) as journal:
        journal.add(Mark(1, 2, 3), "found")
        with (
            pytest.raises(JournalError, match="journal: another run is writing it"),
            Journal(path, {"rate": 1}),
        ):
            pass
        journal.add(Mark(2, 2, 3), "found")
    with Journal(path, {"rate": 1}) as journal:
        assert len(journal) == 2


def test_no_link_is_followed(tmp_path):
    with Journal(tmp_path / "another", {"rate": 1}) as journal:
        journal.add(Mark(1, 2, 3), "found")
    before = (tmp_path / "another").read_bytes()
    for target in ("another", "nowhere"):
        link = tmp_path / f"to {target}"
        link.symlink_to(tmp_path / target)
        with pytest.raises(JournalError, match="not the journal"), Journal(link, {"rate": 1}):
            pass
        assert not Journal.may_be(link)
    assert (tmp_path / "another").read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


def test_a_journal_that_was_killed_at_its_first_line_begins_again(tmp_path):
    for left in (b"", b'{"set', b'{"settings": {"ra'):
        (tmp_path / "journal").write_bytes(left)
        with Journal(tmp_path / "journal", {"rate": 1}) as journal:
            journal.add(Mark(1, 2, 3), "found")
        assert Journal.settings_of(tmp_path / "journal") == {"rate": 1}


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
