"""The card says in tables what the bundle is made of and covers."""

from cameraborn.detect.card import card_text
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.store import read_bundle


def test_the_card_of_the_bundle_that_ships():
    bundle = read_bundle(default_bundle())
    text = card_text(bundle)
    assert "| photographs | density | 0-255, 512-767 | yes |" in text
    assert "| reconstructed | pseudo-fake classifier | 256-511 | yes |" in text
    calibration = bundle.calibration
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    counted = [int(cells[-1]) for cells in lines if cells[-1].strip().isdecimal()]
    assert counted == [len(scores) for scores in calibration.scores]
    assert "It has seen no generated picture." in text


def test_a_bundle_that_is_not_calibrated_says_so(network_bundle):
    text = card_text(network_bundle)
    assert "- Calibration: none yet" in text
    assert "## Categories" not in text
