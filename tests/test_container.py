"""The container's files: what `.ci/run` does with them (tools/check_container.py) needs the network, this does not."""

import json
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from tools.dockerfile import Place, instructions, stages

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
HADOLINT = shutil.which("hadolint", path=sysconfig.get_path("scripts")) or shutil.which("hadolint")


@pytest.fixture(scope="module")
def final():
    return stages(DOCKERFILE)[-1]


@pytest.fixture(scope="module")
def services():
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_hadolint_has_nothing_to_say():
    done = subprocess.run([HADOLINT, "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_is_not_ignored():
    build, *_ = stages(DOCKERFILE)
    sources = {source for word, rest in build.steps if word == "COPY" for source in rest.split()[:-1]}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {source.split("/")[0] for source in sources} == kept
    assert all((ROOT / source).exists() for source in sources)


def test_the_container_runs_as_nobody_in_particular_and_says_how_it_is(final):
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", final.last("USER"))
    check = json.loads(final.last("HEALTHCHECK").partition(" CMD ")[2])
    assert "/healthz" in check[-1]
    assert final.command("ENTRYPOINT") + final.command("CMD") == ["cameraborn", "serve"]
    assert not any(word == "RUN" for word, _ in final.steps)  # what is built stays in the first stage


@pytest.mark.parametrize("name", ["cameraborn", "train"])
def test_every_service_has_limits(services, name):
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(service[limit] for limit in ("cpus", "mem_limit", "pids_limit", "tmpfs"))


def test_the_service_listens_to_its_own_machine_and_mounts_the_tokens(services, final, tmp_path):
    service = services["cameraborn"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    (secret,) = service["secrets"]
    environment = Place(tmp_path, ROOT, ()).environment(final)
    assert environment["CAMERABORN_SERVE_TOKENS"] == f"/run/secrets/{secret}"


def test_lines_are_joined_and_what_is_not_known_is_refused():
    assert list(instructions('# said\nRUN a \\\n    && b\n\nCMD ["c"]\n')) == [
        ("RUN", "a && b"),
        ("CMD", '["c"]'),
    ]
    with pytest.raises(ValueError, match="ONBUILD"):
        list(instructions("ONBUILD RUN a\n"))


def test_steps_run_in_their_folder_with_their_environment(tmp_path):
    context, root = tmp_path / "context", tmp_path / "root"
    context.mkdir()
    root.mkdir()
    (context / "a.txt").write_text("a", encoding="utf-8")
    (stage,) = stages(
        "ARG WHO=world\nFROM base:1 AS build\nWORKDIR /src\nCOPY a.txt ./\nENV GREETING=/opt/hello-${WHO}\n"
        "RUN --mount=type=cache,target=/root/.cache \\\n    mkdir -p /opt && cat a.txt > /opt/found "
        '&& echo "$GREETING" >> /opt/found\n'
    )
    assert (stage.base, stage.name) == ("base:1", "build")
    Place(root, context, ("/src", "/opt")).build(stage)
    assert (root / "opt" / "found").read_text() == f"a{root}/opt/hello-world\n"
    with pytest.raises(subprocess.CalledProcessError):
        Place(root, context, ("/src",)).build(stages("FROM base\nRUN false\n")[0])
