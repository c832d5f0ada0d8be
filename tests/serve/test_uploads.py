"""The pictures of a request: read from forms and JSON, whole or not at all, and never more than is allowed."""

import asyncio
import base64
import gc
import json
import warnings

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from cameraborn.serve.limits import Limits, Refusal
from cameraborn.serve.uploads import Body, Upload
from tests.serve.running import PHOTO, encoded, problem_of


def test_pictures_without_a_name_are_numbered(server):
    answer = server.client.post("/v1/score", json={"pictures": [encoded(PHOTO), encoded(PHOTO)]})
    assert [row["path"] for row in answer.json()] == ["picture 0", "picture 1"]


def test_odd_names_come_back_whole(server):
    for name in ("a b\u00e9\u4e2d.jpg", 'quo"te.jpg', "../../etc/passwd", "x" * 1024):
        answer = server.client.post("/v1/score", json={"pictures": [encoded(PHOTO, name=name)]})
        assert answer.json()[0]["path"] == name


BAD_JSON = {
    "no JSON": "{",
    "no object": "[]",
    "nothing": "",
    "deep": "[" * 100_000,
    "no pictures": json.dumps({"pictures": []}),
    "no data": json.dumps({"pictures": [{}]}),
    "no base64": json.dumps({"pictures": [{"data": "..."}]}),
    "an address": json.dumps({"pictures": [{"url": "http://127.0.0.1/x.jpg"}]}),
    "a path": json.dumps({"pictures": [{"path": "/etc/passwd"}]}),
    "a long name": json.dumps({"pictures": [{"data": "", "name": "x" * 1025}]}),
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_json_of_another_form_is_refused(server, body):
    answer = server.client.post("/v1/score", content=body, headers={"Content-Type": "application/json"})
    problem_of(answer, 422, "malformed-request")


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'


BAD_FORMS = {
    "no boundary": ({"Content-Type": "multipart/form-data"}, HEAD),
    "another boundary": (FORM, HEAD.replace(b"--b", b"--c")),
    "cut in a second file": (FORM, HEAD + b"x\r\n" + HEAD + b"y"),
    "cut before its end": (FORM, HEAD + b"x\r\n" + HEAD + b"y\r\n--b"),
    "no name": (FORM, HEAD.replace(b'name="file"; ', b"") + b"x\r\n--b--\r\n"),
    "nothing": (FORM, b""),
    "no file": (FORM, b'--b\r\nContent-Disposition: form-data; name="path"\r\n\r\n/etc/passwd\r\n--b--\r\n'),
    "no parts": (FORM, b"--b--\r\n"),
}


@pytest.mark.parametrize(("headers", "body"), BAD_FORMS.values(), ids=BAD_FORMS)
def test_forms_of_another_form_are_refused(server, headers, body):
    problem_of(server.client.post("/v1/score", content=body, headers=headers), 422, "malformed-request")


def taken(body, kind="application/json", *, parts=1, take=lambda _: None, headers=(), **limits):
    """The pictures in a body that comes in so many parts."""
    size = -(-len(body) // parts) or 1
    chunks = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    scope = {"type": "http", "headers": [*([(b"content-type", kind.encode())] if kind else []), *headers]}

    async def receive():
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    return asyncio.run(Body(Request(scope, receive), Limits(**limits), take).pictures())


def refused(*arguments, **options):
    """The status, kind and detail of what is answered instead."""
    with pytest.raises(Refusal) as caught:
        taken(*arguments, **options)
    return caught.value.status, caught.value.kind, caught.value.detail


NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
PICTURES = st.lists(st.tuples(NAMES, st.binary(max_size=50)), min_size=1, max_size=4)


def form(pictures):
    """The body and the media type of files of a form, as a client makes them."""
    request = httpx.Request("POST", "http://x", files=[("file", picture) for picture in pictures])
    return request.read(), request.headers["content-type"]


def in_json(pictures):
    told = [{"name": name, "data": base64.b64encode(data).decode()} for name, data in pictures]
    return json.dumps({"pictures": told}).encode()


@given(PICTURES, st.integers(1, 9))
def test_pictures_that_were_sent_are_taken_however_they_come(pictures, parts):
    expected = [Upload(name, data) for name, data in pictures]
    sizes = []
    body, kind = form(pictures)
    assert taken(body, kind, parts=parts, take=sizes.append) == expected
    assert sum(sizes) == len(body)
    assert taken(in_json(pictures), "Application/JSON; charset=utf-8", parts=parts) == expected


def answer_to(*arguments):
    """The pictures, or the kind of the refusal."""
    try:
        return taken(*arguments)
    except Refusal as refusal:
        return refusal.kind


IN_JSON, IN_FORM = "application/json", "multipart/form-data; boundary=b"
PATH = b'--b\r\nContent-Disposition: form-data; name="path"\r\n\r\n/etc/passwd\r\n--b--\r\n'
END = b"x\r\n--b--\r\n"
WRONG = {
    b'{"pictures": []}': "pictures: List should have at least 1 item after validation, not 0",
    b'{"pictures": [{}]}': "pictures.0.data: Field required",
    b'{"pictures": [{"data": "..."}]}': "pictures.0.data: not base64: encode the file's bytes",
    b'{"pictures": [{"data": ""}, {"data": "\\u00e9"}]}': "pictures.1.data: not base64: encode the file's bytes",
    b'{"pictures": [{"data": "", "url": 1}]}': "pictures.0.url: Extra inputs are not permitted",
    b"--b--\r\n": "no picture: send at least one file",
    HEAD + b"x\r\n--b": "the body ends before its closing boundary: send it again, whole",
    PATH: "'path' is no file: give it a file name, and options in the query of the address",
    HEAD.replace(b"a.jpg", b"a" * 1025)
    + END: "the name of picture 0 is longer than 1024 characters: shorten it",
}


@given(st.binary(max_size=200), st.sampled_from([IN_JSON, IN_FORM]))
def test_arbitrary_bytes_are_pictures_or_refused(body, kind):
    for sent in (body, HEAD + body, HEAD + body + b"\r\n--b--"):
        found = answer_to(sent, kind)
        assert found == "malformed-request" or (found and all(isinstance(one, Upload) for one in found))


@pytest.mark.parametrize("body", WRONG, ids=WRONG.values())
def test_what_is_wrong_is_told_with_its_place(body):
    assert refused(body, IN_JSON if body.startswith(b"{") else IN_FORM) == (
        422,
        "malformed-request",
        WRONG[body],
    )


@pytest.mark.parametrize(("kind", "named"), [("Text/Plain; a=b", "text/plain"), ("", "a body of no type")])
def test_another_type_is_refused_unread(kind, named):
    said = f"{named}: send multipart/form-data or application/json"
    assert refused(b"x", kind, max_bytes=0) == (415, "unsupported-media-type", said)


def test_a_body_is_as_large_as_is_allowed_and_no_larger():
    body = in_json([("a", bytes(100))])
    large = (
        413,
        "too-many-bytes",
        "the request is larger than 0.00012207 MiB: send fewer or smaller pictures at a time",
    )
    assert len(body) > 128
    assert taken(body, max_bytes=len(body), parts=3)
    assert refused(body, max_bytes=128, parts=9) == large
    declared = [(b"content-length", b"129")]
    counted = []
    assert refused(body, max_bytes=128, headers=declared, take=counted.append) == large
    assert counted == []  # not a byte of it was read


def test_pictures_are_as_many_as_are_allowed_and_no_more():
    pictures = [("a", b"1"), ("b", b"2"), ("c", b"3")]
    many = (413, "too-many-files", "there are more than 2 pictures: send fewer at a time")
    for more in range(3):
        sent = pictures + [("d", b"4")] * more
        assert refused(in_json(sent), max_files=2) == many
        assert refused(*form(sent), max_files=2) == many
    assert len(taken(in_json(pictures), max_files=3)) == len(taken(*form(pictures), max_files=3)) == 3


def test_who_counts_the_bytes_may_refuse_them():
    def take(count):
        sizes.append(count)
        if sum(sizes) > 40:
            raise Refusal(429, "job-bytes-full", "full")

    sizes = []
    body = in_json([("a", bytes(90))])
    assert refused(body, parts=10, take=take) == (429, "job-bytes-full", "full")
    assert sum(sizes) - sizes[-1] <= 40


def test_base64_may_have_line_ends():
    lines = base64.encodebytes(bytes(range(256))).decode()
    assert lines.count("\n") == 5
    body = json.dumps({"pictures": [{"data": lines}, {"data": ""}]}).encode()
    assert taken(body) == [Upload("picture 0", bytes(range(256))), Upload("picture 1", b"")]


def test_a_file_that_is_cut_is_closed():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for body in (HEAD + b"x", HEAD + b"x\r\n" + HEAD + b"y"):
            assert answer_to(body, IN_FORM) == "malformed-request"
        gc.collect()
    assert [str(one.message) for one in told] == []
