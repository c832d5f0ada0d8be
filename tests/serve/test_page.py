"""The page at `/` as people use it: in a real browser, with a real server."""

import csv
import io
import json
import re
from base64 import b64encode
from hashlib import sha256

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.command import EXAMPLES, run_here, wait_until
from tests.serve.browsing import exported, in_browser, judged, open_all, violations
from tests.serve.running import GENERATED, PATIENT, PHOTO, TOKEN, running


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory):
    """One that is broken, one without a face, one with a small face, one with a mark and a name that is long."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "broken.jpg").write_bytes(PHOTO.read_bytes()[:200])
    Image.new("RGB", (64, 64)).save(folder / "empty.png")
    with Image.open(PHOTO) as image:
        small = Image.new("RGB", (400, 300), "grey")
        small.paste(image.resize((60, 60)), (100, 100))
        small.save(folder / "small.png")
        mark = PngInfo()
        mark.add_text("parameters", "a face\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x8")
        image.save(folder / f"{'a' * 120}.png", pnginfo=mark)
    return sorted(folder.iterdir())


def move_slider(page, place):
    page.eval_on_selector(
        "#rate", f"(slider) => {{ slider.value = {place}; slider.dispatchEvent(new Event('input')); }}"
    )


def without_extras(row):
    extras = ("false_alarm_rate", "sha256", "provenance", "provenance_summary")
    return {name: value for name, value in row.items() if name not in extras}


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
def test_a_picture_that_is_refused_has_its_digest_in_exports(tiny_bundle, open_page):
    with running(tiny_bundle, "--max-pixels", 320 * 319) as server:
        page = judged(open_page(server), PHOTO)
        assert "pixels are more than the limit" in page.inner_text(".sentence")
        digest = sha256(PHOTO.read_bytes()).hexdigest()
        (row,) = csv.DictReader(io.StringIO(exported(page, "#csv")))
        assert row["sha256"] == digest
        assert json.loads(exported(page, "#json"))["pictures"][0]["sha256"] == digest
    open_page.complaints[:] = [text for text in open_page.complaints if "422" not in text]


COLOURS = {(200, 0, 0): "red", (0, 160, 0): "green", (0, 0, 200): "blue", (230, 230, 0): "yellow"}
# In a page: the colours in the corners of what an address shows, clockwise from the upper left.
CORNERS = """async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const { naturalWidth: w, naturalHeight: h } = image, brush = new OffscreenCanvas(w, h).getContext("2d");
    brush.drawImage(image, 0, 0);
    const at = (x, y) => [...brush.getImageData(Math.round(x * w), Math.round(y * h), 1, 1).data.slice(0, 3)];
    return { size: [w, h], corners: [at(.2, .2), at(.8, .2), at(.8, .8), at(.2, .8)] };
}"""


@in_browser
@pytest.mark.parametrize("format", ["WEBP", "PNG"])
def test_a_turned_picture_is_shown_upright(server, tmp_path, format, open_page):
    """Boxes are those of the upright picture, here and in the report."""
    upright = Image.new("RGB", (96, 64))
    for place, colour in zip(((0, 0), (48, 0), (48, 32), (0, 32)), COLOURS, strict=True):
        upright.paste(colour, (*place, place[0] + 48, place[1] + 32))
    undone = [
        None,
        "FLIP_LEFT_RIGHT",
        "ROTATE_180",
        "FLIP_TOP_BOTTOM",
        "TRANSPOSE",
        "ROTATE_90",
        "TRANSVERSE",
        "ROTATE_270",
    ]
    for orientation, undo in enumerate(undone, 1):
        stored = upright.transpose(Image.Transpose[undo]) if undo else upright
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.{format.lower()}"
        stored.save(path, format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    page = judged(open_page(server), *sorted(tmp_path.iterdir()))
    wait_until(lambda: page.evaluate("[...document.images].every((one) => one.src)"))
    report = exported(page, "#report")
    thumbnails = re.findall(r"data:image/jpeg;base64,[^\"]+", report)
    shown = page.eval_on_selector_all(".shown img", "(all) => all.map((one) => one.src)")
    assert len(shown) == len(thumbnails) == 8
    for url in (*shown, *thumbnails):
        seen = page.evaluate(CORNERS, url)
        assert seen["size"] == [96, 64]
        assert [nearest(colour) for colour in seen["corners"]] == list(COLOURS.values())


def nearest(colour):
    return COLOURS[min(COLOURS, key=lambda one: sum(abs(a - b) for a, b in zip(one, colour, strict=True)))]


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
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_fits_every_width(server, odd_files, width, open_page):
    page = judged(open_page(server, viewport={"width": width, "height": 740}), PHOTO, *odd_files)
    open_all(page)
    page.locator("text=Explain").first.click()
    page.wait_for_selector(".explanation img")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    drawing, card = (
        page.locator(".explanation img").bounding_box(),
        page.locator(".picture").first.bounding_box(),
    )
    assert card["x"] < drawing["x"] < drawing["x"] + drawing["width"] < card["x"] + card["width"]


@in_browser
def test_names_come_back_as_they_are(server, tmp_path, open_page):
    """A browser's form sends a quote as %22, which may as well be a part of the name."""
    name = '=cmd|calc,"x"%22\\b;é.jpg'
    odd = tmp_path / name
    odd.write_bytes(PHOTO.read_bytes())
    page = judged(open_page(server), odd)
    (row,) = csv.DictReader(io.StringIO(exported(page, "#csv")))
    assert (row["path"], row["scope"]) == (name, "ok")


