"""What libtiff says of damaged files: named by file, kept from standard error, by every thread its own."""

import ctypes
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, _imaging

from cameraborn.errors import PictureError
from cameraborn.photo.decode import open_picture
from cameraborn.photo.libtiff import libtiff_words


def reachable():
    try:
        return ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler is not None
    except (AttributeError, OSError):
        return False


pytestmark = pytest.mark.skipif(not reachable(), reason="this Pillow does not show libtiff's functions")


def damaged(compression, seed=0):
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 255, (64, 80, 3), np.uint8))
    stream = io.BytesIO()
    (image.convert("1") if compression == "group4" else image).save(stream, "TIFF", compression=compression)
    data = bytearray(stream.getvalue())
    third = len(data) // 3
    data[third : 2 * third] = rng.bytes(third) if compression == "group4" else bytes(third)
    return bytes(data)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
def test_a_refused_file_is_named_with_what_libtiff_says(compression, capfd):
    data = damaged(compression)
    with pytest.raises(OSError, match="decoder error"):
        Image.open(io.BytesIO(data)).load()
    said = capfd.readouterr().err.splitlines()[0].removeprefix("tempfile.tif: ").rstrip(".")
    with pytest.raises(PictureError) as caught:
        open_picture(data, name="scan.tif")
    assert str(caught.value).startswith(f"scan.tif: damaged or truncated TIFF ({said[:90]}")
    assert capfd.readouterr().err == ""


def test_a_file_that_is_decoded_all_the_same_has_notes_and_is_damaged_all_over(capfd):
    picture = open_picture(damaged("group4"))
    assert picture.damage.notes
    assert picture.damage.share_of((10, 10, 20, 20)) == 1.0
    assert capfd.readouterr().err == ""


def words_of(data):
    with libtiff_words() as words:
        with pytest.raises(PictureError):
            open_picture(data)
        return words


def test_every_thread_has_its_own():
    files = [
        damaged(compression, seed) for compression in ("tiff_lzw", "tiff_deflate") for seed in range(6)
    ] * 3
    alone = [words_of(data) for data in files]
    assert all(alone)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(words_of, files)) == alone


def test_what_the_host_decodes_is_said_as_ever():
    code = (
        "import io, sys\nfrom PIL import Image\nfrom cameraborn.photo.decode import PictureError, open_picture\n"
        "data = sys.stdin.buffer.read()\n"
        "try:\n    open_picture(data)\nexcept PictureError as error:\n    print(error)\n"
        "sys.stderr.write('host:\\n')\nsys.stderr.flush()\n"
        "try:\n    Image.open(io.BytesIO(data)).load()\nexcept OSError:\n    pass\n"
    )
    data = damaged("tiff_lzw")
    run = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    host, *said = run.stderr.decode().splitlines()
    assert host == "host:"
    assert said[0].removeprefix("tempfile.tif: ").rstrip(".") in run.stdout.decode()
