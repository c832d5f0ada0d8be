"""Faces to train on: crops of the photographs in examples/, each with tags of its own."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.manifest import Row, sha256_of, write_manifest

EXAMPLES = Path(__file__).resolve().parent / "pictures"


@pytest.fixture(scope="session")
def faces(tmp_path_factory):
    """A manifest of 16 portraits to train on and 6 to validate on; of each four one has no EXIF."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(22):
        with Image.open(EXAMPLES / f"photo-{number % 5 + 1}.jpg") as opened:
            image = opened.convert("RGB").resize((160, 160))
        noisy = np.asarray(image) + rng.normal(0, 1 + number % 7, (160, 160, 3))
        path = folder / f"{number:02}.png"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
        exif = {
            "iso": 100.0 * 2 ** (number % 7),
            "fnumber": 1.4 + number % 3,
            "exposure_time_s": 1 / (60 + number),
            "focal_length_mm": 24.0 + number,
        }
        split = "train" if number < 16 else "val"
        rows.append(
            Row(
                path=str(path),
                sha256=sha256_of(path),
                split=split,
                group=f"{split}-{number}",
                kind="portrait",
                exif=exif if number % 4 else {},
            )
        )
    write_manifest(rows, folder / "faces.jsonl")
    return folder / "faces.jsonl"
