"""The detectors of a configuration: their order, their keys, what a run remembers, and when they are open."""

from contextlib import closing

import pytest
from safetensors.torch import save_file

from cameraborn.bench.config import BenchConfig
from cameraborn.bench.detectors import Detectors
from cameraborn.rivals.ladeda import TinyLadedaNetwork

from ..rivals.formula import formula_


@pytest.fixture(scope="module")
def config(tmp_path_factory, tiny_bundle):
    """A cue, a rival on whole pictures, and a bundle."""
    folder = tmp_path_factory.mktemp("detectors")
    weights = folder / "tiny-ladeda.safetensors"
    metadata = {"network": "tiny-ladeda", "layout": "tiny-ladeda", "sha256": "cd" * 32}
    save_file(formula_(TinyLadedaNetwork()).state_dict(), weights, metadata)
    return BenchConfig.model_validate(
        {
            "output": folder / "out",
            "detectors": [
                "sharpness",
                {"rival": "tiny-ladeda", "weights": [weights], "whole_image": True},
                {"bundle": str(tiny_bundle), "name": "tiny"},
            ],
            "sets": [{"name": "set", "manifest": folder / "none.jsonl"}],
        }
    )


@pytest.fixture
def detectors(config):
    with closing(Detectors(config)) as detectors:
        detectors.open()
        yield detectors


def names(scorers):
    return [scorer.name for scorer in scorers]


def test_they_are_in_the_configurations_order(detectors):
    assert names(detectors) == ["sharpness", "tiny-ladeda", "tiny"]
    assert names(detectors.encoders) == ["tiny"]
    assert names(detectors.uncalibrated) == ["tiny-ladeda"]


def test_a_calibrated_rival_also_decides_by_its_own_threshold(detectors):
    (rival,) = detectors.uncalibrated
    before = rival.key
    rival.calibrate([0.1, 0.2, 0.3], ["11" * 32], ["mine"])
    assert names(detectors) == ["sharpness", "tiny-ladeda", "tiny-ladeda (own threshold)", "tiny"]
    assert [(one.name, one.kind, one.calibration_size) for one in detectors.records[:3]] == [
        ("sharpness", "cue", 0),
        ("tiny-ladeda", "rival", 3),
        ("tiny-ladeda (own threshold)", "own threshold", 0),
    ]
    assert [one.note for one in detectors.records[:3]] == ["", *[f"network: {'cd' * 32}"] * 2]
    assert [one.which for one in detectors.records[:3]] == ["sharpness", "tiny-ladeda", "tiny-ladeda"]
    assert detectors.records[3].kind == "bundle"
    assert detectors.records[3].calibration_size > 0
    assert rival.key != before


def test_each_is_found_by_its_key(detectors):
    by_key = detectors.by_key()
    assert list(by_key) == [record.key for record in detectors.records]
    assert names(by_key.values()) == names(detectors)
    for source in (*detectors.encoders, *detectors.uncalibrated):
        assert detectors.source(source.key) is source


def test_the_configuration_alone_travels_to_another_process(config, detectors):
    make, given = detectors.__reduce__()
    other = make(*given)
    assert other.config is config
    assert list(other) == []  # nothing is open there until it is asked for
    with closing(other):
        other.open()
        assert list(other.by_key()) == list(detectors.by_key())


def test_they_are_opened_once_and_closed(config):
    detectors = Detectors(config)
    with closing(detectors):
        detectors.open()
        first = list(detectors)
        detectors.open()
        assert all(one is other for one, other in zip(first, detectors, strict=True))
        assert (config.output / "features.sqlite").is_file()
    assert list(detectors) == []


def test_the_file_of_features_may_be_named(config, tmp_path):
    file = tmp_path / "shared.sqlite"
    with closing(Detectors(config.model_copy(update={"cache": file}))) as detectors:
        detectors.open()
        assert file.is_file()
