"""What a server says of its bundle: its name, card, channels and limits, and the histograms behind p-values."""

import numpy as np
import pytest

import cameraborn
from cameraborn.detect.card import card_text
from cameraborn.detect.conformal import smallest_rate
from cameraborn.detect.store import read_bundle
from cameraborn.serve.facts import BINS, calibration_facts, facts_of
from cameraborn.serve.limits import Limits
from tests.serve.running import PAIR, PHOTO, problem_of


def test_the_bundle_is_told(server, tiny_bundle):
    bundle = read_bundle(tiny_bundle)
    facts = server.client.get("/v1/bundle").json()
    assert facts["name"] == bundle.info.name
    assert facts["card"] == card_text(bundle)
    assert [channel["name"] for channel in facts["channels"]] == [
        channel.name for channel in bundle.info.channels
    ]
    assert facts["calibration_photographs"] == len({row.photograph for row in bundle.calibration_rows})
    lowest = facts["smallest_false_alarm_rate"]
    assert lowest == smallest_rate(bundle.calibration.smallest, bundle.calibration.tail)
    assert server.score(PHOTO, false_alarm=lowest).status_code == 200
    assert facts["limits"]["max_bytes"] == 32 << 20
    assert (facts["limits"]["max_files"], facts["limits"]["max_job_files"]) == (32, 1000)
    below = server.score(PHOTO, false_alarm=lowest / 2)
    assert "false-alarm" in problem_of(below, 422, "rate")


def test_the_histograms_are_those_that_p_values_come_from(server, tiny_bundle):
    calibration = read_bundle(tiny_bundle).calibration
    told = server.client.get("/v1/calibration").json()
    assert told["tail"] == calibration.tail
    assert [one["photographs"] for one in told["categories"]] == [len(one) for one in calibration.scores]
    for category, scores in zip(told["categories"], calibration.scores, strict=True):
        assert category["counts"] == np.histogram(scores, told["edges"])[0].tolist()
        assert sum(category["counts"]) == len(scores)
    rows = server.score(*PAIR, category=True).json()
    assert [{**row, "category": None} for row in rows] == [
        {**row, "category": None} for row in server.score(*PAIR).json()
    ]
    for row in rows:
        scores = calibration.scores[row["category"]]
        assert row["p_value"] == (1 + (scores >= row["score"]).sum()) / (len(scores) + 1)


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return cameraborn.load(tiny_bundle)


def test_limits_are_those_that_the_server_has(detector):
    limits = Limits(max_bytes=7, max_pixels=6, max_faces=5, max_files=4, max_frames=0, max_seconds=2.5)
    facts = facts_of(detector, "1.2.3", limits)
    assert facts.limits.model_dump() == {
        "max_bytes": 7,
        "max_pixels": 6,
        "max_faces": 5,
        "max_files": 4,
        "max_frames": 0,
        "max_seconds": 2.5,
        "max_job_files": 1000,
        "max_job_bytes": 512 << 20,
    }
    assert (facts.cameraborn, facts.judges, facts.licences) == ("1.2.3", "faces", {"code": "Apache-2.0"})


def test_a_channel_is_in_the_score_of_a_detector_that_judges_by_it(tiny_bundle, detector):
    told = [(one.name, one.kind, one.in_score) for one in facts_of(detector, "1", Limits()).channels]
    channels = detector.bundle.info.channels
    assert told == [(one.name, one.kind, one.name in detector.bundle.info.combined) for one in channels]
    for channel in channels:
        alone = facts_of(cameraborn.load(tiny_bundle, evidence=channel.name), "1", Limits())
        assert [one.name for one in alone.channels if one.in_score] == [channel.name]


def test_every_score_lies_between_two_edges_that_all_categories_share(detector):
    told = calibration_facts(detector)
    scores = detector.calibration.scores
    assert len(told.edges) == BINS + 1
    assert (told.edges[0], told.edges[-1]) == (min(map(min, scores)), max(map(max, scores)))
    assert np.allclose(np.diff(told.edges), (told.edges[-1] - told.edges[0]) / BINS)
    assert len({one.name for one in told.categories}) == len(scores)
    for category, among in zip(told.categories, scores, strict=True):
        literal = [0] * BINS
        for score in among:
            place = max(
                i for i in range(BINS) if told.edges[i] <= score
            )  # the last bin has its upper edge too
            literal[place] += 1
        assert (category.counts, category.photographs) == (literal, len(among))
