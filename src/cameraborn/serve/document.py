"""What the OpenAPI document says of what routes read and write by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from pydantic import TypeAdapter

from cameraborn.detect.rows import Row, schema
from cameraborn.photo.provenance import Provenance
from cameraborn.serve.job_facts import JobResult, JobResults
from cameraborn.serve.limits import PROBLEM, Problem, malformed
from cameraborn.serve.uploads import EncodedPictures

Responses = dict[int | str, dict[str, Any]]
_MODELS = (Row, Provenance, EncodedPictures, Problem, JobResult, JobResults)


def answer(what: str, content: Mapping[str, Mapping[str, Any]]) -> Responses:
    """What the document says of a successful answer.

    Args:
        what: it is, for people.
        content: the schema of each media type.
    """
    told = {media: {"schema": schema} for media, schema in content.items()}
    return {200: {"description": what, "content": told}}


def refusals(*statuses: int) -> Responses:
    """What the document says of these statuses."""
    content = {PROBLEM: {"schema": named("Problem")}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def named(name: str) -> dict[str, str]:
    """A schema that the document has by name."""
    return {"$ref": f"#/components/schemas/{name}"}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    if app.openapi_schema is None:
        made = FastAPI.openapi(app)
        _, found = TypeAdapter.json_schemas(
            [(model.__name__, "validation", TypeAdapter(model)) for model in _MODELS],
            ref_template="#/components/schemas/{model}",
        )
        row = schema()
        found["$defs"]["Row"] |= {"required": row["required"], "additionalProperties": False}
        found["$defs"]["Row"]["properties"]["notes"] = row["properties"]["notes"]
        found["$defs"]["Row"]["properties"]["category"] = {"type": ["integer", "null"], "title": "Category"}
        del found["$defs"]["Manifest"]["properties"]["fields"], found["$defs"]["Field"]  # no row has them
        made["components"]["schemas"] |= found["$defs"]
    return app.openapi_schema or {}


async def known_options(request: Request) -> None:
    """See that the query has only what the document says of its address, once each; a slip would go unnoticed.

    Raises:
        Refusal: it has something else.
    """
    path: str = request.scope["route"].path
    told = request.app.openapi()["paths"][path][request.method.lower()].get("parameters", ())
    known = {one["name"] for one in told if one["in"] == "query"}
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            raise malformed(
                f"query.{name[:80]}: this address has no such option: /docs tells which there are"
            )
        if times > 1:
            raise malformed(f"query.{name}: is given {times} times: give it once")
