"""The site's reference of HTTP, Python and formats, from the code."""

import inspect
import json
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from site_tables import folded, table

import cameraborn
from cameraborn.data.manifest import Row as ManifestRow
from cameraborn.detect.rows import Row
from cameraborn.detect.rows import schema as row_schema
from cameraborn.detect.schema import BundleInfo
from cameraborn.detect.verdict import ChannelVerdict
from cameraborn.library import load
from cameraborn.serve.app import make_app
from cameraborn.serve.document import document
from cameraborn.serve.job_store import JobStore
from cameraborn.serve.limits import Limits

Schema = Mapping[str, Any]
DATACLASSES = {
    "ChannelVerdict": ChannelVerdict,
    "Row": Row,
}  # pydantic keeps the docstrings of its own models alone


def http() -> str:
    """Every route of the server, from its OpenAPI document."""
    gate: Any = make_app(
        load(),
        Limits(),
        threads=1,
        version=cameraborn.__version__,
        store=JobStore(None),
        abandoned=threading.Event(),
        tokens=(b"",),
    )
    return "".join(_http(document(gate._app)))


def _http(found: Schema) -> Iterator[str]:
    yield "# The server's routes\n\n"
    yield (
        "From the OpenAPI document of `cameraborn serve`, which the server gives at `/openapi.json` and shows at "
        "`/docs`. How to use them: [serve.md](../serve.md).\n"
    )
    for path, methods in found["paths"].items():
        for method, route in methods.items():
            yield f"\n## {method.upper()} {path}\n\n{route.get('summary', '')}"
            yield f"\n\n{route['description']}\n" if "description" in route else "\n"
            if parameters := route.get("parameters"):
                cells = ((f"`{p['name']}`", p["in"], _type(p["schema"]), _cell(p)) for p in parameters)
                yield "\n" + table(("parameter", "in", "type", "meaning"), cells)
            if body := route.get("requestBody"):
                kinds = ", ".join(f"`{kind}`" for kind in body["content"])
                yield f"\nBody: {kinds}\n"
            answers = (
                (f"`{code}`", said["description"], _answer(said)) for code, said in route["responses"].items()
            )
            yield "\n" + table(("status", "answer", "as"), answers)
    yield "\n## Schemas\n"
    for name, schema in found["components"]["schemas"].items():
        yield from _schema(name, schema, 3)


def _answer(said: Schema) -> str:
    kinds = (f"`{kind}`: {_type(of.get('schema', {}))}" for kind, of in said.get("content", {}).items())
    return ", ".join(kinds)


def formats() -> str:
    """What is read and written: each field, and the JSON Schema."""
    return "".join(_formats())


_FORMATS = (
    (
        "A row of `score`",
        "One face; CSV has the same columns: [rows](../rows.md). [Schema](../rows.schema.json).",
        Row,
        row_schema,
    ),
    (
        "A row of a manifest",
        "One picture, or one face: [data](../data.md). [Schema](../manifest.schema.json).",
        ManifestRow,
        ManifestRow.model_json_schema,
    ),
    (
        "`bundle.json`",
        "A bundle: its networks, channels, categories and licences. [Schema](../bundle.schema.json).",
        BundleInfo,
        BundleInfo.model_json_schema,
    ),
)


def _formats() -> Iterator[str]:
    yield "# Formats\n\nMade of the code that reads and writes each format; its JSON Schema stands below its fields.\n"
    for name, said, model, schema_of in _FORMATS:
        schema = schema_of()
        yield f"\n## {name}\n\n{said}\n\n"
        yield from _fields(schema, documented(model))
        for inner, definition in schema.get("$defs", {}).items():
            yield from _schema(inner, definition, 3)
        yield "\n" + folded("JSON Schema", json.dumps(schema, indent=1), "json")
    yield (
        "\n## Files in TOML\n\nRecipes of training: [configs/](../../configs). Configurations of benchmarks: "
        "[benchmark.md](../benchmark.md#what-is-measured-the-configuration). A wrong field is named before "
        "anything runs.\n"
    )


def _schema(name: str, schema: Schema, level: int) -> Iterator[str]:
    yield f"\n{'#' * level} {name}\n\n"
    if said := schema.get("description"):
        yield _first_part(said) + "\n\n"
    yield from _fields(schema, documented(DATACLASSES[name]) if name in DATACLASSES else {})


def _fields(schema: Schema, meanings: Mapping[str, str]) -> Iterator[str]:
    described = {**meanings, **_attributes(schema.get("description", ""))}
    needed = set(schema.get("required", ()))
    cells = [
        (
            f"`{name}`",
            _type(of),
            "yes" if name in needed else "",
            of.get("description") or described.get(name, ""),
        )
        for name, of in schema.get("properties", {}).items()
    ]
    if cells:
        yield table(("field", "type", "required", "meaning"), cells)
    elif values := schema.get("enum"):
        yield "One of " + ", ".join(f"`{value}`" for value in values) + ".\n"
    else:
        yield f"{_type(schema)}\n"


def _type(of: Schema) -> str:
    if "$ref" in of:
        return of["$ref"].rsplit("/", 1)[1]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in of:
            return " or ".join(dict.fromkeys(_type(one) for one in of[several]))
    if "const" in of:
        return f"`{of['const']}`"
    if "enum" in of:
        return " or ".join(f"`{value}`" for value in of["enum"])
    kind = of.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    return f"{kind} of {_type(of['items'])}" if "items" in of else str(kind)


def _cell(parameter: Schema) -> str:
    default = parameter["schema"].get("default")
    said = str(parameter.get("description", ""))
    return said if default is None else f"{said} Default: `{json.dumps(default)}`".strip()


def _first_part(docstring: str) -> str:
    return re.split(r"\n\s*(?:Attributes|Args|Raises):", docstring)[0].strip()


def _attributes(docstring: str) -> dict[str, str]:
    """What the section "Attributes" of a docstring says of each; two may share a line."""
    _, _, section = inspect.cleandoc(docstring).partition("Attributes:\n")
    found = re.findall(r"^    (\w[\w, ]*): (.*(?:\n {8,}\S.*)*)", section, re.MULTILINE)
    return {name: " ".join(said.split()) for names, said in found for name in names.split(", ")}


def documented(model: type) -> dict[str, str]:
    """What a class and those that it inherits from say of their attributes."""
    parts = [_attributes(base.__doc__ or "") for base in reversed(model.__mro__)]
    return {name: said for part in parts for name, said in part.items()}


def python() -> str:
    """The package's public names, rendered from their docstrings."""
    return "".join(_python())


def _python() -> Iterator[str]:
    yield "# The package\n\n`import cameraborn` gives these names; what is not here may change at any time.\n"
    places = {name: getattr(cameraborn, name) for name in cameraborn.__all__ if name != "__version__"}
    errors = {
        name for name, value in places.items() if inspect.isclass(value) and issubclass(value, Exception)
    }
    for title, names in (("Names", places.keys() - errors), ("Errors", errors)):
        yield f"\n## {title}\n"
        for name in sorted(names, key=str.lower):
            yield f"\n::: {places[name].__module__}.{name}\n"
