"""`cameraborn weights` as users meet it."""

import json

from PIL import Image

from tests.command import run, run_here


def test_a_runs_weights_are_drawn(tmp_path):
    lines = [{"step": n, "loss": 1.0, "weight/iso": 1 + n / 10, "weight/make": 1 - n / 20} for n in range(5)]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, _, error = run("weights", "run", cwd=tmp_path)
    assert (code, error) == (0, "run/weights.png: drawn\n")
    with Image.open(tmp_path / "run" / "weights.png") as picture:
        assert picture.size == (1200, 675)


def test_a_run_without_weights_says_so(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    code, _, error = run_here("weights", ".", cwd=tmp_path)
    assert code == 2
    assert (
        error == "cameraborn: log.jsonl: holds no task weights: only runs with bi-level weighting log them\n"
    )
