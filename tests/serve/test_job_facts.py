"""What is told of jobs: their options, times and counts."""

import dataclasses

import pytest
from pydantic import ValidationError

from cameraborn.serve.job_facts import JobOptions, JobResult, job_facts
from cameraborn.serve.job_store import JobStore, StoredJob

COUNTS = {"pending": 0, "judged": 2, "refused": 1, "cancelled": 0, "lost": 4}


def test_times_are_told_in_utc_and_results_expire_hours_after_the_end():
    job = StoredJob("x" * 22, "me", "finished", 0.12345, 3600.0, {"false_alarm": 0.1}, COUNTS)
    assert job_facts(job, 1.5).model_dump(mode="json") == {
        "id": "x" * 22,
        "state": "finished",
        "created": "1970-01-01T00:00:00.123000Z",
        "ended": "1970-01-01T01:00:00Z",
        "expires": "1970-01-01T02:30:00Z",
        "options": {
            "false_alarm": 0.1,
            "whole_image": False,
            "category": False,
            "every": None,
            "frames": False,
            "provenance": False,
        },
        "counts": {"pictures": 7, **COUNTS},
    }


def test_a_job_that_runs_has_no_end_and_its_owner_is_told_to_nobody():
    facts = job_facts(StoredJob("x" * 22, "me", "running", 1e9, None, {}, COUNTS), 24)
    assert (facts.ended, facts.expires) == (None, None)
    assert "me" not in facts.model_dump(mode="json").values()


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"false_alarm": 0}, "false_alarm"),
        ({"false_alarm": 1}, "false_alarm"),
        ({"false_alarm": "nan"}, "false_alarm"),
        ({"every": 0.009}, "every"),
        ({"every": 3601}, "every"),
        ({"fdr": 0.1}, "fdr"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, place):
    with pytest.raises(ValidationError) as caught:
        JobOptions.model_validate(options)
    assert [error["loc"] for error in caught.value.errors()] == [(place,)]


def test_what_is_kept_of_a_picture_is_a_result():
    with JobStore(None) as store:
        store.add("one", "", {}, ["a.jpg", "b.jpg", "c.jpg"])
        store.settle("one", 1, "refused", problem={"title": "x", "status": 422, "kind": "y", "detail": "z"})
        store.cancel("one")
        told = [JobResult.model_validate(dataclasses.asdict(one)) for one in store.results("one", 0, 9)]
        facts = job_facts(store.job("one", ""), 24)
    assert [(one.event, one.picture, one.name, one.state) for one in told] == [
        (1, 1, "b.jpg", "refused"),
        (2, 0, "a.jpg", "cancelled"),
        (3, 2, "c.jpg", "cancelled"),
    ]
    assert (told[0].problem.kind, told[1].problem, told[1].rows) == ("y", None, [])
    assert facts.counts.model_dump() == {
        "pictures": 3,
        "pending": 0,
        "judged": 0,
        "refused": 1,
        "cancelled": 2,
        "lost": 0,
    }
