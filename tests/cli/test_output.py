"""How rows are written: tables for people, CSV and JSON, each row at once; names of strangers break none of them."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cameraborn.cli.output import (
    Form,
    Format,
    format_of,
    opened,
    rows_writer,
    shortened,
    table_line,
    text_outputs,
)
from cameraborn.detect.rows import Row
from cameraborn.errors import CamerabornError

FORM = Form(
    columns=("name", "number"),
    csv_row=lambda pair: pair,
    json_row=lambda pair: {"name": pair[0], "number": pair[1]},
    heading="number  name",
    table_line=lambda pair, width, coloured: f"{pair[1]!s:<6}  {pair[0]}",
)
FACE = Row(
    path="a/face.jpg",
    face=0,
    box=(10.0, 20.0, 110.4, 100.0),
    width=320,
    height=240,
    score=1.234,
    p_value=0.0312,
    flagged=True,
    scope="ok",
    error=None,
    bundle="tiny",
    verdict="flagged",
)
HEAD = "FLAGGED              0.031    1.23  0: 100px    "


def written(format, pairs, output):
    with rows_writer(format, output, FORM) as write:
        for pair in pairs:
            write(pair)
    return output.read_bytes().decode()


PAIRS = [("a", 1), ('say "é", please', None)]


@pytest.mark.parametrize(
    ("format", "text"),
    [
        (Format.csv, 'name,number\na,1\n"say ""é"", please",\n'),
        (Format.jsonl, '{"name": "a", "number": 1}\n{"name": "say \\"é\\", please", "number": null}\n'),
        (
            Format.json,
            '[\n {"name": "a", "number": 1},\n {"name": "say \\"é\\", please", "number": null}\n]\n',
        ),
        (Format.table, 'number  name\n1       a\nNone    say "é", please\n'),
    ],
)
def test_rows_of_every_format(format, text, tmp_path):
    assert written(format, PAIRS, tmp_path / "rows") == text


@pytest.mark.parametrize(
    ("format", "text"),
    [
        (Format.csv, "name,number\n"),
        (Format.jsonl, ""),
        (Format.json, "[]\n"),
        (Format.table, "number  name\n"),
    ],
)
def test_no_rows_are_a_whole_file_too(format, text, tmp_path):
    assert written(format, [], tmp_path / "rows") == text


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.text(max_size=12), st.integers()), max_size=5))
def test_whatever_things_are_called_they_are_read_back(tmp_path, pairs):
    rows = [{"name": name, "number": number} for name, number in pairs]
    assert json.loads(written(Format.json, pairs, tmp_path / "rows")) == rows
    lines = written(Format.jsonl, pairs, tmp_path / "rows").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == rows
    table = csv.DictReader(io.StringIO(written(Format.csv, pairs, tmp_path / "rows"), newline=""))
    assert [(line["name"], int(line["number"])) for line in table] == pairs


def test_a_name_that_is_no_text_keeps_its_odd_bytes_in_json(tmp_path):
    name = b"not-\xff-text".decode("utf-8", "surrogateescape")
    assert json.loads(written(Format.jsonl, [(name, 1)], tmp_path / "rows"))["name"] == name
    assert written(Format.csv, [(name, 1)], tmp_path / "rows") == "name,number\nnot-\\udcff-text,1\n"


@pytest.mark.parametrize("format", [Format.csv, Format.json, Format.jsonl, Format.table])
def test_a_row_is_written_at_once(format, capsys):
    with rows_writer(format, None, FORM) as write:
        for number in range(3):
            capsys.readouterr()
            write(("a", number))
            assert str(number) in capsys.readouterr().out


def test_a_file_takes_its_name_when_it_is_complete(tmp_path):
    (tmp_path / "rows").write_text("older")
    with pytest.raises(ZeroDivisionError), opened(tmp_path / "rows") as out:
        out.write(str(1 // 0))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("rows", "older")]
    with opened(tmp_path / "rows") as out:
        out.write("new")
        assert (tmp_path / "rows").read_text() == "older"
    assert (tmp_path / "rows").read_text() == "new"


def test_the_file_of_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "real").write_text("older")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with opened(tmp_path / "link") as out:
        out.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "nowhere" / "rows.csv"
    with pytest.raises(CamerabornError) as caught, opened(path):
        pass
    assert str(caught.value) == f"{path}: cannot be written (No such file or directory): give another -o"


@pytest.mark.parametrize(
    ("asked", "output", "format"),
    [
        (None, None, Format.table),
        (None, "rows.txt", Format.table),
        (None, "rows", Format.table),
        (None, "rows.csv", Format.csv),
        (None, "ROWS.CSV", Format.csv),
        (None, "rows.json", Format.json),
        (None, "rows.jsonl", Format.jsonl),
        (None, "rows.ndjson", Format.jsonl),
        (Format.json, "rows", Format.json),
        (Format.json, "rows.json", Format.json),
        (Format.csv, None, Format.csv),
    ],
)
def test_the_format_is_what_was_asked_for_or_that_of_the_ending(asked, output, format):
    assert format_of(asked, output and Path(output)) is format


@pytest.mark.parametrize(
    ("asked", "output", "line"),
    [
        (Format.table, "a.csv", "a.csv: ends as csv does, and --format says table: leave one out"),
        (Format.json, "a.ndjson", "a.ndjson: ends as jsonl does, and --format says json: leave one out"),
        (None, "a.TSV", "a.TSV: .tsv is not written: end it in .csv, .json, .jsonl or .txt"),
        (Format.csv, "a.xlsx", "a.xlsx: .xlsx is not written: end it in .csv, .json, .jsonl or .txt"),
    ],
)
def test_an_ending_that_contradicts_is_refused(asked, output, line):
    with pytest.raises(CamerabornError) as caught:
        format_of(asked, Path(output))
    assert str(caught.value) == line


def test_text_is_not_written_under_the_name_of_a_picture(tmp_path):
    with pytest.raises(CamerabornError) as caught:
        text_outputs(tmp_path / "rows.csv.jpg")
    assert str(caught.value) == (
        f"{tmp_path}/rows.csv.jpg: ends like a picture or a video, but text is written to it: "
        "end it in .csv, .json or .jsonl"
    )
    text_outputs(tmp_path / "picture.jpg.csv")
    text_outputs(None)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, HEAD + "a/face.jpg"),
        (
            {"verdict": "not flagged", "flagged": False},
            HEAD.replace("FLAGGED    ", "not flagged") + "a/face.jpg",
        ),
        ({"face": None}, HEAD.replace("0: 100px    ", "whole 100px  ") + "a/face.jpg"),
        ({"start_s": 0.0, "end_s": 2.5}, HEAD + "a/face.jpg  0.0-2.5 s"),
        ({"notes": ("damaged", "bright\n")}, HEAD + "a/face.jpg  (damaged)  (bright\\n)"),
        ({"path": "line\nbreak\x1b[2J\u202e.jpg"}, HEAD + "line\\nbreak\\x1b[2J\\u202e.jpg"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_a_line_for_people(change, line):
    assert table_line(replace(FACE, **change)) == line


def test_a_line_of_what_was_not_judged():
    small = replace(FACE, verdict="not judged", flagged=None, p_value=None, scope="too-small", needed_px=120)
    assert table_line(small).split() == ["too-small", "(<120px)", "1.23", "0:", "100px", "a/face.jpg"]
    nobody = replace(small, scope="no-face", needed_px=None, face=None, box=None, score=None)
    assert table_line(nobody).split() == ["no-face", "a/face.jpg"]
    assert table_line(nobody).index("a/face.jpg") == len(HEAD)


def test_an_error_is_kept_whole_however_narrow_the_terminal_is():
    error = "a/very/long/name.jpg: no such\tfile: check the path"
    row = replace(FACE, verdict="unreadable", scope="unreadable", error=error)
    assert table_line(row, width=20, coloured=True) == (
        "unreadable          a/very/long/name.jpg: no such\\tfile: check the path"
    )


def test_the_end_of_a_long_path_is_shown():
    path = "/".join(["folder"] * 20) + "/face.jpg"
    line = table_line(replace(FACE, path=path), width=80)
    assert len(line) == 80
    assert line.startswith(HEAD + "...")
    assert path.endswith(line.removeprefix(HEAD + "..."))
    assert table_line(replace(FACE, path=path)) == HEAD + path


def test_what_is_flagged_is_red_where_there_are_colours():
    plain = table_line(FACE)
    assert table_line(FACE, coloured=True) == plain.replace("FLAGGED", "\x1b[1;31mFLAGGED\x1b[0m")
    fine = replace(FACE, verdict="not flagged", flagged=False)
    assert table_line(fine, coloured=True) == table_line(fine)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=50), st.integers(0, 60))
def test_a_text_is_shortened_from_its_front(text, width):
    short = shortened(text, width)
    if len(text) <= width:
        assert short == text
    else:
        assert len(short) <= max(width, 15)  # some letters are always left
        assert short.startswith("...")
        assert text.endswith(short[3:])
    assert shortened(text, None) == text
