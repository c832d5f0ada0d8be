"""`run.json`: what was measured, once each, and readable again."""

import json

import pytest

from cameraborn.bench.config import BenchConfig
from cameraborn.bench.record import RUN, DetectorRecord, read_record, write_record
from cameraborn.errors import BenchError

CONFIG = {
    "detectors": ["default", "sharpness", {"bundle": "other", "whole_image": True}],
    "sets": [{"name": "x", "manifest": "x.jsonl"}],
}
ONE = DetectorRecord(name="one", key="1", kind="bundle", calibration_size=7, note="a note")


@pytest.fixture
def config(tmp_path):
    return BenchConfig.model_validate(CONFIG | {"output": tmp_path / "new" / "out"})


def test_a_record_is_read_as_it_was_written(config):
    write_record(config, [ONE])
    record = read_record(config.output)
    assert (record.config, record.detectors) == (config, (ONE,))
    assert {"python", "cameraborn", "numpy"} <= set(record.versions)
    assert [path.name for path in config.output.iterdir()] == [RUN]


def test_a_record_of_before_the_kinds_is_still_read(config):
    """Runs that were measured when a section had the two fields `bundle` and `cue` keep their reports."""
    write_record(config, [ONE])
    path = config.output / RUN
    record = json.loads(path.read_text())
    for section in record["config"]["detectors"]:
        section |= {"bundle": "", "cue": "", section.pop("kind"): section.pop("which")}
    path.write_text(json.dumps(record))
    assert read_record(config.output).config == config


@pytest.mark.parametrize(
    ("kind", "size", "promises"),
    [
        ("bundle", 40, True),
        ("rival", 40, True),
        ("rival", 0, False),  # without held-out photographs its own threshold decides
        ("own threshold", 0, False),
        ("aigfd", 40, False),  # its p-values rest on held-out photographs, its decisions do not
    ],
)
def test_who_promises_a_rate_of_false_alarms(kind, size, promises):
    assert DetectorRecord(name="x", key="x", kind=kind, calibration_size=size).promises == promises


def test_two_detectors_of_one_name_are_refused(config):
    with pytest.raises(BenchError, match="two detectors are called 'one'"):
        write_record(config, [ONE, DetectorRecord(name="one", key="2", kind="cue")])
    assert not config.output.exists()


def test_one_detector_under_two_names_is_refused(config):
    with pytest.raises(BenchError, match="'one' and 'other' are one and the same detector"):
        write_record(config, [ONE, DetectorRecord(name="other", key="1", kind="cue")])


def test_a_missing_or_damaged_record_is_named(config, tmp_path):
    with pytest.raises(BenchError, match="no benchmark's folder"):
        read_record(tmp_path)
    write_record(config, [ONE])
    path = config.output / RUN
    for text in (path.read_text()[:-20], path.read_text().replace('"one"', "1"), "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(BenchError, match=r"run\.json: damaged, or of another release"):
            read_record(config.output)
