"""libtiff's words on a damaged TIFF belong to its row, and to nobody's standard error."""

import io
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.decode import open_picture, open_upright
from tests.command import EXAMPLES, run


def tiff(compression, mode="RGB"):
    stream = io.BytesIO()
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        image.convert(mode).resize((300, 300)).save(stream, "TIFF", compression=compression)
    return stream.getvalue()


def damaged(compression, mode="RGB"):
    """The same with noise in the middle of its pixels' codes."""
    data = bytearray(tiff(compression, mode))
    middle = len(data) // 2
    data[middle : middle + 60] = bytes((37 * n + 11) % 256 for n in range(60))
    return bytes(data)


REFUSED = ["tiff_lzw", "tiff_adobe_deflate", "lzma"]


@pytest.mark.parametrize("compression", REFUSED)
def test_the_reason_of_a_refusal_is_libtiffs(compression, capfd):
    with pytest.raises(
        PictureError, match=r"a.tif: damaged or truncated TIFF \(.*[a-z ]{10}.*\): copy"
    ) as error:
        open_picture(damaged(compression), name="a.tif")
    assert "decoder error" not in str(error.value)
    assert "tempfile" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_what_libtiff_goes_on_after_is_noted_and_not_judged(capfd):
    picture = open_picture(damaged("group4", "1"))
    (note,) = picture.damage.notes
    assert note.startswith("libtiff reports: Fax4Decode: ")
    assert picture.damage.share_of((10, 10, 90, 90)) == 1
    assert open_picture(tiff("group4", "1")).damage.notes == ()
    assert capfd.readouterr().err == ""


def test_each_thread_hears_of_its_own_picture(tmp_path, capfd):
    files = {name: tmp_path / f"{name}.tif" for name in (*REFUSED, "sound")}
    for name, path in files.items():
        path.write_bytes(tiff("tiff_lzw") if name == "sound" else damaged(name))
    alone = {}
    for name in REFUSED:
        with pytest.raises(PictureError) as error:
            open_upright(files[name])
        alone[name] = str(error.value)
    wrong = []

    def read(name):
        for _ in range(20):
            try:
                open_upright(files[name])
                said = None
            except PictureError as error:
                said = str(error)
            if said != alone.get(name):
                wrong.append((name, said))

    threads = [threading.Thread(target=read, args=(name,)) for name in [*files, *files]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert capfd.readouterr().err == ""


def test_other_users_of_the_library_keep_their_handler(tmp_path):
    (tmp_path / "a.tif").write_bytes(damaged("tiff_lzw"))
    program = (
        "import PIL.Image\n"
        "from cameraborn.photo.decode import open_picture\n"
        "for read in (lambda: open_picture('a.tif'), lambda: PIL.Image.open('a.tif').load()):\n"
        "    try:\n"
        "        read()\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["PictureError", "OSError"]
    assert done.stderr.count("\n") == 1  # of the second, which is not ours
    assert "Using code not yet in table" in done.stderr


def test_standard_error_has_our_lines_alone(tmp_path):
    for name in REFUSED:
        (tmp_path / f"{name}.tif").write_bytes(damaged(name))
    (tmp_path / "fax.tif").write_bytes(damaged("group4", "1"))
    code, out, error = run("score", ".", "--whole-image", "--format", "jsonl", "--jobs", "3", cwd=tmp_path)
    rows = {Path(row["path"]).name: row for row in map(json.loads, out.splitlines())}
    assert code == 4
    assert error.count("\n") == 1
    assert error.startswith("4 pictures, 3 unreadable")
    for name in REFUSED:
        row = rows[f"{name}.tif"]
        assert row["scope"] == "unreadable"
        assert f"{name}.tif: damaged or truncated TIFF (" in row["error"]
    assert rows["fax.tif"]["scope"] == "damaged"
    assert rows["fax.tif"]["notes"].startswith("libtiff reports: ")
    code, _, error = run("explain", "tiff_lzw.tif", "-o", "why.png", cwd=tmp_path)
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith("cameraborn: tiff_lzw.tif: damaged or truncated TIFF (")
