"""What requests are answered, by a real server: rows, drawings, facts, state, metrics, refusals."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cameraborn.detect.card import card_text
from cameraborn.detect.conformal import smallest_rate
from cameraborn.detect.store import read_bundle
from tests.command import EXAMPLES, rows_of, run_here
from tests.serve.running import GENERATED, PHOTO

PAIR = (PHOTO, GENERATED)
NAMES = [path.name for path in PAIR]
RATE = 0.2  # a small bundle has few photographs


def scored(bundle, *arguments, cwd=EXAMPLES):
    """The rows of `cameraborn score`."""
    _, out, _ = run_here("score", *arguments, "--bundle", bundle, "--format", "jsonl", cwd=cwd)
    return rows_of(out)


def encoded(path, **fields):
    return {"data": base64.b64encode(path.read_bytes()).decode(), **fields}


def problem_of(answer, status, kind):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"title", "status", "kind", "detail"}
    assert (problem["status"], problem["kind"]) == (status, kind)
    return problem["detail"]


def test_files_of_a_form_get_the_rows_of_score(server, tiny_bundle):
    answer = server.score(*PAIR)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == scored(tiny_bundle, *NAMES)
    assert [row["path"] for row in answer.json()] == NAMES


def test_base64_in_json_gets_the_rows_of_score(server, tiny_bundle):
    pictures = [encoded(path, name=path.name) for path in PAIR]
    pictures[1]["data"] = "\n".join(
        pictures[1]["data"][i : i + 76] for i in range(0, len(pictures[1]["data"]), 76)
    )
    answer = server.client.post("/v1/score", json={"pictures": pictures})
    assert answer.json() == scored(tiny_bundle, *NAMES)


def test_pictures_without_a_name_are_numbered(server):
    answer = server.client.post("/v1/score", json={"pictures": [encoded(PHOTO), encoded(PHOTO)]})
    assert [row["path"] for row in answer.json()] == ["picture 0", "picture 1"]


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ({"false_alarm": RATE}, ["--false-alarm", RATE]),
        ({"fdr": 0.9}, ["--fdr", 0.9]),
        ({"whole_image": True}, ["--whole-image"]),
    ],
)
def test_options_are_those_of_score(server, tiny_bundle, query, options):
    assert server.score(*PAIR, **query).json() == scored(tiny_bundle, *NAMES, *map(str, options))


def test_a_broken_picture_is_a_row_and_the_others_are_judged(server, tiny_bundle, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(PHOTO.read_bytes()[:200])
    answer = server.score(broken, PHOTO)
    assert answer.status_code == 200
    assert answer.json()[0] == scored(tiny_bundle, "broken.jpg", cwd=tmp_path)[0]
    assert [row["scope"] for row in answer.json()] == ["unreadable", "ok"]


def test_odd_names_come_back_whole(server):
    for name in ("a b\u00e9\u4e2d.jpg", 'quo"te.jpg', "../../etc/passwd", "x" * 1024):
        answer = server.client.post("/v1/score", json={"pictures": [encoded(PHOTO, name=name)]})
        assert answer.json()[0]["path"] == name


def test_explain_draws_a_png(server):
    answer = server.client.post("/v1/explain", files={"file": PHOTO.read_bytes()})
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as drawn:
        drawn.load()
        assert min(drawn.size) > 500


def test_explain_says_what_is_missing(server):
    no_such = server.client.post(
        "/v1/explain", params={"face": 7}, files={"file": (PHOTO.name, PHOTO.read_bytes())}
    )
    assert "there is no face 7" in problem_of(no_such, 422, "picture")
    two = server.client.post("/v1/explain", json={"pictures": [encoded(PHOTO)] * 2})
    assert "more than one picture" in problem_of(two, 422, "malformed-request")


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


def test_provenance_gets_the_rows_of_provenance(server, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(PHOTO.read_bytes()[:20])
    (tmp_path / PHOTO.name).write_bytes(PHOTO.read_bytes())
    marked = PngInfo()
    marked.add_text("parameters", "a face\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x8")
    Image.new("RGB", (8, 8)).save(tmp_path / "marked.png", pnginfo=marked)
    paths = (broken, PHOTO, tmp_path / "marked.png")
    names = [path.name for path in paths]
    _, out, _ = run_here("provenance", *names, "--format", "jsonl", cwd=tmp_path)
    files = [("file", (path.name, path.read_bytes())) for path in paths]
    answer = server.client.post("/v1/provenance", files=files)
    assert answer.json() == rows_of(out)
    assert [row["says"] for row in answer.json()][::2] == ["unreadable", "generated"]


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


def test_a_picture_that_is_not_judged_has_no_category(server, tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "empty.png")
    assert server.score(tmp_path / "empty.png", category=True).json()[0]["category"] is None


def test_state(server):
    assert server.client.get("/healthz").json() == {"status": "ok"}
    assert server.client.get("/readyz").json() == {"status": "ready"}


def test_metrics_count_requests_pictures_verdicts_and_errors(server):
    counted = {
        'cameraborn_requests_total{route="/v1/score",status="200"}': 1,
        "cameraborn_pictures_total": 2,
        'cameraborn_verdicts_total{scope="ok"}': 2,
        'cameraborn_request_seconds_count{route="/v1/score"}': 2,
        'cameraborn_errors_total{kind="malformed-request"}': 1,
    }
    server.score(*PAIR)
    server.score(PHOTO, no_option=1)
    before = {name: server.metric(name) for name in counted}
    server.score(*PAIR)
    server.score(PHOTO, no_option=1)
    assert {name: server.metric(name) - value for name, value in before.items()} == counted
    for gauge in ("requests_under_way", "pictures_pending", "pictures_working"):
        assert server.metric(f"cameraborn_{gauge}") == 0


def test_many_clients_at_once_get_the_rows_of_score(server, tiny_bundle):
    """Whose faces go through the networks together where they meet."""
    expected, runs = scored(tiny_bundle, *NAMES), "cameraborn_faces_together"
    before = {name: server.metric(f"{runs}_{name}") for name in ("count", "sum")}
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda _: server.score(*PAIR), range(32)))
    assert all(answer.json() == expected for answer in answers)
    count, faces = (server.metric(f"{runs}_{name}") - value for name, value in before.items())
    assert 0 < count <= faces == 64


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


@pytest.mark.parametrize(
    "query",
    [
        *({"false_alarm": value} for value in ("0", "1", "nan", "x", "-1")),
        {"fdr": 2},
        {"fdr": 0.1, "false_alarm": 0.1},
        {"false-alarm": 0.1},
    ],
    ids=str,
)
def test_queries_that_mean_nothing_are_refused(server, query):
    problem_of(server.score(PHOTO, **query), 422, "malformed-request")


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


@pytest.mark.parametrize(
    "path", ["/", "/page/main.js", "/healthz", "/readyz", "/v1/bundle", "/metrics", "/nowhere"]
)
def test_head_is_answered_as_get_without_a_body(server, path):
    told, whole = server.client.head(path), server.client.get(path)
    assert (told.status_code, told.content) == (whole.status_code, b"")
    for name in ("content-type", "content-security-policy"):
        assert told.headers.get(name) == whole.headers.get(name)
    if path != "/metrics":  # it counts the requests for itself
        assert told.headers["content-length"] == whole.headers["content-length"]


def test_other_requests_are_refused_as_problems(server):
    problem_of(server.client.get("/nowhere"), 404, "not-found")
    wrong = server.client.get("/v1/score")
    problem_of(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "POST"
    plain = server.client.post("/v1/score", content=b"x", headers={"Content-Type": "text/plain"})
    problem_of(plain, 415, "unsupported-media-type")


def test_a_page_of_a_stranger_cannot_reach_a_server_without_tokens(server):
    for host in ("evil.example", "127.0.0.1.evil.example", "["):
        problem_of(server.client.get("/v1/bundle", headers={"Host": host}), 421, "foreign-host")
    assert server.client.get("/v1/bundle", headers={"Host": "localhost:1"}).status_code == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example", "http://127.0.0.1:1"):
        answer = server.client.post(
            "/v1/jobs", files={"file": PHOTO.read_bytes()}, headers={"Origin": origin}
        )
        problem_of(answer, 403, "foreign-origin")
    assert server.client.get("/v1/jobs", headers={"Origin": server.url}).status_code == 200


def test_answers_are_not_kept_and_load_nothing(server):
    for path in ("/healthz", "/v1/bundle", "/nowhere", "/docs"):
        headers = server.client.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")


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


def test_nothing_of_a_picture_is_logged(server):
    marked = {"pictures": [encoded(PHOTO, name="a-name-that-nobody-has.jpg")]}
    server.client.post("/v1/score", json=marked)
    server.client.post("/v1/score", json={"pictures": [{"data": "bm90IGEgcGljdHVyZQ", "name": "secret"}]})
    assert "/v1/score" in server.log
    for text in ("a-name-that-nobody-has", "secret", marked["pictures"][0]["data"][:40]):
        assert text not in server.log


def test_many_clients_get_their_own_rows(server, tiny_bundle):
    alone = {path.name: scored(tiny_bundle, path.name) for path in PAIR}

    def ask(number):
        path = PAIR[number % 2]
        with httpx.Client(base_url=server.url, timeout=60) as client:
            rows = client.post("/v1/score", files={"file": (path.name, path.read_bytes())}).json()
        return rows == alone[path.name]

    with ThreadPoolExecutor(16) as clients:
        assert all(clients.map(ask, range(48)))
