"""The documentation site: it builds strictly, loads nothing from elsewhere, and says what the CSVs and the code say."""

import csv
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
from tools import site_tables as tables

import cameraborn

ROOT = Path(__file__).resolve().parents[1]
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
built = pytest.mark.skipif(find_spec("material") is None, reason="MkDocs Material is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


class Loaded(HTMLParser):
    """What a page makes a browser load."""

    def __init__(self, text):
        super().__init__()
        self.addresses = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "link" and given.get("rel") in ("canonical", "next", "prev"):
            return
        if tag != "a":
            self.addresses += [given[name] for name in ("src", "href") if given.get(name)]


@built
def test_no_page_loads_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        for address in Loaded(page.read_text(encoding="utf-8")).addresses:
            assert "//" not in address.split("?")[0], f"{page.name}: {address}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


@built
def test_the_tables_of_limits_are_those_of_the_csv(site):
    text = (site / "limits.html").read_text(encoding="utf-8")
    with (ROOT / "benchmarks" / "results" / "headline.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) > 10
    for line in lines:
        percent = [f"{100 * float(line[name]):.0f}" for name in ("flagged_at_5", "low_at_5", "high_at_5")]
        judged = int(line["judged"])
        cells = [
            tables.NAMES.get((line["label"], line["kind"]), line["kind"]),
            f"{judged} of {line['faces']}",
            "{} ({} to {})".format(*percent) if judged else "–",
        ]
        assert "\n".join(f"<td>{cell}</td>" for cell in cells) in text, cells


@built
def test_the_reference_names_what_the_code_has(site):
    http = (site / "reference" / "http.html").read_text(encoding="utf-8")
    for route in ("POST /v1/score", "GET /v1/jobs/{id}/rows", "DELETE /v1/jobs/{id}", "GET /healthz"):
        assert route in http, route
    python = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for name in cameraborn.__all__:
        assert name == "__version__" or re.search(rf'id="cameraborn\.[\w.]*\b{name}"', python), name
    formats = (site / "reference" / "formats.html").read_text(encoding="utf-8")
    for field in ("needed_px", "research_only", "networks"):
        assert field in formats
    assert "number of the face in its picture, from 0, largest first" in formats  # a dataclass's docstring
    for row in re.findall(r"<tr>.*?</tr>", formats.partition("A row of a manifest")[0], re.DOTALL)[1:]:
        assert "<td></td>\n</tr>" not in row, row  # every field of a row of score has a meaning


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def address(site):
    """Where the site is served on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@built
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look with")
def test_pages_fit_every_screen_are_searched_and_ask_nobody(address):
    playwright = pytest.importorskip("playwright.sync_api")
    asked = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.on("request", lambda request: asked.append(request.url))
        for width in (360, 768, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            for name in ("index", "limits", "cli", "reference/formats"):
                page.goto(f"{address}/{name}.html")
                wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                assert wide <= 0, (name, width)
        page.locator(".md-search__input").press_sequentially("false discovery rate", delay=100)
        page.locator(".md-search-result__item").first.wait_for()
        browser.close()
    assert all(url.startswith((address, "data:", "blob:")) for url in asked), asked


def test_every_page_is_in_the_navigation():
    yaml = pytest.importorskip("yaml")
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r": ([\w./-]+\.md)$", text, re.MULTILINE))
    assert yaml.safe_load(text)["site_name"] == "cameraborn"
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= named, pages - named


@pytest.mark.parametrize("name", tables.results())
def test_every_csv_is_explained_with_all_its_columns(name):
    section = re.search(rf"^### {re.escape(name)}\n(.*?)(?=^##|\Z)", RESULTS, re.DOTALL | re.MULTILINE)
    assert section, f"{name}: docs/results.md does not explain it"
    assert f"<!-- table: {name} -->" in section[1]
    common = RESULTS.partition("## What the detector finds")[0]
    explained = set(re.findall(r"`([^`]+)`", common + section[1]))
    families = [word.split("...") for word in explained if "..." in word]
    for column in tables.read(name)[0]:
        base = re.sub(r"_(low|high)(?=_at_|$)", "", column)
        base = re.sub(r"^(low|high)_at", "flagged_at", base)
        matches = any(base.startswith(first) and base.endswith(last) for first, last in families)
        assert base in explained or matches, f"{name}: {column}"


def test_a_table_that_nobody_makes_is_an_error():
    with pytest.raises(KeyError):
        tables.filled("<!-- table: no-such -->\n")
    assert tables.filled("text\n") == "text\n"
