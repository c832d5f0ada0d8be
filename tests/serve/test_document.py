"""The OpenAPI document: what it says of answers, and that nothing is asked which it does not have."""

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from cameraborn.detect.rows import schema
from cameraborn.serve.document import answer, document, known_options, named, refusals
from cameraborn.serve.limits import PROBLEM, Refusal, problem
from tests.serve.running import PHOTO, ask_here, problem_of

ANY_JOB = f"/v1/jobs/{'x' * 22}"


ADDRESSES = (
    *(("POST", f"/v1/{name}") for name in ("score", "explain", "provenance", "jobs")),
    *(("GET", f"/v1/{name}") for name in ("bundle", "calibration", "jobs")),
    *(("GET", path) for path in ("/healthz", "/readyz", "/metrics", ANY_JOB, f"{ANY_JOB}/rows")),
    ("POST", f"{ANY_JOB}/cancel"),
    ("DELETE", ANY_JOB),
)


@pytest.mark.parametrize(("method", "path"), ADDRESSES, ids=map(" ".join, ADDRESSES))
def test_no_address_takes_an_option_that_it_has_not(server, method, path):
    sent = {"files": {"file": PHOTO.read_bytes()}} if method == "POST" else {}
    detail = problem_of(server.client.request(method, f"{path}?foo=1", **sent), 422, "malformed-request")
    assert detail == "query.foo: this address has no such option: /docs tells which there are"


def test_an_option_that_is_given_twice_is_refused(server):
    files = {"file": PHOTO.read_bytes()}
    for path in ("/v1/score", "/v1/jobs"):
        answer = server.client.post(f"{path}?false_alarm=0.1&false_alarm=0.2", files=files)
        detail = problem_of(answer, 422, "malformed-request")
        assert detail == "query.false_alarm: is given 2 times: give it once"
    twice = server.client.get(f"{ANY_JOB}/rows?after=1&after=2")
    problem_of(twice, 422, "malformed-request")


def test_the_documentation_needs_no_outside_resource(server):
    page = server.client.get("/docs").text
    assert "//" not in page.replace("<!--", "").split("SwaggerUIBundle({")[0].replace("http://www.w3.org", "")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/static-offline-docs/{name}" in page
        assert server.client.get(f"/static-offline-docs/{name}").status_code == 200
    document = server.client.get("/openapi.json").json()
    v1 = {f"/v1/{name}" for name in ("score", "explain", "provenance", "bundle", "calibration")}
    jobs = {f"/v1/jobs{rest}" for rest in ("", "/{id}", "/{id}/rows", "/{id}/cancel")}
    assert v1 | jobs | {"/healthz", "/readyz", "/metrics"} == set(document["paths"])


def test_answers_and_refusals_are_told_as_openapi_has_them():
    assert answer("A row a face.", {"application/json": named("Row"), "text/plain": {"type": "string"}}) == {
        200: {
            "description": "A row a face.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Row"}},
                "text/plain": {"schema": {"type": "string"}},
            },
        }
    }
    told = refusals(404, 413)
    assert [one["description"] for one in told.values()] == ["Not Found", "Request Entity Too Large"]
    assert {*told} == {404, 413}
    assert told[404]["content"] == {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def references(told):
    """Every reference anywhere inside."""
    if isinstance(told, dict):
        return {told["$ref"]} if "$ref" in told else set().union(*map(references, told.values()))
    return set().union(*map(references, told)) if isinstance(told, list) else set()


class Answer(BaseModel):
    """What the one address answers."""

    rate: float
    many: int


@pytest.fixture
def app():
    """An application with one address, whose options are looked at."""
    app = FastAPI(dependencies=[Depends(known_options)])

    def get(rate: float = 0.5, many: int = 1) -> Answer:
        return Answer(rate=rate, many=many)

    app.add_api_route("/one", get, responses=refusals(422))
    app.add_exception_handler(Refusal, lambda _, refusal: problem(refusal))
    app.openapi = lambda: document(app)
    return app


def test_schemas_of_what_routes_write_by_themselves_are_there(app):
    told = document(app)
    schemas = told["components"]["schemas"]
    assert {"Row", "Provenance", "EncodedPictures", "Problem", "JobResult", "JobResults", "Answer"} <= set(
        schemas
    )
    assert references(told) <= {f"#/components/schemas/{name}" for name in schemas}
    assert "#/components/schemas/Problem" in references(told["paths"])
    row = schemas["Row"]
    assert (row["required"], row["additionalProperties"]) == (schema()["required"], False)
    assert set(row["properties"]) == {*schema()["properties"], "category"}
    assert "fields" not in schemas["Manifest"]["properties"]
    assert "Field" not in schemas
    assert document(app) is told


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", None),
        ("?rate=0.1&many=2", None),
        ("?Rate=0.1", "query.Rate: this address has no such option: /docs tells which there are"),
        ("?rate=0.1&x", "query.x: this address has no such option: /docs tells which there are"),
        ("?" + "y" * 90, f"query.{'y' * 80}: this address has no such option: /docs tells which there are"),
        ("?many=1&many=1&many=1", "query.many: is given 3 times: give it once"),
    ],
)
def test_a_query_has_what_its_address_has_once_each(app, query, said):
    answered = ask_here(app, f"/one{query}")
    if said is None:
        assert answered.status_code == 200
    else:
        assert problem_of(answered, 422, "malformed-request") == said
