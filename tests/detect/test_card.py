"""The card says in tables what the bundle is made of and covers."""

from cameraborn.detect.card import card_text
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.store import read_bundle


def test_the_card_of_the_bundle_that_ships():
    bundle = read_bundle(default_bundle())
    text = card_text(bundle)
    assert "| photographs | density | 0-255, 512-767 | weight 0.4 |" in text
    assert "| reconstructed | pseudo-fake classifier | 256-511 | weight 0.4 |" in text
    assert "| generators | binary classifier | 1024-4095 | weight 1 |" in text
    calibration = bundle.calibration
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    counted = [int(cells[-1]) for cells in lines if cells[-1].strip().isdecimal()]
    assert counted == [len(scores) for scores in calibration.scores]
    assert "Of its channels, photographs and reconstructed saw none" in text


def test_a_bundle_of_photographs_alone_says_so(tiny_bundle):
    assert "It has seen no generated picture." in card_text(read_bundle(tiny_bundle))


def test_a_network_without_evidence_says_so(network_bundle):
    text = card_text(network_bundle)
    assert "A network for cameraborn, without evidence: `cameraborn fit` gives it some." in text
    assert "## Evidence" not in text


def test_a_bundle_that_is_not_calibrated_says_so(network_bundle):
    text = card_text(network_bundle)
    assert "- Calibration: none yet" in text
    assert "## Categories" not in text
