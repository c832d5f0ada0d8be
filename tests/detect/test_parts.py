"""Parts of many inputs: cut lazily, known again by their inputs, written as rows and a record that is read back."""

import hashlib
import json
import os
import shutil
from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cameraborn
from cameraborn.detect.parts import Part, PartRecord, ScorePart, parts_of
from cameraborn.detect.score import ScoreOptions
from cameraborn.detect.tally import Tally
from cameraborn.errors import JournalError

from ..command import rows_of, run_here
from ..conftest import EXAMPLES


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(alphabet="ab/", max_size=3), max_size=30), st.integers(1, 9))
def test_parts_hold_every_input_once_and_in_order(inputs, size):
    inputs = [f"s3://{name}" for name in inputs]
    parts = list(parts_of(inputs, size))
    assert [name for part in parts for name in part.inputs] == inputs
    assert [part.number for part in parts] == list(range(-(-len(inputs) // size)))
    assert all(len(part.inputs) == size for part in parts[:-1])


def digests(*inputs, size=2):
    return [part.sha256 for part in parts_of(map(str, inputs), size)]


def test_a_part_is_known_by_the_names_sizes_and_times_of_its_inputs(tmp_path):
    for name in "abcd":
        (tmp_path / name).write_text("one")
    inputs = [tmp_path / name for name in "abcd"]
    before = digests(*inputs)
    assert digests(*inputs) == before
    assert digests(*inputs[2:]) == before[1:]
    assert digests(inputs[1], inputs[0])[0] != before[0]
    (tmp_path / "a").write_text("longer")
    longer = digests(*inputs)
    assert [one == other for one, other in zip(before, longer, strict=True)] == [False, True]
    os.utime(tmp_path / "d", ns=(0, 1))
    assert digests(*inputs)[1] != before[1]
    (tmp_path / "a").unlink()
    assert digests(*inputs)[0] not in (before[0], longer[0])


def test_a_part_of_addresses_is_known_by_their_names_alone():
    assert digests("s3://b/1", "s3://b/2") == digests("s3://b/1", "s3://b/2")
    assert digests("s3://b/1") != digests("s3://b/2")
    listed = json.dumps([["s3://b/1", [0, 0]], ["none", [0, 0]]]).encode()
    assert digests("s3://b/1", "none") == [hashlib.sha256(listed).hexdigest()]


def test_names_of_parts_are_sorted_as_their_numbers_are():
    names = [Part(number, (), "").name for number in (0, 9, 10, 99_999_999)]
    assert names == sorted(names)
    assert names[2] == "part-00000010"


RECORD = PartRecord(
    "part-00000003.jsonl", 5, "ab" * 32, 4, "cd" * 32, Tally(pictures=4, read=3, found=5, judged=2)
)


def test_a_record_is_read_back():
    assert PartRecord.of_json(json.dumps(asdict(RECORD)).encode(), "x") == RECORD


def changed(**fields):
    return json.dumps(asdict(RECORD) | fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "5",
        "{}",
        changed()[:-1],
        changed(more=1),
        changed(counts=5),
        changed(counts={"persons": 1}),
        json.dumps({name: value for name, value in asdict(RECORD).items() if name != "rows"}),
    ],
)
def test_what_is_no_record_is_refused(text):
    with pytest.raises(JournalError) as caught:
        PartRecord.of_json(text.encode(), "done/part-00000003.json")
    assert str(caught.value) == (
        "done/part-00000003.json: not the record of a part: delete it, and --resume does it again"
    )


@pytest.fixture
def inputs(tmp_path):
    """A face, what is no picture, and what is not there, under a name that is no text."""
    shutil.copy(EXAMPLES / "photo-1.jpg", tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_text("no picture")
    return [str(tmp_path / name) for name in ("a.jpg", "b.jpg", "not-\udcff-text.jpg")]


def test_a_part_is_written_as_score_writes_its_rows(inputs, tmp_path):
    stage = ScorePart(cameraborn.load(), ScoreOptions(), str(tmp_path / "out"), "jsonl")
    stage.setup()
    (part,) = parts_of(inputs, 3)
    record = stage.work(part)
    data = (tmp_path / "out" / "rows" / "part-00000000.jsonl").read_bytes()
    assert [row["path"] for row in rows_of(data.decode())] == inputs
    assert record == PartRecord(
        "part-00000000.jsonl",
        3,
        hashlib.sha256(data).hexdigest(),
        3,
        part.sha256,
        Tally(pictures=3, read=1, found=1, judged=1),
    )
    kept = (tmp_path / "out" / "done" / "part-00000000.json").read_bytes()
    assert PartRecord.of_json(kept, "x") == record
    code, out, _ = run_here("score", *inputs, "-o", "rows.jsonl", cwd=tmp_path)
    assert (code, out) == (4, "")
    assert (tmp_path / "rows.jsonl").read_bytes() == data


def test_parts_are_cut_lazily():
    drawn = []
    parts = parts_of((drawn.append(number) or str(number) for number in range(100)), 10)
    assert [next(parts).name, next(parts).name] == ["part-00000000", "part-00000001"]
    assert len(drawn) == 20
