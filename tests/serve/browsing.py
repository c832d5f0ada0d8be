"""The page as people use it: what tests do in a browser."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine, to open the page as people do"
)


def judged(page, *paths):
    """The page when pictures have been judged."""
    page.set_input_files("#files", [str(path) for path in paths])
    page.locator(".picture").nth(len(paths) - 1).wait_for()
    page.wait_for_selector("#progress-row", state="hidden")
    return page


def open_all(page):
    """Open what can be opened."""
    page.eval_on_selector_all("details", "(all) => all.forEach((one) => { one.open = true; })")


def exported(page, button):
    with page.expect_download() as download:
        page.click(button)
    return download.value.path().read_text(encoding="utf-8")


def violations(page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page)
    return [] if found.response["violations"] == [] else found.generate_report()
