"""Many files on the page are a job of the server: followed, cancelled, and there again when the page is loaded anew."""

import csv
import io

import pytest

from tests.command import wait_until
from tests.photo.test_video import corner, write
from tests.serve.browsing import exported, in_browser, judged
from tests.serve.running import PATIENT, PHOTO, TOKEN, ended, results, running, started

expect = pytest.importorskip("playwright.sync_api").expect
MANY = [PHOTO] * 22


def jobs_of(server, **headers):
    return server.client.get("/v1/jobs", headers=headers).json()["jobs"]


def asked(page):
    """The routes that a page asks from now on."""
    found = []
    page.on("request", lambda request: found.append(request.url.split("/v1/")[-1].split("?")[0]))
    return found


@in_browser
def test_many_files_are_a_job_whose_rows_are_there_when_the_page_is_loaded_anew(tiny_bundle, open_page):
    with running(tiny_bundle) as server:
        page = open_page(server)
        routes = asked(page)
        judged(page, *MANY)
        assert routes.count("jobs") == 1
        assert "score" not in routes
        (job,) = jobs_of(server)
        assert job["counts"]["judged"] == 22
        table = exported(page, "#csv")
        assert len(list(csv.DictReader(io.StringIO(table)))) == 22

        page.reload()
        expect(page.locator(".picture")).to_have_count(22)
        expect(page.locator("text=The server keeps no pictures")).to_have_count(22)
        again = exported(page, "#csv")
        names = ("path", "score", "p_value", "provenance")
        first, second = (
            [[row[name] for name in names] for row in csv.DictReader(io.StringIO(text))]
            for text in (table, again)
        )
        assert first == second
        assert "22" in exported(page, "#report")

        page.click("#clear")
        wait_until(lambda: jobs_of(server) == [])
        page.reload()
        page.wait_for_selector("#bundle-name:not(:text('not loaded'))", state="attached")
        assert page.is_hidden("#work")


@in_browser
def test_a_job_goes_on_while_the_page_is_loaded_anew_and_can_be_stopped(tiny_bundle, animation, open_page):
    with running(tiny_bundle, "--jobs", 1, *PATIENT) as server:
        page = open_page(server)
        page.set_input_files("#files", [str(PHOTO), *[str(animation)] * 24])
        page.locator(".picture").first.wait_for()
        assert page.is_visible("#progress-row")
        page.reload()
        page.locator(".picture").first.wait_for()
        expect(page.locator("#done")).to_contain_text("of 25 files are finished")
        page.click("#stop")
        page.wait_for_selector("#progress-row", state="hidden")
        expect(page.locator(".picture")).to_have_count(25)
        assert page.locator("text=because you stopped").count() >= 20
        (job,) = jobs_of(server)
        assert job["state"] == "cancelled"
        assert page.locator("text=because you stopped").count() == job["counts"]["cancelled"]


@in_browser
def test_a_job_that_the_server_has_forgotten_is_told(tiny_bundle, animation, open_page):
    with running(tiny_bundle, "--jobs", 1, *PATIENT) as server:
        page = open_page(server)
        page.set_input_files("#files", [str(PHOTO), *[str(animation)] * 24])
        page.locator(".picture").first.wait_for()
        (job,) = jobs_of(server)
        server.client.delete(f"/v1/jobs/{job['id']}")
        page.wait_for_selector("#progress-row", state="hidden")
        expect(page.locator(".picture")).to_have_count(25)
        assert page.locator("text=no job of yours has this id").count() >= 20
    open_page.complaints[:] = [text for text in open_page.complaints if "404" not in text]


@in_browser
def test_the_page_says_why_it_waits_and_can_be_stopped(tiny_bundle, open_page):
    with running(tiny_bundle, "--max-jobs", 1) as server:
        others = started(server, PHOTO)  # whose rows nobody reads
        page = open_page(server)
        page.set_input_files("#files", [str(path) for path in MANY])
        expect(page.locator("#waits")).to_contain_text("as many jobs as are kept (1)")
        expect(page.locator("#done")).to_have_text("0 of 22 files are finished")
        page.click("#stop")
        expect(page.locator("text=because you stopped")).to_have_count(22)
        assert page.is_hidden("#progress-row")
        ended(server, others)
        results(server, others)
        for _ in range(2):  # what a tab has read makes room, also when it was closed without "Clear"
            page = judged(open_page(server), *MANY)
            page.context.close()
        assert len(jobs_of(server)) == 1
    open_page.complaints[:] = [text for text in open_page.complaints if "429" not in text]


@in_browser
def test_a_file_that_is_larger_than_a_request_may_be_is_a_job(tiny_bundle, open_page):
    with running(tiny_bundle, "--max-bytes", PHOTO.stat().st_size) as server:
        page = open_page(server)
        routes = asked(page)
        judged(page, PHOTO)
        assert routes.count("jobs") == 1
        assert "photograph" in page.inner_text(".sentence")


@in_browser
def test_a_job_of_a_server_with_tokens_waits_for_the_token(tiny_bundle, tokens, open_page):
    with running(tiny_bundle, "--tokens", tokens) as server:
        page = open_page(server)
        for _ in range(2):
            page.fill("#token", TOKEN)
            page.click("#access button")
            page.wait_for_selector("#access", state="hidden")
            if page.locator(".picture").count() == 0 and not jobs_of(server, Authorization=f"Bearer {TOKEN}"):
                judged(page, *MANY)
                page.reload()
        expect(page.locator(".picture")).to_have_count(22)
        assert TOKEN not in page.evaluate("JSON.stringify({ ...sessionStorage, ...localStorage })")
    open_page.complaints[:] = [text for text in open_page.complaints if "401" not in text]


@in_browser
def test_a_video_is_followed_and_not_judged(server, tmp_path, open_page):
    pytest.importorskip("av")
    film = write(tmp_path / "film.webm", [corner((320, 240))] * 20, codec="libvpx-vp9")
    page = judged(open_page(server), film)
    assert page.inner_text(".word") == "Not judged"
    assert "0:00.0 to 0:01.5, 4 frames looked at" in page.inner_text(".face")
    assert "No face was found" in page.inner_text(".sentence")
    assert page.eval_on_selector("video", "(video) => video.controls")
    wait_until(lambda: page.eval_on_selector("video", "(video) => video.videoWidth") == 320)
