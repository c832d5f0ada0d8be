"""What a bundle is, for people and programs: only what is so, and the rates that can really be asked for."""

import json
from pathlib import Path

import pytest

from cameraborn import __version__
from cameraborn.cli.info import facts_of
from cameraborn.detect.conformal import smallest_rate
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.store import read_bundle
from tests.command import EXAMPLES, run_here

PHOTO = EXAMPLES / "photo-1.jpg"


@pytest.fixture(scope="module")
def bundle():
    return read_bundle(default_bundle())


@pytest.fixture(scope="module")
def facts(bundle):
    return facts_of(bundle, Path("some/bundle"))


def test_facts_are_those_of_the_bundle(bundle, facts):
    assert (facts["bundle"], facts["name"], facts["cameraborn"]) == (
        "some/bundle",
        bundle.info.name,
        __version__,
    )
    assert facts["schema version"] == bundle.info.schema_version
    assert [one["description"] for one in facts["networks"]] == [n.description for n in bundle.info.networks]
    assert facts["networks"][0]["learnt"] == " ".join(bundle.info.networks[0].tasks)
    assert [one["name"] for one in facts["channels"]] == [channel.name for channel in bundle.info.channels]
    assert all(one["fitted"] for one in facts["channels"])
    assert facts["combined score"] == ", ".join(bundle.info.combined)
    assert json.loads(json.dumps(facts)) == facts  # numbers and texts alone


def test_a_category_is_told_with_its_photographs(bundle, facts):
    counts = [int(line.split()[0]) for line in facts["calibration"]]
    assert counts == [len(scores) for scores in bundle.calibration.scores]
    assert all(line.split(" ", 1)[1].startswith("photographs for ") for line in facts["calibration"])
    assert facts["smallest false-alarm rate"] == smallest_rate(min(counts), bundle.calibration.tail)
    assert facts["JPEG qualities"] == list(bundle.info.coverage.jpeg_quality)
    assert facts["judges"] == "faces"


def test_a_bundle_without_a_calibration_says_what_to_do(bundle):
    facts = facts_of(bundle.with_info(coverage=None), Path("b"))
    assert facts["calibration"] == "none yet: run 'cameraborn calibrate'"
    assert {"judges", "JPEG qualities", "smallest false-alarm rate"}.isdisjoint(facts)


def test_what_is_for_whole_pictures_is_called_so(bundle):
    whole = bundle.info.coverage.model_copy(update={"whole_image": True})
    assert facts_of(bundle.with_info(coverage=whole), Path("b"))["judges"] == "whole pictures"


def test_text_and_json_say_the_same(facts, tmp_path):
    code, out, error = run_here("info", "--format", "json", cwd=tmp_path)
    assert (code, error) == (0, "")
    told = json.loads(out)
    assert told == facts | {"bundle": str(default_bundle())}
    lines = run_here("info", cwd=tmp_path)[1].splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith("  ")] == list(told)
    assert f"calibration: {len(told['calibration'])}" in lines
    assert [line[2:] for line in lines if " photographs for " in line] == told["calibration"]
    assert f"smallest false-alarm rate: {told['smallest false-alarm rate']:.2g}" in lines
    assert f"  name {told['channels'][0]['name']}, kind {told['channels'][0]['kind']}, fitted True" in lines


@pytest.mark.parametrize(
    ("name", "says"),
    [("nowhere", "no such bundle"), ("empty", "not a bundle"), ("photo.jpg", "neither a folder nor")],
)
def test_what_is_no_bundle_is_one_line(tmp_path, name, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "photo.jpg").write_bytes(b"no zip")
    code, out, error = run_here("info", name, cwd=tmp_path)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert f"{name}: " in error
    assert says in error


def test_info_tells_what_can_be_asked_for(tmp_path):
    code, out, error = run_here("info", "--format", "json", cwd=tmp_path)
    assert (code, error) == (0, "")
    facts = json.loads(out)
    rate = facts["smallest false-alarm rate"]
    names = [channel["name"] for channel in facts["channels"]]
    assert names == ["generators", "photographs", "reconstructed"]
    assert f"name: {facts['name']}\n" in run_here("info", cwd=tmp_path)[1]
    for asked, code in ((1.001 * rate, 0), (0.9 * rate, 2)):
        assert run_here("score", PHOTO, "--false-alarm", asked_text(asked), cwd=tmp_path)[0] == code


def asked_text(rate):
    return f"{rate:.9f}"
