"""`cameraborn merge` as users meet it."""

import pytest

from tests.command import run_here


def test_bundles_are_merged(tmp_path, tiny_bundle):
    code, _, error = run_here("merge", tiny_bundle, tiny_bundle, "-o", "both", cwd=tmp_path)
    assert code == 0, error
    assert "both: holds photographs, photographs-2; now 'cameraborn calibrate" in error
    code, _, error = run_here("merge", tiny_bundle, "-o", "one", cwd=tmp_path)
    assert code == 2
    assert "give two bundles or more" in error
    code, _, error = run_here(
        "merge", tiny_bundle, tiny_bundle, "--score-by", "generatrs", "-o", "other", cwd=tmp_path
    )
    assert code == 2
    assert "no evidence channel 'generatrs': choose from photographs, photographs-2" in error
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["photographs=0", "photographs-2=1"], "'0' is no weight: give a number above 0"),
        (["photographs=much"], "'much' is no weight"),
        (["photographs=inf"], "'inf' is no weight"),
        (["photographs=1", "photographs=2"], "channel 'photographs' is given twice"),
        (["photographs=1", "photographs-2"], "a weight for some channels of the score and none for others"),
    ],
)
def test_weights_of_a_score_that_make_none(tmp_path, tiny_bundle, weights, message):
    given = [word for weight in weights for word in ("--score-by", weight)]
    code, _, error = run_here("merge", tiny_bundle, tiny_bundle, *given, "-o", "both", cwd=tmp_path)
    assert code == 2
    assert message in " ".join(error.replace("│", " ").split())
    assert not (tmp_path / "both").exists()
