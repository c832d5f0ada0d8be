"""`scores.csv`: one row is one line, what is torn is dropped, errors never have scores."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.bench.scores import COLUMNS, ScoreFile, ScoreRow, format_row, parse_row, read_scores
from cameraborn.errors import BenchError

ROW = ScoreRow(
    "a/b.jpg",
    "0" * 64,
    "d",
    "k",
    "set",
    "track",
    "none",
    "photo",
    "",
    "src",
    "",
    True,
    "ok",
    1.5,
    0.25,
    False,
    0.1,
    "",
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False, width=16)


@given(texts, texts, numbers, numbers, st.sampled_from([True, False, None]), st.booleans())
def test_a_row_survives_its_line(path, group, score, p_value, flagged, in_source):
    row = dataclasses.replace(
        ROW, path=path, group=group, score=score, p_value=p_value, flagged=flagged, in_source=in_source
    )
    line = format_row(row)
    assert line.count("\n") == 1
    assert line.count("\r") == 0
    import csv

    assert parse_row(next(csv.reader([line[:-1]], strict=True))) == row


@pytest.mark.parametrize("change", [{"score": float("nan")}, {"error": "unreadable"}])
def test_an_error_is_never_a_score(change):
    with pytest.raises(ValueError, match=r"a/b\.jpg"):
        format_row(dataclasses.replace(ROW, **change))


def rows(count):
    return [dataclasses.replace(ROW, sha256=f"{number:064x}") for number in range(count)]


def test_a_torn_line_is_dropped_and_what_is_whole_is_done(tmp_path):
    path = tmp_path / "scores.csv"
    with ScoreFile(path) as file:
        file.append(rows(3))
    whole = path.read_bytes()
    for cut in range(1, len(format_row(ROW))):
        path.write_bytes(whole[:-cut])
        assert len(list(read_scores(path))) == 2
    with ScoreFile(path) as file:
        assert file.done == {row.key for row in rows(2)}
        file.append(rows(3)[2:])
    assert path.read_bytes() == whole


def test_errors_are_tried_again(tmp_path):
    path = tmp_path / "scores.csv"
    failed = dataclasses.replace(ROW, sha256="f" * 64, score=None, p_value=None, flagged=None, error="gone")
    with ScoreFile(path) as file:
        file.append([*rows(1), failed])
    assert [row.error for row in read_scores(path)] == ["", "gone"]
    with ScoreFile(path) as file:
        assert file.done == {rows(1)[0].key}
    assert [row.error for row in read_scores(path)] == [""]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "not scores of this release"),
        (",".join(COLUMNS) + "\n1,2\n", "line 2: 2 columns"),
        (",".join(COLUMNS) + "\n" + format_row(ROW).replace("true", "yes"), "line 2: in_source"),
    ],
)
def test_foreign_and_damaged_files_are_named(tmp_path, text, words):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(BenchError, match=words):
        list(read_scores(path))
    with pytest.raises(BenchError, match=words):
        ScoreFile(path)
    assert path.read_text() == text
