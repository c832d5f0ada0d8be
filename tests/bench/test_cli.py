"""`cameraborn bench` as users meet it: the installed entry point, in a process of its own."""

import os
import shutil
import subprocess
import sysconfig

CAMERABORN = shutil.which("cameraborn", path=sysconfig.get_path("scripts")) or "cameraborn"


def bench(*args, cwd):
    done = subprocess.run(
        [CAMERABORN, "bench", *map(str, args)], cwd=cwd, capture_output=True, text=True, env=os.environ
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def test_a_benchmark_from_the_command_line(tmp_path, album):
    config = tmp_path / "bench.toml"
    config.write_text(
        f"""
output = "out"
detectors = ["sharpness", "brightness"]
draws = 100
[[sets]]
name = "mine"
photographs = {{camera = {str(album / "photos")!r}}}
generated = {{gan = {str(album / "gan")!r}}}
"""
    )
    code, said = bench("bench.toml", cwd=tmp_path)
    assert code == 0
    assert "results: 32 scored, 2 errors" in said
    assert "broken.jpg" in said
    assert bench("run", "bench.toml", cwd=tmp_path)[1].count("32 known already") == 1
    code, said = bench("report", "out", cwd=tmp_path)
    assert (code, said) == (0, "out/report.html: written, with report.md, tables/ and figures/ next to it\n")
    code, said = bench("--protocol", "aigfd", "bench.toml", cwd=tmp_path)
    assert code == 2
    assert "no [protocol]" in said
    code, said = bench("nothing.toml", cwd=tmp_path)
    assert (code, said.count("\n")) == (2, 1)
    assert "no such configuration" in said
