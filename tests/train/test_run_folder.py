"""The record of what a run learns from."""

import pytest

from cameraborn.data.manifest import Row, sha256_of
from cameraborn.errors import RecipeError
from cameraborn.train.run_folder import RECORD, read_record, record_of, write_text


@pytest.fixture
def manifest(tmp_path):
    (tmp_path / "m.jsonl").write_text("{}\n")
    return tmp_path / "m.jsonl"


def row(digit, original=""):
    return Row(path=f"{digit}.png", sha256=digit * 64, original=original * 64)


def test_copies_stand_for_themselves_and_their_originals(manifest):
    record = record_of([manifest], [row("a"), row("b", original="c"), row("a")])
    assert record.seen == ("a" * 64, "b" * 64, "c" * 64)
    assert record.manifest_sha256 == sha256_of(manifest)


def test_what_the_first_weights_had_seen_is_seen(manifest, tmp_path):
    """A network that starts from another run's has seen that run's photographs too."""
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    write_text(earlier / RECORD, record_of([manifest], [row("d")]).model_dump_json())
    published, trained = tmp_path / "published.safetensors", earlier / "network.safetensors"
    assert record_of([manifest], [row("a")], [trained]).seen == ("a" * 64, "d" * 64)
    assert record_of([manifest], [row("a")], [published]).seen == ("a" * 64,)
    assert record_of([manifest], [row("a")], [published, trained]).seen == ("a" * 64, "d" * 64)


@pytest.mark.parametrize("text", ["", "{}", '{"manifest_sha256": "", "seen": [], "more": 1}'])
def test_a_damaged_record(tmp_path, text):
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(RecipeError, match=r"data\.json: damaged") as caught:
        read_record(tmp_path)
    assert "\n" not in str(caught.value)
