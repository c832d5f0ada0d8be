"""An import's journal: what was found out comes back, for the same picture and the same that is said of it."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cameraborn.data.adapters.entry import Entry
from cameraborn.data.journal import Examined, Journal, mark_of
from cameraborn.data.manifest import LANDMARKS, Row

DIGEST = "0" * 64
ROW = Row(
    path="/data/a.jpg", sha256="ab" * 32, group="g", box=(1.5, 2, 30, 40), exif={"iso": 100.0, "make": "é"}
)
FOUND = {
    "a face": Examined("/data/a.jpg", (ROW,)),
    "two faces": Examined("/data/a.jpg", (ROW, ROW.model_copy(update={"box": (50.0, 2.0, 80.0, 40.0)}))),
    "landmarks": Examined(
        "/data/a.jpg",
        (ROW.model_copy(update={"landmarks": tuple((0.1 * n, n / 3) for n in range(LANDMARKS))}),),
    ),
    "no face": Examined("/data/a.jpg"),
    "left out": Examined("/data/a.jpg", problem="/data/a.jpg: truncated JPEG"),
    "cannot be opened": Examined("/data/a.jpg", problem="/data/a.jpg: no such file", unopened=True),
}


@pytest.fixture
def listed(tmp_path):
    """A picture that a data set lists."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    return Entry(Row(path=str(path), sha256=DIGEST, group="g"))


@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND)
def test_what_was_found_out_comes_back_in_this_run_and_the_next(found, listed, tmp_path):
    mark = mark_of(listed, faces=True)
    with Journal(tmp_path / "journal") as journal:
        assert journal.known(mark) is None
        journal.keep(mark, found)
        assert journal.known(mark) == found
    with Journal(tmp_path / "journal") as journal:
        assert journal.known(mark) == found
        assert len(journal) == 1


def test_what_is_kept_later_counts(listed, tmp_path):
    mark = mark_of(listed, faces=False)
    with Journal(tmp_path / "journal") as journal:
        for found in FOUND.values():
            journal.keep(mark, found)
    with Journal(tmp_path / "journal") as journal:
        assert journal.known(mark) == list(FOUND.values())[-1]


def test_a_mark_is_of_all_that_the_data_set_says(listed):
    def of(row=None, read=False, faces=False):
        return mark_of(Entry(listed.row.model_copy(update=row or {}), read), faces)

    marks = [of(), of({"group": "h"}), of({"label": "generated"}), of({"exif": {"iso": 1}}), of(read=True)]
    marks += [of(faces=True), of(read=True, faces=True)]
    assert len({mark.key for mark in marks}) == len(marks)
    assert of() == mark_of(listed, faces=False)


def test_a_picture_that_has_changed_is_not_known(listed, tmp_path):
    before = mark_of(listed, faces=True)
    with Journal(tmp_path / "journal") as journal:
        journal.keep(before, FOUND["a face"])
        (tmp_path / "a.jpg").write_bytes(b"longer")
        longer = mark_of(listed, faces=True)
        (tmp_path / "a.jpg").write_bytes(b"two")
        os.utime(tmp_path / "a.jpg", ns=(0, 1))
        later = mark_of(listed, faces=True)
        (tmp_path / "a.jpg").unlink()
        gone = mark_of(listed, faces=True)
        assert [mark.size for mark in (before, longer, later, gone)] == [3, 6, 3, 0]
        assert [journal.known(mark) for mark in (longer, later, gone)] == [None] * 3
        assert journal.known(before) == FOUND["a face"]


@pytest.mark.parametrize(
    "line",
    [
        '["a", [], ""]',
        "17",
        "null",
        '{"path": "a", "problem": ""}',
        '{"path": "a", "rows": []}',
        '{"path": "a", "rows": 5, "problem": ""}',
        '{"path": "a", "rows": [{"path": "a"}], "problem": ""}',
        f'{{"path": "a", "rows": [{{"path": "a", "sha256": "{DIGEST}", "new": 1}}], "problem": ""}}',
        '{"path": "a", "rows": [',
    ],
)
def test_a_line_that_means_nothing_is_as_if_it_were_not_there(line, listed, tmp_path):
    mark = mark_of(listed, faces=False)
    (tmp_path / "journal").write_text(f"{mark.key:016x} {mark.size} {mark.changed} {line}\n")
    with Journal(tmp_path / "journal") as journal:
        assert len(journal) == 1
        assert journal.known(mark) is None


def test_a_line_of_an_older_release_says_that_the_picture_was_opened(listed, tmp_path):
    mark = mark_of(listed, faces=False)
    line = '{"path": "a", "rows": [], "problem": "a: no"}'
    (tmp_path / "journal").write_text(f"{mark.key:016x} {mark.size} {mark.changed} {line}\n")
    with Journal(tmp_path / "journal") as journal:
        assert journal.known(mark) == Examined("a", (), "a: no", unopened=False)


TEXTS = st.text(max_size=20)
ROWS = st.builds(
    Row,
    path=st.text(min_size=1, max_size=20),
    sha256=st.just(DIGEST),
    split=TEXTS,
    source=TEXTS,
    labels=st.dictionaries(TEXTS, st.floats(allow_nan=False, allow_infinity=False), max_size=2),
    points=st.dictionaries(TEXTS, st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=2),
    research_only=st.booleans(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.builds(Examined, TEXTS, st.lists(ROWS, max_size=2).map(tuple), TEXTS, st.booleans()))
def test_any_text_and_number_comes_back(listed, tmp_path, found):
    mark = mark_of(listed, faces=True)
    with Journal(tmp_path / "journal") as journal:
        journal.keep(mark, found)
        assert journal.known(mark) == found
