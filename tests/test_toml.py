"""TOML as editors save it is read; what is none is told in one line, with what to do."""

import codecs

import pytest

from cameraborn.errors import BenchError, RecipeError
from cameraborn.toml import read_toml

TEXT = 'name = "Ünïcode"\n[table]\nnumber = 3\n'


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_what_editors_save_is_read(tmp_path, mark, ends):
    (tmp_path / "a.toml").write_bytes(mark + TEXT.replace("\n", ends).encode())
    assert read_toml(tmp_path / "a.toml", RecipeError) == {"name": "Ünïcode", "table": {"number": 3}}


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (TEXT.encode("utf-16"), "is UTF-16, and TOML is UTF-8: save it so"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "is UTF-16, and TOML is UTF-8: save it so"),
        (b"a = 1\n" + TEXT.encode("latin-1"), "line 2 is not UTF-8: save the file so"),
        (b"a = 1\na = 2\n", "not valid TOML (Cannot overwrite a value (at line 2, column 6)): fix the line"),
        (b"\0", "not valid TOML (Invalid statement (at line 1, column 1)): fix the line"),
        (None, "cannot be read (No such file or directory): check the path"),
    ],
)
def test_what_is_none_is_told_in_one_line(tmp_path, data, line):
    path = tmp_path / "a.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BenchError) as caught:
        read_toml(path, BenchError)
    assert str(caught.value) == f"{path}: {line}"
