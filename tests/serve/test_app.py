"""What requests are answered, by a real server: rows, drawings, facts, state, metrics, refusals."""

import io
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.command import rows_of, run_here
from tests.serve.running import NAMES, PAIR, PHOTO, encoded, problem_of, scored

RATE = 0.2  # a small bundle has few photographs


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


def test_a_picture_that_is_not_judged_has_no_category(server, tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "empty.png")
    assert server.score(tmp_path / "empty.png", category=True).json()[0]["category"] is None


def test_state(server):
    assert server.client.get("/healthz").json() == {"status": "ok"}
    assert server.client.get("/readyz").json() == {"status": "ready"}


def test_many_clients_at_once_get_the_rows_of_score(server, tiny_bundle):
    """Whose faces go through the networks together where they meet."""
    expected, runs = scored(tiny_bundle, *NAMES), "cameraborn_faces_together"
    before = {name: server.metric(f"{runs}_{name}") for name in ("count", "sum")}
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda _: server.score(*PAIR), range(32)))
    assert all(answer.json() == expected for answer in answers)
    count, faces = (server.metric(f"{runs}_{name}") - value for name, value in before.items())
    assert 0 < count <= faces == 64


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


def test_other_requests_are_refused_as_problems(server):
    problem_of(server.client.get("/nowhere"), 404, "not-found")
    wrong = server.client.get("/v1/score")
    problem_of(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "POST"
    plain = server.client.post("/v1/score", content=b"x", headers={"Content-Type": "text/plain"})
    problem_of(plain, 415, "unsupported-media-type")


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