@in_browser
def test_red_and_what_raised_the_score_are_of_flagged_faces_alone(server, open_page):
    rows = {path: server.score(path).json()[0] for path in sorted(EXAMPLES.glob("*.jpg"))}
    path, row = min(rows.items(), key=lambda item: item[1]["p_value"])
    page = judged(open_page(server), path)
    open_all(page)
    assert page.inner_text(".face p").startswith(f"Face {row['face']}:")
    seen = []
    for place in (0, page.get_attribute("#rate", "max")):
        move_slider(page, place)
        flagged = page.locator(".face.flagged").count() == 1
        title = page.inner_text(".said summary")
        assert ("raised the score most" in title) == (flagged and row["decided_by"] is not None)
        fill = page.eval_on_selector(".tail", "(bar) => getComputedStyle(bar).fill")
        red, _, blue = map(int, re.findall(r"\d+", fill))
        assert (red > blue) == flagged
        seen.append(flagged)
    assert seen == [False, True]


@in_browser
def test_each_thing_is_there_once_for_a_screen_reader(server, open_page):
    page = judged(open_page(server), PHOTO)
    summary = page.text_content("#summary")
    wait_until(lambda: page.text_content("#announced") == summary)
    tree = page.locator("body").aria_snapshot()
    assert tree.count(summary) == 1
    assert tree.count('"Choose files"') == 1


@in_browser
def test_the_controls_cover_nothing(server, open_page):
    page = judged(open_page(server, viewport={"width": 1440, "height": 900}), PHOTO, GENERATED)
    open_all(page)
    page.mouse.wheel(0, 700)
    wait_until(lambda: page.evaluate("scrollY") > 300)
    panel, picture = page.locator(".panel").bounding_box(), page.locator(".picture").first.bounding_box()
    assert picture["y"] < panel["y"] + panel["height"]
    assert panel["x"] + panel["width"] <= picture["x"]
    assert 0 <= panel["y"] < panel["y"] + panel["height"] <= 900


@in_browser
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_report_of_one_face_is_one_page_of_paper(server, paper, open_page):
    page = judged(open_page(server), PHOTO)
    page.click("text=Explain")
    page.wait_for_selector(".explanation img")
    report = page.context.new_page()
    report.set_content(exported(page, "#report"))
    wait_until(lambda: report.evaluate("[...document.images].every((image) => image.complete)"))
    assert report.locator(".histogram svg").count() == 1
    assert report.locator("img").count() == 2
    assert re.findall(rb"/Type */Pages.*?/Count (\d+)", report.pdf(format=paper), re.DOTALL) == [b"1"]


SHAPE = "(image) => [image.clientWidth / image.clientHeight, image.naturalWidth / image.naturalHeight]"


