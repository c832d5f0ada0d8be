"""Defaults from a file: each option's by its own name, whatever is misspelt named, and what is typed goes first."""

import shutil
from typing import Annotated

import pytest
import typer

from cameraborn.cli.config import default_config, read_defaults
from cameraborn.errors import CamerabornError
from tests.command import EXAMPLES, rows_of, run_here

PHOTO = EXAMPLES / "photo-1.jpg"


def application():
    """A verb, and a group of one."""
    app, group = typer.Typer(), typer.Typer()

    @app.command()
    def look(
        path: str,
        long_name: Annotated[int, typer.Option("--long-name", "-l")] = 1,
        loud: Annotated[bool, typer.Option("--loud/--silent")] = False,
        quiet: Annotated[bool, typer.Option("--quiet", expose_value=False)] = False,
    ):
        pass

    @group.command("import")
    def bring(jobs: int = 1, excluded: Annotated[list[str] | None, typer.Option("--exclude")] = None):
        pass

    app.add_typer(group, name="data")
    return typer.main.get_command(app)


def read(folder, text, required=True):
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    return read_defaults(folder / "mine.toml", application, required=required)


def refusal(folder, text):
    """The line with which a file is refused, without its path."""
    with pytest.raises(CamerabornError) as caught:
        read(folder, text)
    return str(caught.value).removeprefix(f"{folder}/mine.toml: ")


@pytest.mark.parametrize("spelling", ["long-name", "long_name", "l"])
def test_an_option_is_called_as_on_the_command_line(tmp_path, spelling):
    assert read(tmp_path, f"[look]\n{spelling} = 7\n") == {"look": {"long_name": 7}}


def test_verbs_of_a_group_have_tables_in_its_own(tmp_path):
    text = '[data.import]\njobs = 2\nexclude = ["a", "é"]\n[look]\nloud = true\n'
    assert read(tmp_path, text) == {
        "data": {"import": {"jobs": 2, "excluded": ["a", "é"]}},
        "look": {"loud": True},
    }
    assert read(tmp_path, "") == {}


def test_it_is_said_where_defaults_are_from(tmp_path, capsys):
    read(tmp_path, "")
    assert capsys.readouterr() == ("", f"{tmp_path}/mine.toml: defaults are taken from here\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[lok]\nloud = true\n", "no verb is called 'lok': did you mean 'look'?"),
        ("[data.imprt]\njobs = 1\n", "no verb is called 'imprt': did you mean 'import'?"),
        ("[look]\nlud = true\n", "no option of look is called 'lud': did you mean 'loud'?"),
        ("[look]\nxyz = 1\n", "no option of look is called 'xyz': choose from long-name, l, loud"),
        ("[look]\nquiet = true\n", "no option of look is called 'quiet': choose from long-name, l, loud"),
        ('[look]\npath = "a"\n', "no option of look is called 'path': choose from long-name, l, loud"),
        ("jobs = 1\n", "jobs: stands outside the tables: put it into one, such as [score]"),
        ("[data]\njobs = 1\n", "jobs: stands outside the tables: put it into one, such as [score]"),
    ],
)
def test_what_does_not_exist_is_named(tmp_path, text, line):
    assert refusal(tmp_path, text) == line


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"[look\n", r"not valid TOML \(.+\): fix the line"),
        (b"a = 1\na = 2\n", r"not valid TOML \(.+\): fix the line"),
        (b"a = '\xff'\n", "line 1 is not UTF-8: save the file so"),
        (b"\0", r"not valid TOML \(.+\): fix the line"),
    ],
)
def test_what_is_no_toml(tmp_path, data, line):
    (tmp_path / "mine.toml").write_bytes(data)
    with pytest.raises(CamerabornError, match=rf"mine\.toml: {line}$"):
        read_defaults(tmp_path / "mine.toml", application, required=True)


def test_a_file_that_nobody_named_may_be_missing(tmp_path):
    def not_needed():
        raise AssertionError("every verb was imported for nothing")

    assert read_defaults(tmp_path / "mine.toml", not_needed, required=False) == {}
    assert read_defaults(tmp_path, not_needed, required=False) == {}
    with pytest.raises(CamerabornError) as caught:
        read_defaults(tmp_path / "mine.toml", not_needed, required=True)
    assert str(caught.value) == (
        f"{tmp_path}/mine.toml: cannot be read (No such file or directory): check the path"
    )
    with pytest.raises(CamerabornError, match="Is a directory"):
        read_defaults(tmp_path, not_needed, required=True)


def test_the_users_own_file_lies_in_the_folder_of_settings(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_config() == tmp_path / "cameraborn" / "config.toml"


def test_defaults_come_from_a_file_the_environment_and_the_command_line(tmp_path):
    shutil.copy(PHOTO, tmp_path / "a.jpg")
    (tmp_path / "mine.toml").write_text(
        '[score]\nfalse-alarm = 0.9\nformat = "jsonl"\n[data.import]\njobs = 1\n'
    )

    def flagged(*more, **environment):
        code, out, error = run_here(*more, "score", "a.jpg", cwd=tmp_path, **environment)
        assert code == 0, error
        return rows_of(out)[0]["verdict"]

    config = ["--config", "mine.toml"]
    assert flagged(*config) == "flagged"
    assert flagged(CAMERABORN_CONFIG="mine.toml") == "flagged"
    assert flagged(*config, CAMERABORN_SCORE_FALSE_ALARM="0.05") == "not flagged"
    _, out, _ = run_here(*config, "score", "a.jpg", "--false-alarm", "0.05", cwd=tmp_path)
    assert rows_of(out)[0]["verdict"] == "not flagged"
    code, _, error = run_here(*config, "score", "a.jpg", "--fdr", "0.5", cwd=tmp_path)
    assert code == 0, error  # what the file says contradicts nothing


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[scor]\njobs = 1\n", "mine.toml: no verb is called 'scor': did you mean 'score'?"),
        ("[score]\njob = 1\n", "mine.toml: no option of score is called 'job': did you mean 'jobs'?"),
        ("jobs = 1\n", "jobs: stands outside the tables"),
        ("[score\n", "mine.toml: not valid TOML"),
        (None, "mine.toml: cannot be read"),
    ],
)
def test_a_file_of_defaults_that_is_wrong(tmp_path, text, says):
    if text is not None:
        (tmp_path / "mine.toml").write_text(text)
    code, out, error = run_here("--config", "mine.toml", "score", "a.jpg", cwd=tmp_path)
    assert (code, out, error.splitlines()[-1].startswith("cameraborn: ")) == (2, "", True)
    assert says in error
