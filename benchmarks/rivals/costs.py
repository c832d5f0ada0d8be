"""What a detector of the tables is and costs: what it learns from, parameters, multiply-adds, pictures a second."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable, Collection, Sequence
from functools import cache
from pathlib import Path

import torch
from measuring import ALL, CHANNELS, ONE_CLASS, ORDER, Section, mixture_of, name_of, supervised
from table import Line
from training import RIVALS as OF_RECIPES
from training import folder_of

from cameraborn.bench.scorers import PROTOCOL
from cameraborn.data.cues import CUES
from cameraborn.data.manifest import read_manifest
from cameraborn.detect.detector import Detector
from cameraborn.networks.efficientnet_lite import EfficientNetLiteSection
from cameraborn.networks.patchnet import PatchNetworkSection
from cameraborn.photo.decode import Picture, open_picture
from cameraborn.rivals import ENCODERS, RIVALS
from cameraborn.rivals.cost import Cost, cost_of, multiply_adds
from cameraborn.rivals.published import without_memory
from cameraborn.rivals.scoring import compute, open_encoder, open_rival

TIMED = 8  # faces, on one thread
SIDE = 256  # pixels of the face that multiply-adds are counted for, as in `rivals.cost`
PUBLISHED = tomllib.loads((Path(__file__).with_name("published.toml")).read_text(encoding="utf-8"))
RECIPES = {rival: recipe for recipe, rival in OF_RECIPES.items()}
NOT_YET = "not measured yet: run the command again"
LEARNS = {  # our channels
    "generators": "fakes and photographs",
    "photographs": "photographs",
    "reconstructed": "photographs and their reconstructions",
    ALL: "all that its channels learn from",
}


def about(detector: str, group: tuple[str, ...], work: Path) -> Line:
    """The columns of a detector that are the same for every track."""
    name = detector.removesuffix(f" ({PROTOCOL})")
    if name in CUES:
        return {"learns_from": "nothing"}
    if channel := name.partition("ours: ")[2]:
        return {"learns_from": LEARNS[channel], **columns(cost_of_channel(channel))}
    recipe = RECIPES.get(name, "")
    learns = "fakes and photographs" if recipe in supervised() else "nothing"
    line: Line = {"learns_from": "photographs" if name in ENCODERS or recipe in ONE_CLASS else learns}
    run = folder_of(recipe, () if recipe in ONE_CLASS else group, work) / "cost.json"
    if recipe and run.exists():
        line |= json.loads(run.read_text()) | {"validation": ""}
        del line["validation"]
    if name in ENCODERS:
        mixture = mixture_of(name)
        shape = "one covariance" if mixture["covariance"] == "tied" else "full covariances"
        line["note"] = f"{mixture['components']} Gaussians of {shape} in {mixture['dimensions']} dimensions"
    return line | columns(cost_once(name)) | {"published": PUBLISHED.get(name, "")}


def missing(measured: Collection[str]) -> list[Line]:
    """A line of each rival and encoder that is not among those measured: which weights it lacks, or that it waits."""
    names = [name for name in (*RIVALS, *ENCODERS) if name not in measured and not _is_another_size(name)]
    return [
        {
            "detector": name,
            "published": PUBLISHED.get(name, ""),
            **columns(cost_once(name)),
            "missing": NOT_YET if name in ORDER else without_memory(name).missing(),
        }
        for name in names
    ]


def _is_another_size(name: str) -> bool:
    """Whether another rival that is measured has the same networks and weights."""
    parts = without_memory(name).parts
    return name not in ORDER and any(without_memory(other).parts == parts for other in RECIPES)


@cache
def cost_of_channel(channel: str) -> Cost:
    """Of the patches of a face of `SIDE` pixels: of 128 pixels, or of 64 at two sizes."""
    if channel == ALL:
        costs = [cost_of_channel(one) for one in CHANNELS]
        return Cost(sum(one.parameters for one in costs), sum(one.multiply_adds or 0 for one in costs))
    if channel == "generators":
        network, side, patches = EfficientNetLiteSection(residual=True).encoder(), 128, (SIDE // 128) ** 2
    else:
        network, side, patches = PatchNetworkSection().encoder(), 64, (SIDE // 64) ** 2 + (128 // 64) ** 2
    operations = patches * multiply_adds(network.eval(), torch.zeros(1, 3, side, side))
    return Cost(sum(one.numel() for one in network.parameters()), operations)


@cache
def cost_once(name: str) -> Cost:
    """`cost_of`, which every line of every table asks for."""
    return cost_of(name)


def columns(cost: Cost) -> Line:
    """The two columns of what it costs."""
    return {
        "parameters": cost.parameters,
        "mega_multiply_adds": "" if cost.multiply_adds is None else round(cost.multiply_adds / 1e6),
    }


def speed(section: Section, dev: Path, work: Path) -> float:
    """Faces a second on one thread, with what its input needs, without decoding or finding faces; kept in a file."""
    file = work / "speeds.json"
    known: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    name = name_of(section)
    if name not in known:
        rows = list(read_manifest(dev))
        pictures = [open_picture(row.path) for row in rows[:: len(rows) // TIMED][:TIMED]]
        known[name] = round(TIMED / _seconds(_look(section), pictures), 2)
        file.write_text(json.dumps(known, indent=1))
    return known[name]


def _look(section: Section) -> Callable[[Picture], object]:
    """What a detector does with one face."""
    kind = next(iter(section))
    if kind == "bundle":
        detector = Detector.of_path(Path(str(section[kind])), threads=1)
        return lambda picture: detector.observe(picture, whole_image=True)
    opener = open_encoder if kind == "encoder" else open_rival
    published = opener(str(section[kind]), map(Path, section["weights"]))
    return lambda picture: compute(published, [picture])


def _seconds(look: Callable[[Picture], object], pictures: Sequence[Picture]) -> float:
    look(pictures[0])  # what is only loaded once
    began = time.process_time()
    for picture in pictures:
        look(picture)
    return time.process_time() - began
