"""Jobs in SQLite: each picture is settled once, whatever happens, and the file is ours alone."""

import os
import sqlite3
import stat

import pytest

from cameraborn.errors import CamerabornError
from cameraborn.serve.job_store import JobStore
from tests.command import posix

OPTIONS = {"false_alarm": 0.05}
ROWS = [{"path": "a.jpg", "score": 0.1}, {"path": "a.jpg", "score": None}]
PROBLEM = {"kind": "too-many-faces"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.db"


@pytest.fixture
def store(path):
    with JobStore(path) as opened:
        opened.add("one", "me", OPTIONS, ["a.jpg", "b.jpg", "c.jpg"])
        yield opened


def told(store, job="one", after=0, most=100):
    return [(one.event, one.picture, one.state) for one in store.results(job, after, most)]


def test_pictures_are_settled_in_the_order_of_completion(store):
    assert store.settle("one", 2, "judged", ROWS)
    assert store.settle("one", 0, "refused", problem=PROBLEM)
    assert told(store) == [(1, 2, "judged"), (2, 0, "refused")]
    first, second = store.results("one", 0, 100)
    assert (first.rows, first.problem, first.name) == (ROWS, None, "c.jpg")
    assert (second.rows, second.problem, second.name) == ([], PROBLEM, "a.jpg")
    assert told(store, after=1) == [(2, 0, "refused")]
    assert told(store, most=1) == [(1, 2, "judged")]


def test_a_picture_is_settled_once(store):
    store.settle("one", 0, "judged", ROWS)
    store.settle("one", 0, "refused", problem=PROBLEM)
    assert told(store) == [(1, 0, "judged")]
    store.cancel("one")
    assert not store.settle("one", 1, "judged", ROWS)
    assert told(store) == [(1, 0, "judged"), (2, 1, "cancelled"), (3, 2, "cancelled")]


def test_a_job_ends_with_its_last_picture(store):
    assert [store.settle("one", picture, "judged", ROWS) for picture in range(3)] == [True, True, False]
    job = store.job("one", "me")
    assert job.state == "finished"
    assert job.ended >= job.created
    assert job.counts == {"pending": 0, "judged": 3, "refused": 0, "cancelled": 0, "lost": 0}
    store.cancel("one")
    assert store.job("one", "me").state == "finished"


def test_what_is_pending_when_the_file_is_opened_again_is_lost_and_stays_lost(path, store):
    store.settle("one", 1, "judged", ROWS)
    store.close()
    for _ in range(2):
        with JobStore(path) as again:
            assert told(again) == [(1, 1, "judged"), (2, 0, "lost"), (3, 2, "lost")]
            job = again.job("one", "me")
            assert (job.state, job.options, job.counts["lost"]) == ("interrupted", OPTIONS, 2)
            assert not again.settle("one", 0, "judged", ROWS)


def test_a_job_is_its_owners(store):
    assert store.job("one", "you") is None
    assert store.jobs("you") == []
    assert [job.id for job in store.jobs("me")] == ["one"]
    assert store.held(0) == 1


def test_jobs_that_ended_long_ago_are_forgotten(store):
    assert store.expire(0) == []
    store.cancel("one")
    assert store.expire(1000) == []
    assert store.expire(0) == ["one"]
    assert store.held(0) == 0
    assert told(store) == []


def test_room_is_made_by_the_oldest_job_whose_rows_were_read(store):
    for job in ("two", "three", "four"):
        store.add(job, "me", OPTIONS, ["a.jpg"])
    for job in ("three", "one", "two"):
        store.mark_read(job)  # in vain, while it runs
        store.cancel(job)
    assert store.held(1000) == 4
    assert store.make_room(4, 1000) == []
    store.mark_read("one")
    store.mark_read("two")
    assert store.held(1000) == 2
    assert store.make_room(5, 1000) == []
    assert store.make_room(4, 1000) == ["one"]
    assert store.make_room(1, 1000) == ["two"]
    assert store.held(0) == 1
    assert store.make_room(1, 0) == ["three"]  # its time is over
    assert store.make_room(1, 0) == []  # the last one runs


def test_what_is_deleted_leaves_no_trace_in_the_file(path, store):
    name = "a-name-that-nobody-has.jpg"
    store.add("two", "me", OPTIONS, [name])
    store.delete("two")
    store.close()
    assert name.encode() not in path.read_bytes()
    assert [*path.parent.iterdir()] == [path]


@posix
def test_a_file_of_the_version_before_is_taken_over(path, store):
    store.settle("one", 0, "judged", ROWS)
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE pictures DROP COLUMN provenance")
        database.execute("ALTER TABLE jobs DROP COLUMN read")
        database.execute("PRAGMA user_version = 1")
    database.close()
    for _ in range(2):
        with JobStore(path) as again:
            again.add("two", "me", OPTIONS, ["d.jpg"])
            again.settle("two", 0, "judged", ROWS, provenance={"says": "nothing"})
            assert [one.provenance for one in again.results("one", 0, 9)] == [None] * 3
            assert [one.provenance for one in again.results("two", 0, 9)] == [{"says": "nothing"}]
            again.delete("two")


def test_a_new_file_is_for_its_owner_alone(path):
    mask = os.umask(0)
    try:
        with JobStore(path) as store:
            store.add("one", "", OPTIONS, ["a.jpg"])
            for file in path.parent.iterdir():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
    finally:
        os.umask(mask)


def test_memory_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with JobStore(None) as store:
        store.add("one", "", OPTIONS, ["a.jpg"])
        assert not store.is_kept
        assert [*tmp_path.iterdir()] == []


def refusal(path):
    with pytest.raises(CamerabornError) as refused:
        JobStore(path)
    text = str(refused.value)
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def test_a_file_that_is_open_is_refused(path, store):
    assert refusal(path) == "another server has it open: give this one a file of its own"


def test_files_of_others_are_refused_and_left_as_they_are(tmp_path):
    text, foreign = tmp_path / "notes.txt", tmp_path / "mail.db"
    text.write_text("what somebody cares for, and long enough to be looked at as a database " * 20)
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE jobs (id)")
    database.close()
    before = {file: file.read_bytes() for file in (text, foreign)}
    assert refusal(text) == "cannot be used (file is not a database): give another --jobs-file"
    assert (
        refusal(foreign)
        == "cannot be used (a database of another program or version): give another --jobs-file"
    )
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_places_where_no_file_can_be_are_refused(tmp_path):
    assert (
        refusal(tmp_path / "no" / "jobs.db")
        == "cannot be opened (No such file or directory): give another --jobs-file"
    )
    assert "give another --jobs-file" in refusal(tmp_path)
