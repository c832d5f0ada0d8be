"""The page at `/` as people use it: in a real browser, with a real server."""

import csv
import io
import json
import re
import shutil
from base64 import b64encode
from hashlib import sha256

import pytest
from PIL import Image

from cameraborn.serve.static import FOLDER
from tests.command import run_here
from tests.serve.running import GENERATED, PHOTO, running
from tests.serve.test_server import TOKEN, tokens  # noqa: F401 (a fixture)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine, to open the page as people do"
)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser):
    """Opens the page of a server; whatever the browser complains of fails the test."""
    contexts, complaints = [], []

    def opened(server, **options):
        context = browser.new_context(accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(server.url + "/")
        return page

    opened.complaints = complaints
    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def judged(page, *paths):
    """The page when pictures have been judged."""
    page.set_input_files("#files", [str(path) for path in paths])
    page.locator(".picture").nth(len(paths) - 1).wait_for()
    page.wait_for_selector("#progress-row", state="hidden")
    return page


def move_slider(page, place):
    page.eval_on_selector(
        "#rate", f"(slider) => {{ slider.value = {place}; slider.dispatchEvent(new Event('input')); }}"
    )


def without_extras(row):
    extras = ("false_alarm_rate", "sha256", "provenance", "provenance_summary")
    return {name: value for name, value in row.items() if name not in extras}


def exported(page, button):
    with page.expect_download() as download:
        page.click(button)
    return download.value.path().read_text(encoding="utf-8")


def test_the_files_of_the_page_come_with_a_strict_policy_and_no_outside_resource(server):
    answer = server.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    named = re.findall(r'(?:src|href)="(/page/[^"]+)"', answer.text)
    assert {"/page/page.css", "/page/main.js"} <= set(named)
    for file in FOLDER.iterdir():
        if file.name != "index.html":
            assert server.client.get(f"/page/{file.name}").content == file.read_bytes()
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text
        assert "https:" not in text
    assert not re.search(r"<style|<script>|\sstyle=|\son[a-z]+=", answer.text)


@in_browser
def test_pictures_are_judged_decided_anew_and_exported(server, tiny_bundle, open_page):
    page = judged(open_page(server), PHOTO, GENERATED)
    rows = [row for path in (PHOTO, GENERATED) for row in server.score(path).json()]
    sentences = page.locator(".sentence").all_inner_texts()
    assert len(sentences) == len(rows)
    assert all(re.search(r"photographs? (in|look)", text) for text in sentences)
    assert page.locator(".box").count() == len(rows)
    facts = server.client.get("/v1/bundle").json()
    most = int(page.get_attribute("#rate", "max"))
    for place, rate in ((0, facts["smallest_false_alarm_rate"]), (most, 0.5)):
        move_slider(page, place)
        assert page.locator(".face.flagged").count() == sum(row["p_value"] <= rate for row in rows)

    table = list(csv.DictReader(io.StringIO(exported(page, "#csv"))))
    names = [PHOTO.name, GENERATED.name]
    options = ("--bundle", tiny_bundle, "--false-alarm", "0.5", "--format", "csv")
    _, expected, _ = run_here("score", *names, *options, cwd=PHOTO.parent)
    assert [without_extras(row) for row in table] == list(csv.DictReader(io.StringIO(expected)))
    assert {row["sha256"] for row in table} == {
        sha256(path.read_bytes()).hexdigest() for path in (PHOTO, GENERATED)
    }
    document = json.loads(exported(page, "#json"))
    assert document["false_alarm_rate"] == 0.5
    by_path = {row["path"]: row for picture in document["pictures"] for row in picture["rows"]}
    for row in rows:
        assert by_path[row["path"]]["score"] == row["score"]
        assert by_path[row["path"]]["flagged"] == (row["p_value"] <= 0.5)
    report = exported(page, "#report")
    assert "What this cannot tell" in report
    assert report.count("data:image/jpeg;base64,") == 2
    assert "<script" not in report


@in_browser
def test_every_picture_is_accounted_for_in_the_order_given(server, tmp_path, open_page):
    broken, empty = tmp_path / "b<i>roken.jpg", tmp_path / "empty.png"
    broken.write_bytes(PHOTO.read_bytes()[:200])
    Image.new("RGB", (64, 64)).save(empty)
    page = judged(open_page(server), PHOTO, broken, empty)
    assert page.locator("h3").all_inner_texts() == [PHOTO.name, broken.name, empty.name]
    assert "damaged or truncated" in page.locator(".sentence").nth(1).inner_text()
    assert "No face was found" in page.locator(".sentence").nth(2).inner_text()
    assert "2 could not be judged" in page.inner_text("#summary")
    page.select_option("#filter", "not judged")
    assert page.locator(".picture:visible").count() == 2


@in_browser
def test_what_was_stopped_says_so(server, open_page):
    page = open_page(server)
    page.set_input_files("#files", [str(PHOTO)] * 40)
    page.click("#stop")
    page.locator(".picture").nth(39).wait_for()
    page.wait_for_selector("#progress-row", state="hidden")
    assert page.locator("text=because you stopped").count() >= 1
    assert page.locator(".face").count() == 40


@in_browser
def test_dropped_pictures_are_taken(server, open_page):
    page = open_page(server)
    page.evaluate(
        """async (encoded) => {
            const bytes = Uint8Array.from(atob(encoded), (sign) => sign.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "dropped.jpg", { type: "image/jpeg" }));
            document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, dataTransfer: transfer }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }));
        }""",
        b64encode(PHOTO.read_bytes()).decode(),
    )
    page.locator(".picture").nth(1).wait_for()
    assert page.locator("h3").all_inner_texts() == ["dropped.jpg"] * 2


@in_browser
def test_it_fits_a_phone_and_works_with_the_keyboard(server, open_page):
    page = judged(open_page(server, viewport={"width": 360, "height": 740}), PHOTO)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.focus("#rate")
    before = page.inner_text("#rate-text")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#rate-text") != before
    assert page.get_attribute("#rate", "aria-valuetext") == page.inner_text("#rate-text")


@in_browser
def test_an_explanation_is_drawn_on_demand(server, open_page):
    page = judged(open_page(server), PHOTO)
    page.click("text=Explain")
    page.wait_for_selector(".explanation img")
    assert (
        page.eval_on_selector(".explanation img", "(image) => image.decode().then(() => image.naturalWidth)")
        > 500
    )


@in_browser
def test_the_page_has_no_violations_of_accessibility_rules(server, open_page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for scheme in ("light", "dark"):
        page = judged(open_page(server, color_scheme=scheme, bypass_csp=True), PHOTO)
        page.eval_on_selector_all("details", "(all) => all.forEach((one) => { one.open = true; })")
        found = axe.run(page)
        assert found.response["violations"] == [], found.generate_report()


@in_browser
def test_a_server_with_tokens_asks_for_one(tiny_bundle, tokens, open_page):  # noqa: F811
    with running(tiny_bundle, "--tokens", tokens) as server:
        page = open_page(server)
        page.fill("#token", "wrong")
        page.click("#access button")
        page.wait_for_selector("text=not known to the server")
        page.fill("#token", TOKEN)
        page.click("#access button")
        page.wait_for_selector("#access", state="hidden")
        judged(page, PHOTO)
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    open_page.complaints[:] = [text for text in open_page.complaints if "401" not in text]
