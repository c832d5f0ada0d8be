"""The page's files: given as they are, with the media types that browsers need."""

import re

from fastapi import FastAPI

from cameraborn.serve.static import FOLDER, page_routes
from tests.serve.running import ask_here


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


def test_every_file_is_given_as_it_is_with_its_media_type():
    app = FastAPI()
    app.include_router(page_routes())
    media = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    files = sorted(FOLDER.iterdir())
    assert {file.suffix for file in files} == set(media)
    for file in files:
        answer = ask_here(app, "/" if file.name == "index.html" else f"/page/{file.name}")
        assert answer.content == file.read_bytes()
        assert answer.headers["content-type"].partition(";")[0] == media[file.suffix]
    for path in ("/page/index.html", "/page/", "/page/../static.py", "/page/%2e%2e/static.py", "/static.py"):
        assert ask_here(app, path).status_code == 404
    assert app.openapi()["paths"] == {}
