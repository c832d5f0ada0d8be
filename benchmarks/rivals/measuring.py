"""What is measured, as configurations of `cameraborn bench`: a rival is a detector like any other.

Pictures of the development tracks come as they are, and their largest face is cut as for a bundle. Pictures of the
families left out are deliveries of faces, seen whole. Every threshold is that of photographs held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training import RIVALS, SHORTENED, folder_of

from cameraborn.bench.config import BenchConfig
from cameraborn.bench.protocol import run_protocol
from cameraborn.bench.run import run
from cameraborn.rivals import ENCODERS
from cameraborn.rivals.published import without_memory
from cameraborn.rivals.reconstruction import named_after
from pictures import without

CHANNELS = ("generators", "photographs", "reconstructed")  # of the bundle that ships
ALL = "all evidence"  # the score that decides its verdicts
ORDER = (  # in which rivals are trained and measured: what takes least comes first
    *("efficientnet-lite0", "blur-similarity", "rigid", "npr", "probe-efficientnet-lite0"),
    *("gramnet", "ladeda", "tiny-ladeda", "recce", "frdm", "self-blended", "self-description-256"),
    *("recce-deepfakebench", "lgrad-efficientnet-lite0"),
    *("minder", "reconstruction-relative", "reconstruction"),
    *(
        named_after(name, kind)
        for name in ("reconstruction-relative", "reconstruction")
        for kind in ("taesdxl", "taesd3", "taef1", "taef2")
    ),
)
ONE_CLASS = (
    "self_blended",
    "self_description",
)  # recipes that learn from photographs alone: no family is left out
CUES = ("sharpness", "bytes-per-pixel")
# Of encoders; as many Gaussians and dimensions as the photographs that are fitted to allow. The authors of
# self-descriptions say five with one covariance.
MIXTURE: dict[str, object] = {"components": 4, "dimensions": 32, "covariance": "full"}
SELF_DESCRIBED = MIXTURE | {"components": 5, "covariance": "tied"}
Section = dict[str, Any]


def supervised() -> list[str]:
    """Recipes of what learns from fakes."""
    return [name for name in SHORTENED if name not in ONE_CLASS]


def trained(name: str, group: tuple[str, ...], work: Path) -> Section:
    """What a recipe has trained."""
    folder = folder_of(name, () if name in ONE_CLASS else group, work)
    kind = "encoder" if name == "self_description" else "rival"
    return {kind: RIVALS[name], "weights": [str(folder / "network.safetensors")]}


def untrained(name: str, lite: Path, autoencoders: Path) -> Section:
    """What needs no training but weights that everyone can have."""
    weights = [lite]
    if name.startswith("reconstruction"):
        weights = [autoencoders / f"{network}.safetensors" for network in without_memory(name).parts.values()]
    return {"encoder" if name in ENCODERS else "rival": name, "weights": list(map(str, weights))}


def channels(names: Sequence[str], bundle: Path) -> list[Section]:
    """Our own, each and together, and cues that a detector has to be better than."""
    ours = [
        {"bundle": str(bundle), "evidence": "" if name == ALL else name, "name": f"ours: {name}"}
        for name in names
    ]
    return [*ours, *({"cue": name} for name in CUES)]


def measure_dev(detectors: Sequence[Section], dev: Path, work: Path) -> Path:
    """The development tracks as they come; the folder of the run."""
    sets = [{"name": "dev", "manifest": str(dev), "tracks": "kind"}]
    return _measured(detectors, sets, work / "fit.jsonl", work / "held-out.jsonl", work / "bench" / "dev")


def measure_left_out(detectors: Sequence[Section], group: tuple[str, ...], work: Path) -> Path:
    """Families that were left out, delivered by the lottery; the folder of the run."""
    manifest = str(work / "lottery.jsonl")
    sets = [{"name": family, "manifest": manifest, "kinds": [family, "photo"]} for family in group]
    seen = [
        one if "rival" not in one and "encoder" not in one else {**one, "whole_image": True}
        for one in detectors
    ]
    fit, held_out = work / "fit-lottery.jsonl", work / "lottery-held-out.jsonl"
    return _measured(seen, sets, fit, held_out, work / "bench" / without(group))


def mixture_of(name: str) -> dict[str, object]:
    """The mixture on an encoder's features."""
    return SELF_DESCRIBED if name.startswith("self-description") else MIXTURE


def name_of(detector: Section) -> str:
    """As it is called in tables."""
    return str(detector.get("name", next(iter(detector.values()))))


def _measured(
    detectors: Sequence[Section], sets: Sequence[dict[str, Any]], fit: Path, held_out: Path, folder: Path
) -> Path:
    """Measure what is missing: scores, or of an encoder the papers' mixture on its features."""
    photographs = {"manifests": [str(held_out)]}
    fields = {
        "output": folder / name_of(detectors[0]).replace(": ", "-"),
        "detectors": detectors,
        "sets": sets,
        "calibration": photographs,
        "protocol": {"fit": {"manifests": [str(fit)]}, "held_out": photographs}
        | mixture_of(name_of(detectors[0])),
    }
    config = BenchConfig.model_validate(fields)
    done, asked = config.output / "done.json", config.model_dump_json()
    if not done.exists() or done.read_text() != asked:  # a second look at what is measured takes a minute
        measure = run_protocol if "encoder" in detectors[0] else run
        measure(config, jobs=1)
        done.write_text(asked)
    return config.output
