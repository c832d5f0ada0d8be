"""The routes of jobs: results in pages or as a stream, to who accepts one, from where it was interrupted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.serve.job_routes import _event, _is_over, _wants_events
from cameraborn.serve.job_store import StoredJob
from tests.serve.running import PAIR, PHOTO, ended, events, problem_of, results, started


def test_results_come_in_pages(server):
    job = started(server, *PAIR * 2)
    ended(server, job)
    whole = results(server, job)
    assert results(server, job, most=2) == whole[:2]
    assert results(server, job, after=1, most=2) == whole[1:3]
    assert server.client.get(f"{job}/rows", params={"after": 3}).json()["last_event"] == 4
    assert server.client.get(f"{job}/rows", params={"after": 9}).json() == {
        "state": "finished",
        "results": [],
        "last_event": 9,
    }


def test_results_are_streamed_as_they_come(server):
    job = started(server, *PAIR * 2)
    found = events(server, job)
    assert [kind for _, kind, _ in found] == ["picture"] * 4 + ["end"]
    assert [id for id, _, _ in found] == ["1", "2", "3", "4", None]
    assert [data for _, _, data in found[:4]] == results(server, job)
    assert found[4][2] == server.client.get(job).json()
    assert found[4][2]["state"] == "finished"


def test_a_stream_goes_on_after_the_last_event_that_came(server):
    job = started(server, *PAIR * 2)
    first = events(server, job, most=1)
    rest = events(server, job, after=first[0][0])
    assert [id for id, _, _ in first + rest] == ["1", "2", "3", "4", None]
    over = server.client.get(f"{job}/rows", headers={"Accept": "text/event-stream", "Last-Event-ID": "4"})
    assert (over.status_code, over.content) == (204, b"")


def test_methods_of_an_address_with_several_routes(server):
    for path, methods in (("/v1/jobs", "GET, HEAD, POST"), (f"/v1/jobs/{'x' * 22}", "DELETE, GET, HEAD")):
        answer = server.client.put(path)
        problem_of(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == methods


def test_ids_that_are_none(server):
    problem_of(server.client.get(f"/v1/jobs/{'x' * 22}"), 404, "no-such-job")
    problem_of(server.client.get("/v1/jobs/x"), 422, "malformed-request")
    job = started(server, PHOTO)
    for headers in ({"Last-Event-ID": "x"}, {"Last-Event-ID": "-1"}):
        problem_of(server.client.get(f"{job}/rows", headers=headers), 422, "malformed-request")
    ended(server, job)
    assert [id for id, _, _ in events(server, job, after="")] == ["1", None]


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream;q=0.5, text/html", True),
        ("application/json, text/event-stream", True),
        ("text/event-stream;q=0, application/json", False),
        ("text/event-stream;q=0.3, application/json;q=0.8", False),
        ("text/event-streams", False),
        ("text/event-stream;q=x", False),
        ("*/*", False),
    ],
)
def test_a_stream_comes_to_who_accepts_one(done_job, server, accept, is_stream):
    answer = server.client.get(f"{done_job}/rows", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/event-stream") == is_stream


@pytest.fixture(scope="module")
def done_job(server):
    job = started(server, PHOTO)
    ended(server, job)
    return job


def test_an_event_is_written_as_the_standard_says():
    assert _event("picture", '{"a":1}', 7) == 'id: 7\nevent: picture\ndata: {"a":1}\n\n'
    assert _event("end", "{}") == "event: end\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("state", "since", "over"),
    [
        ("finished", 3, True),
        ("finished", 9, True),
        ("finished", 2, False),
        ("cancelled", 3, True),
        ("running", 3, False),
    ],
)
def test_a_job_is_over_when_it_has_ended_and_its_last_picture_was_told(state, since, over):
    job = StoredJob("x", "", state, 0.0, None, {}, {"judged": 2, "pending": 0, "lost": 1})
    assert _is_over(job, since) == over


@given(st.text(max_size=60))
def test_whatever_is_accepted_is_a_stream_or_none(accept):
    assert _wants_events(accept) == (_wants_events(accept.upper()) and "text/event-stream" in accept.lower())


@given(
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.booleans(),
    st.sampled_from([", ", ",", " ,  text/html , "]),
)
def test_a_stream_is_for_whom_it_weighs_as_much_as_json(events, json, turned, between):
    parts = [f"text/event-stream;q={events / 1000:.3f}", f"application/json; q={json / 1000:.3f}"]
    assert _wants_events(between.join(parts[::-1] if turned else parts)) == (0 < events >= json)
