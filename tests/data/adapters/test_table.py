"""A table with a column of paths."""

import pytest

from tests.data.adapters.helpers import picture, refusal, rows


def table(folder, text, encoding="utf-8"):
    (folder / "t.csv").write_text(text, encoding=encoding)
    return folder / "t.csv"


def test_a_csv(tmp_path):
    one, two = picture(tmp_path / "a, b.jpg"), picture(tmp_path / "sub" / "c.jpg")
    text = (
        "\ufeffpath,label,generator,box,research_only,iso,exposure_time_s,fnumber,mood\n"
        '"a, b.jpg",real,,1 2 30.5 40,yes,400,1/60 sec,F2.8,happy\n'
        f"{two},FAKE,sdxl,,,fast,,,\n"
    )
    first, second = rows("csv", table(tmp_path, text))
    assert first.path == str(one)
    assert (first.label, first.box, first.research_only) == ("photo", (1, 2, 30.5, 40), True)
    assert first.exif == {"iso": 400.0, "exposure_time_s": 1 / 60, "fnumber": 2.8}
    assert (second.path, second.label, second.generator) == (str(two), "generated", "sdxl")
    assert (second.box, second.exif, second.research_only) == (None, {}, False)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path, delimiter):
    picture(tmp_path / "a.jpg")
    text = delimiter.join(("path", "kind")) + "\n" + delimiter.join(("a.jpg", "web, small")) + "\n"
    assert [row.kind for row in rows("csv", table(tmp_path, text))] == ["web, small"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("none.jpg,real,", "none.jpg is missing"),
        (",real,", "path is empty"),
        ("a.jpg,perhaps,", "label"),
        ("a.jpg,real,1 2 3", "box"),
        ("a.jpg,real,a b c d", "box"),
    ],
)
def test_a_broken_line_of_a_csv_is_named(tmp_path, line, named):
    picture(tmp_path / "a.jpg")
    message = refusal("csv", table(tmp_path, f"path,label,box\na.jpg,real,\n{line}\n"))
    assert "line 3" in message
    assert named in message


def test_files_that_are_no_csv(tmp_path):
    assert "no column 'path'" in refusal("csv", table(tmp_path, "file,label\na.jpg,real\n"))
    assert "UTF-8" in refusal("csv", table(tmp_path, "path\nü.jpg\n", encoding="latin-1"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_list_in_utf_16_is_called_so(tmp_path, encoding):
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "list.csv").write_text(mark + "path\na.jpg\n", encoding=encoding)
    assert refusal("csv", tmp_path / "list.csv").endswith("list.csv: a text in UTF-16: save it as UTF-8")