@in_browser
@pytest.mark.parametrize("media", ["screen", "print"])
def test_the_report_distorts_no_picture(server, media, tmp_path, open_page):
    wide, long_name = tmp_path / "wide.jpg", tmp_path / ("a long name " * 12 + ".jpg")
    with Image.open(PHOTO) as image:
        image.resize((900, 240)).save(wide)
    long_name.write_bytes(PHOTO.read_bytes())
    page = judged(open_page(server), PHOTO, wide, long_name, *sorted(EXAMPLES.glob("*group*.jpg")))
    report = page.context.new_page()
    report.set_viewport_size({"width": 1280, "height": 900})
    report.emulate_media(media=media)
    report.set_content(exported(page, "#report"))
    wait_until(lambda: report.evaluate("[...document.images].every((image) => image.complete)"))
    shapes = [image.evaluate(SHAPE) for image in report.locator("img").all()]
    assert len(shapes) >= 3
    for shown, true in shapes:
        assert shown == pytest.approx(true, rel=0.03)


def chosen_by_key(page, attempts=4):
    """The chooser of files that the space bar opens; a busy browser can miss a key."""
    from playwright.sync_api import TimeoutError as TooLate

    for left in reversed(range(attempts)):
        try:
            with page.expect_file_chooser(timeout=10_000) as chooser:
                page.keyboard.press("Space")
            return chooser.value
        except TooLate:
            if not left:
                raise
    raise AssertionError("attempts must be at least 1")


@in_browser
def test_it_works_with_the_keyboard_alone(server, open_page):
    page = open_page(server)
    page.wait_for_selector("#bundle-name:not(:text('not loaded'))", state="attached")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    chosen_by_key(page).set_files(str(PHOTO))
    page.locator(".picture").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "rate"
    before = page.inner_text("#rate-text")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#rate-text") != before
    assert page.get_attribute("#rate", "aria-valuetext") == page.inner_text("#rate-text")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached[:7] == ["filter", "case", "report", "csv", "json", "clear", "SUMMARY"]
    page.locator(".face summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".histogram")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".explanation img")
    assert page.evaluate("document.activeElement.matches('.explanation a')")


@in_browser
def test_a_screen_reader_hears_the_verdicts_and_not_every_step(server, open_page):
    page = open_page(server)
    page.evaluate(
        """() => {
            window.heard = [];
            const said = document.getElementById("announced");
            new MutationObserver(() => heard.push(said.textContent)).observe(said, { childList: true });
        }"""
    )
    judged(page, *[PHOTO] * 6)
    wait_until(lambda: page.evaluate("heard.at(-1)") == page.inner_text("#summary"))
    assert page.evaluate("heard.length") < 6


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
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_violations_of_accessibility_rules(server, odd_files, scheme, open_page):
    page = open_page(server, color_scheme=scheme, bypass_csp=True)
    assert violations(page) == []
    judged(page, PHOTO, *odd_files)
    open_all(page)
    page.locator("text=Explain").first.click()
    page.wait_for_selector(".explanation img")
    move_slider(page, page.get_attribute("#rate", "max"))
    assert violations(page) == []
    page.select_option("#filter", "flagged")
    assert violations(page) == []
    report = page.context.new_page()
    report.set_content(exported(page, "#report"))
    assert violations(report) == []


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_running_job_an_error_and_the_token_have_no_violations(
    tiny_bundle,
    tokens,
    animation,
    scheme,
    open_page,
):
    with running(tiny_bundle, "--jobs", 1, *PATIENT, "--tokens", tokens) as server:
        page = open_page(server, color_scheme=scheme, bypass_csp=True)
        page.fill("#token", "wrong")
        page.click("#access button")
        page.wait_for_selector("text=not known to the server")
        assert violations(page) == []
        page.fill("#token", TOKEN)
        page.click("#access button")
        page.wait_for_selector("#access", state="hidden")
        page.set_input_files("#files", [str(PHOTO)] + [str(animation)] * 24)
        page.locator(".picture").first.wait_for()
        assert page.is_visible("#progress-row")
        assert violations(page) == []
        page.click("#stop")
        page.wait_for_selector("#progress-row", state="hidden")
    open_page.complaints[:] = [text for text in open_page.complaints if "401" not in text]


@in_browser
def test_a_server_with_tokens_asks_for_one(tiny_bundle, tokens, open_page):
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
