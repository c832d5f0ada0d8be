"""The documents say what is so: the command line's reference, the README's commands, its links."""

import os
import re
import runpy
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")])
GENERATED = ("docs/reference/", "docs/project/")  # pages that the site's build makes (tools/site_hooks.py)
INSIDE_A_ROOM = {"adapters/", "evidence/"}
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) for line in block.splitlines()
]


def test_reference_of_the_command_line_is_current(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")  # a terminal's width must not matter
    page = runpy.run_path(str(ROOT / "tools" / "write_cli_docs.py"))["page"]()
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == page, (
        "run: python tools/write_cli_docs.py"
    )


@pytest.mark.parametrize("name", ["rows.schema.json", "manifest.schema.json", "bundle.schema.json"])
def test_schemas_are_current(name):
    writer = runpy.run_path(str(ROOT / "tools" / "write_cli_docs.py"))
    assert set(writer["SCHEMAS"]) == {path.name for path in ROOT.glob("docs/*.schema.json")}
    expected = writer["schema_text"](writer["SCHEMAS"][name]())
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == expected, (
        "run: python tools/write_cli_docs.py"
    )


@pytest.mark.parametrize("name", ["README.md", "models/default/CARD.md", "docs/default_bundle.md"])
def test_tables_of_results_are_current(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    writer = runpy.run_path(str(ROOT / "tools" / "write_headline.py"))
    assert name in writer["PAGES"]
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == writer["page"](name), "run: python tools/write_headline.py"


def test_the_page_of_rivals_is_current():
    page = runpy.run_path(str(ROOT / "tools" / "write_rivals_docs.py"))["page"]()
    assert (ROOT / "docs" / "rivals.md").read_text(encoding="utf-8") == page, (
        "run: python tools/write_rivals_docs.py"
    )


def test_readme_begins_with_the_two_commands():
    first, second = COMMANDS[:2]
    assert first.endswith("cameraborn score examples/")
    assert "[test]" not in first
    assert second.endswith("python -m pytest")
    assert all("-c constraints.txt" in command for command in (first, second))


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 100, "move detail to docs/ and link to it"


def test_continuous_integration_runs_the_readmes_second_command():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    steps = [line for line in script.splitlines() if '"$venv"' in line]
    assert " && ".join(steps).replace('"$venv"', ".venv") == COMMANDS[1]
    checks = {line.partition(" &")[0] for line in script.splitlines()}
    assert {"python tools/check_install.py", "python tools/check_container.py"} <= checks


def commands_of(page):
    """The commands of ours in a page's blocks, without what the shell does with them."""
    for block in re.findall(
        r"^ *```(?:bash|sh)\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            for command in re.split(r"&&|\|\|?|[;&>]", line):
                if found := re.match(r"\s*(?:[A-Z_]+=\S+ )*cameraborn (.*)", command):
                    yield shlex.split(found[1].replace("\\", ""), comments=True)


def test_the_documents_use_verbs_and_options_that_exist():
    sections = dict(
        re.findall(r"^## cameraborn ([a-z0-9 -]+)\n(.*?)(?=^## |\Z)", _reference(), re.DOTALL | re.MULTILINE)
    )
    seen = 0
    for page in PROSE:
        for words in commands_of(page):
            verb = next((verb for verb in (" ".join(words[:2]), words[0]) if verb in sections), None)
            assert verb, f"{page}: no verb {words[0]}"
            section = sections["bench run" if verb == "bench" else verb]
            options = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
            for option in options:
                assert re.search(rf"(?<!\S){option}\b", section), f"{page}: {verb} has no {option}"
            seen += 1
    assert seen > 60


def _reference():
    return (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        place = Path(os.path.normpath(page.parent / target))
        if "://" not in target and not place.as_posix().startswith(
            tuple(f"{ROOT}/{name}" for name in GENERATED)
        ):
            assert place.exists(), f"{page}: {target}"


def test_scripts_that_the_documents_run_exist():
    named = {
        script
        for page in PROSE
        for script in re.findall(
            r"python ((?:tools|benchmarks)/[\w/]+\.py)", page.read_text(encoding="utf-8")
        )
    }
    assert len(named) > 30
    assert {script for script in named if not (ROOT / script).exists()} == set()


def test_files_named_in_the_architecture_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = [word for word in re.findall(r"`([a-z_/]+(?:\.py|/))`", text) if word not in INSIDE_A_ROOM]
    assert len(rooms) > 25
    for word in rooms:
        assert (ROOT / "src" / "cameraborn" / word).exists() or (ROOT / word).exists(), word


def test_constraints_are_exact_and_name_no_host():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line) for line in pins)
    assert "torch==2.13.0" in pins
