"""What was once drawn for a seed is drawn for ever: the calibration of a bundle can be made again.

`data/golden_draws.json` holds, for each function and seed, the size of the result, the quality of its last JPEG
compression, the mean of each of 3 x 3 parts, what the generator draws next and, where nothing was recompressed, the
SHA-256 of the pixels. Encoders, and OpenCV's functions on other processors, may change in their last digit; all else
may not. Histories were recorded when the detector that ships was trained.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from cameraborn.degrade import named
from cameraborn.degrade.history import Histories, random_history
from cameraborn.degrade.random import (
    OPERATIONS,
    apply_operation,
    random_edits,
    random_operations,
    random_recompression,
)

GOLDEN = Path(__file__).parent / "data" / "golden_draws.json"
SEEDS = range(24)
HISTORIES = {
    "random_history": Histories(),
    "mixed random_history": Histories(strength=0.5, native=0.5, light=0.6),
}
BY_OPENCV = ("random_edits", *HISTORIES)
TOLERANCE = 0.5  # grey levels of a part's mean


def formula_picture():
    """Waves, an edge and some noise, [150 130 3]."""
    y, x = np.mgrid[:150, :130]
    waves = 128 + 50 * np.sin(x / 3) * np.cos(y / 5) + 30 * (x > y)
    hash_of_place = (x * 7919 + y * 104729 + x * y * 31) % 23
    return np.stack([waves + hash_of_place, waves, 255 - waves], axis=2).clip(0, 255).astype(np.uint8)


def draws():
    """Each function by name, as a function of the generator."""
    picture = formula_picture()
    chains = {"random_recompression": random_recompression, "random_operations": random_operations}
    for name, chain in chains.items():
        yield name, lambda rng, chain=chain: chain(picture, rng, smallest_side=60)
    for name in OPERATIONS:
        yield name, lambda rng, name=name: apply_operation(name, picture, rng, smallest_side=60)
    yield "random_edits", lambda rng: (random_edits(picture, rng, 2.0), None)
    for name, histories in HISTORIES.items():
        square = np.tile(picture, (2, 3, 1))[:290, :290]
        yield name, lambda rng, h=histories, square=square: (random_history(square, rng, h), None)


DRAWS = dict(draws())


def recorded(name, seed, monkeypatch):
    """What the file holds of one result."""
    encoded, rng, plain = [], np.random.default_rng(seed), named._encoded
    with monkeypatch.context() as patch:
        patch.setattr(named, "_encoded", lambda *given: encoded.append(given) or plain(*given))
        pixels, quality = DRAWS[name](rng)
    H, W, _ = pixels.shape
    parts = [
        pixels[H * r // 3 : H * (r + 1) // 3, W * c // 3 : W * (c + 1) // 3]
        for r in range(3)
        for c in range(3)
    ]
    return {
        "size": [W, H],
        "quality": quality,
        "means": [round(float(part.mean()), 2) for part in parts],
        "next": round(rng.random(), 6),
        "sha256": ""
        if encoded or name in BY_OPENCV
        else hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest(),
    }


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_seed_draws_what_it_always_did(name, monkeypatch):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    for seed in SEEDS:
        found, expected = recorded(name, seed, monkeypatch), golden[seed]
        assert found.pop("means") == pytest.approx(expected.pop("means"), abs=TOLERANCE), seed
        assert found == expected, seed
