"""Task weights are drawn from a run's log, and a log that holds none is refused."""

import json

import pytest
from PIL import Image

from cameraborn.errors import RecipeError
from cameraborn.pretext.weights_plot import draw_weights


def test_weights_are_drawn_over_training(tmp_path):
    log, output = tmp_path / "log.jsonl", tmp_path / "weights.png"
    lines = [{"step": 1, "loss": 2.0}]
    lines += [{"step": n, "weight/a": 1 + n / 100, "weight/b": 1 - n / 100} for n in range(2, 50)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    draw_weights(log, output)
    with Image.open(output) as picture:
        assert picture.size == (1200, 675)
        # a line going up and one going down: both blue and orange reach the right half of the plot
        colours = {colour for _, colour in picture.convert("RGB").crop((500, 0, 900, 675)).getcolors(2**20)}
    assert {(31, 119, 180), (255, 127, 14)} <= colours
    assert list(tmp_path.iterdir()) in ([log, output], [output, log])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such log"),
        ('{"step": 1, "loss": 2}\n', "holds no task weights"),
        ('{"step": 1, "weight/a": 1}\n{"ste', "line 2 is damaged"),
        ('{"weight/a": 1}\n', "line 1 is damaged"),
        ("5\n", "line 1 is damaged"),
    ],
)
def test_a_log_without_weights_is_refused(tmp_path, text, message):
    log = tmp_path / "log.jsonl"
    if text is not None:
        log.write_text(text)
    with pytest.raises(RecipeError, match=message):
        draw_weights(log, tmp_path / "weights.png")
