"""The pictures of a request: multipart or JSON, read into memory alone, and never more than is allowed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from cameraborn.serve.limits import (
    SLOWEST,
    Limits,
    Refusal,
    malformed,
    too_many_bytes,
    too_many_files,
    too_slow,
)

LONGEST_NAME = 1024


class _Invalid(Protocol):
    """An error of pydantic or FastAPI."""

    def errors(self) -> Sequence[Any]:
        """What is wrong, each with its place and a message."""
        ...


@dataclass(frozen=True)
class Upload:
    """A picture that was sent: what its rows call it, and its bytes."""

    name: str
    data: bytes


class EncodedPicture(BaseModel):
    """A picture in JSON."""

    model_config = ConfigDict(extra="forbid")

    data: str = Field(description="The file, in base64.", json_schema_extra={"contentEncoding": "base64"})
    name: Annotated[str, Field(max_length=LONGEST_NAME, description="What its rows call it.")] = ""


class EncodedPictures(BaseModel):
    """Pictures in JSON."""

    model_config = ConfigDict(extra="forbid")

    pictures: list[EncodedPicture] = Field(min_length=1)


BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                        }
                    },
                }
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/EncodedPictures"}},
        },
    }
}


class Body:
    """The body of a request, as far as it is allowed.

    Args:
        request: nobody has read from it.
        limits: what is allowed.
        take: called with the number of bytes of each part that comes; it may refuse.
    """

    def __init__(
        self, request: Request, limits: Limits, take: Callable[[int], None] = lambda _: None
    ) -> None:
        self._request, self._limits, self._take = request, limits, take

    async def pictures(self) -> list[Upload]:
        """The pictures in it.

        Raises:
            Refusal: it is too large, of another form, holds none, or does not come.
            ClientDisconnect: the sender went away.
        """
        kind = self._request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            found = await self._multipart()
        elif kind == "application/json":
            body = b"".join([chunk async for chunk in self._chunks()])
            found = await asyncio.to_thread(_decoded, body, self._limits)  # others need not wait meanwhile
        else:
            raise Refusal(
                415,
                "unsupported-media-type",
                f"{kind or 'a body of no type'}: send multipart/form-data or application/json",
            )
        if not found:
            raise malformed("no picture: send at least one file")
        return found

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        declared = self._request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limits.max_bytes:
            raise too_many_bytes(self._limits.max_bytes)
        received = 0
        async for chunk in self._arriving():
            received += len(chunk)
            if received > self._limits.max_bytes:
                raise too_many_bytes(self._limits.max_bytes)
            self._take(len(chunk))
            yield chunk

    async def _arriving(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, however long it takes; but who sends a byte now and then holds the place of others."""
        stream, began, received = self._request.stream(), time.monotonic(), 0
        while True:
            late = max(0.0, time.monotonic() - began - received / SLOWEST)
            try:
                async with asyncio.timeout(self._limits.max_seconds - late):
                    chunk = await anext(stream, None)
            except TimeoutError:
                raise too_slow(self._limits) from None
            if chunk is None:
                return
            received += len(chunk)
            yield chunk

    async def _multipart(self) -> list[Upload]:
        most = self._limits.max_files
        parser = _InMemory(self._request.headers, self._chunks(), max_files=most + 1, max_fields=most)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            if parser.has_too_many_files:
                raise too_many_files(self._limits) from error
            raise malformed(f"not multipart/form-data ({error.message}): check how it is made") from error
        try:
            if not parser.has_ended:
                raise malformed("the body ends before its closing boundary: send it again, whole")
            files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
            if len(files) > most:
                raise too_many_files(self._limits)
            fields = [name for name, part in form.multi_items() if not isinstance(part, UploadFile)]
            if fields:
                raise malformed(
                    f"{fields[0][:80]!r} is no file: give it a file name, and options in the query of the address"
                )
            return [_upload(part.filename or "", part.file.read(), i) for i, part in enumerate(files)]
        finally:
            parser.close()


class _InMemory(MultiPartParser):
    """Keeps files in memory whatever their size; the body as a whole is limited."""

    spool_max_size = 0
    has_ended = False  # its last boundary was there: a body that was cut loses pictures and says nothing

    def on_end(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        """Close all files, also one that was cut, which the form does not know."""
        for file in self._files_to_close_on_error:
            file.close()

    @property
    def has_too_many_files(self) -> bool:
        return self._current_files > self.max_files


def _decoded(body: bytes, limits: Limits) -> list[Upload]:
    """The pictures of a body of JSON."""
    try:
        given = EncodedPictures.model_validate_json(body).pictures
    except ValidationError as error:
        raise malformed(in_words(error)) from None
    if len(given) > limits.max_files:
        raise too_many_files(limits)
    return [_upload(picture.name, _bytes(picture.data, i), i) for i, picture in enumerate(given)]


def _bytes(text: str, number: int) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise malformed(f"pictures.{number}.data: not base64: encode the file's bytes") from None


def _upload(name: str, data: bytes, number: int) -> Upload:
    if len(name) > LONGEST_NAME:
        raise malformed(f"the name of picture {number} is longer than {LONGEST_NAME} characters: shorten it")
    return Upload(name or f"picture {number}", data)


def in_words(error: _Invalid) -> str:
    """What is wrong with a request, without what was sent."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"
