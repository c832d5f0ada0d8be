"""Endings that no table gets: those of pictures, videos and sounds, as Python, the system or a list here knows them."""

import re
import shutil
from pathlib import Path

import pytest

from cameraborn.cli.endings import OTHER_TABLES, is_of_media
from cameraborn.cli.output import text_outputs
from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.errors import CamerabornError
from cameraborn.photo.decode import SUPPORTED_EXTENSIONS
from tests.command import EXAMPLES
from tests.command import run_here as run


@pytest.fixture
def desk(tmp_path):
    """A picture, and a manifest of it."""
    shutil.copy(EXAMPLES / "photo-1.jpg", tmp_path / "1.jpg")
    write_manifest(
        [Row(path=str(tmp_path / "1.jpg"), sha256=sha256_of(tmp_path / "1.jpg"))], tmp_path / "set.jsonl"
    )
    return tmp_path


ENDINGS = """
.jpg .JPEG .png .webp .heic .jxl .dng .jpg_large .jpg?w=300 .mp4 .ppm .pnm .tga .ico .jpx .svgz .qoi .fits .dcm .heics
.insp .xcf .3fr .RAW .srw .pef .x3f .iiq .m4v .3gp .mts .wmv .mp3
.jpg~ .jpg. .jpg!large .jpg-large .jpg@100w .jpg&w=3 .png:large
"""


@pytest.mark.parametrize("ending", re.findall(r"\S+", ENDINGS))
def test_no_table_gets_a_pictures_name(ending):
    with pytest.raises(CamerabornError, match="ends like a picture"):
        text_outputs(Path(f"new{ending}"), overwrite=True)


@pytest.mark.parametrize("ending", [".JPEG", ".jpg?w=300", ".mp3"])
@pytest.mark.parametrize("command", ["score 1.jpg", "audit set.jsonl", "data import folder ."])
def test_no_verb_writes_text_under_a_pictures_name(desk, command, ending):
    code, _, error = run(*command.split(), "-o", f"new{ending}", "--overwrite", cwd=desk)
    assert (code, error.count("\n")) == (2, 1), error
    assert "ends like a picture" in error
    assert not (desk / f"new{ending}").exists()


@pytest.mark.parametrize("name", [".jpg", "new.jpg ", "x.jpg.csv"])
def test_of_a_name_the_last_ending_counts(desk, name):
    code, _, error = run("score", "1.jpg", "-o", name, cwd=desk)
    assert (code == 2 and "ends like a picture" in error) != name.endswith(".csv"), error


@pytest.mark.parametrize("ending", sorted(SUPPORTED_EXTENSIONS))
def test_what_can_be_read_is_a_picture(ending):
    assert is_of_media(ending)


@pytest.mark.parametrize("ending", [".mp3", ".wav", ".flac", ".ogg", ".mp4", ".mkv", ".cr3", ".svg", ".psd"])
def test_sounds_videos_and_pictures_that_cannot_be_read_are_media_too(ending):
    assert is_of_media(ending)


@pytest.mark.parametrize(
    "ending",
    ["", ".", ".csv", ".json", ".jsonl", ".ndjson", ".txt", ".log", ".zip", ".py", ".mp", ".jp", "jpg"],
)
def test_what_text_may_be_written_to_is_none(ending):
    assert not is_of_media(ending)


def test_other_tables_are_no_media_and_no_format_of_ours():
    assert not any(map(is_of_media, OTHER_TABLES))
    assert not OTHER_TABLES & {".csv", ".json", ".jsonl", ".ndjson", ".txt"}
