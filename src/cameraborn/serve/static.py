"""The page at `/`: files of this package, which a browser is given as they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from fastapi import APIRouter, Response

FOLDER = Path(__file__).parent / "page"
_MEDIA = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def page_routes() -> APIRouter:
    """A route for every file of the page. They hold nothing secret, so they need no token."""
    router = APIRouter()
    for file in sorted(FOLDER.iterdir()):
        address = "/" if file.name == "index.html" else f"/page/{file.name}"
        answer = partial(Response, file.read_bytes(), media_type=_MEDIA[file.suffix])
        router.add_api_route(address, _always(answer), include_in_schema=False, response_class=Response)
    return router


def _always(answer: Callable[[], Response]) -> Callable[[], Awaitable[Response]]:
    async def get() -> Response:
        return answer()

    return get
