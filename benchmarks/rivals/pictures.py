"""The pictures of the comparison: one lottery of deliveries for all that are trained, and for families left out.

Made of the cache and the evaluation set of `benchmarks/campaign`, as files and manifests of the package:

    WORK/train.jsonl                  photographs and fakes that may train, each a random delivery of a face
    WORK/train-without-gan-gpt.jsonl  the same without the fakes of these families; and so on
    WORK/fit.jsonl                    photographs that may train, as they come, for densities of photographs
    WORK/fit-lottery.jsonl            the photographs of train.jsonl, for the same where tests are deliveries
    WORK/held-out.jsonl               to calibrate with, as they come: held-out photographs of some sources
    WORK/lottery.jsonl                to test on: fakes and held-out photographs, a delivery of each
    WORK/lottery-held-out.jsonl       to calibrate with: those of held-out.jsonl, delivered alike

Faces are drawn as the campaign's network draws them: a source or a generator counts with the square root of its
number, and who is shown does not tell the classes (`propensity.py`). Photographs are stored as WebP as often as the
fakes' files are. Photographs of `split.py` are never trained on or fitted to.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from cache import SETS, Cache
from cache import Row as CacheRow
from evaluate import LOTTERY, Evaluation
from numpy.typing import NDArray
from PIL import Image

from cameraborn.binary.patches import face_square
from cameraborn.data.manifest import Row, read_manifest, sha256_of, write_manifest
from cameraborn.degrade.history import random_history, stored
from cameraborn.files import Pixels
from cameraborn.photo.face_points import points_of
from cameraborn.photo.faces import FaceFinder

TRAINED_ON, VALIDATED_ON = 1400, 12  # deliveries of each class
FITTED_TO = 300  # photographs of each density
OF_A_GENERATOR = 24  # fakes to test on, at most
GROUPS = (("gan", "gpt"), ("sd12", "sd3flux", "score"))  # families that are left out together
PHOTOGRAPHS = ("camera", "camera2", "faces2", "portraits")  # sets that may train
UNKNOWN_TO_ALL = PHOTOGRAPHS[:3]  # of other portraits of the same two sources our networks have learnt
Numbers = list[int]


def without(group: Sequence[str]) -> str:
    """The name of what was trained without families."""
    return "-".join(("without", *group)) if group else ""


def manifest_of(group: Sequence[str]) -> str:
    """The manifest to train on without these families."""
    return "-".join(filter(None, ("train", without(group)))) + ".jsonl"


def make_pictures(campaign: Path, shared: Path, work: Path) -> None:
    """Write what is missing."""
    if (work / "lottery-held-out.jsonl").exists():
        return
    _training(campaign, shared, work)
    _tests(campaign, work)


def _training(campaign: Path, shared: Path, work: Path) -> None:
    cache = Cache(campaign / "cache")
    held_out = frozenset(json.loads((campaign / "held_out.json").read_text()))
    shares = np.load(campaign / "propensity.npy").astype(float).prod(axis=0)
    faces = [n for n, row in enumerate(cache.rows) if row["trains"] and row["box"] and n not in held_out]
    photographs = [n for n in faces if cache.rows[n]["label"] == "photo"]
    fakes = [n for n in faces if cache.rows[n]["label"] == "generated"]
    is_webp = np.array([cache.rows[n]["format"] == "webp" for n in fakes])
    webp = float(_normalised(shares[fakes])[is_webp].sum())

    def delivered(number: int, rng: np.random.Generator) -> Pixels:
        row = cache.rows[number]
        square = face_square(cache.pixels(number), row["box"], rng)
        if row["label"] == "photo" and rng.random() < webp:
            square = stored(square, rng, "WEBP")
        return random_history(square, rng, LOTTERY)

    rows = [
        row
        for numbers in (photographs, fakes)
        for row in _drawn(cache, numbers, shares, delivered, work / "train")
    ]
    write_manifest(rows, work / manifest_of(()))
    for group in GROUPS:
        write_manifest([row for row in rows if row.kind not in group], work / manifest_of(group))
    fitted = [row for row in rows if row.label == "photo" and row.split == "train"][:FITTED_TO]
    write_manifest(fitted, work / "fit-lottery.jsonl")
    rng = np.random.default_rng(1)
    as_they_come = rng.choice(photographs, FITTED_TO, replace=False, p=_normalised(shares[photographs]))
    write_manifest([_original(cache.rows[n], shared) for n in as_they_come], work / "fit.jsonl")


def _drawn(
    cache: Cache,
    numbers: Numbers,
    shares: NDArray[np.float64],
    delivered: Callable[[int, np.random.Generator], Pixels],
    folder: Path,
) -> Iterator[Row]:
    """Deliveries of one class; those to validate on are of other pictures than those to train on."""
    rng = np.random.default_rng(len(numbers))
    validating = set(rng.choice(numbers, VALIDATED_ON, replace=False).tolist())
    training = [n for n in numbers if n not in validating]
    drawn = rng.choice(training, TRAINED_ON, p=_normalised(shares[training])).tolist()
    finder = FaceFinder()
    for place, number in enumerate([*drawn, *sorted(validating)]):
        row = cache.rows[number]
        pixels = delivered(number, np.random.default_rng([3, number, place]))
        split = "val" if number in validating else "train"
        yield _kept(pixels, folder / f"{row['label']}_{place:05d}.png", row, split, finder)


def _kept(pixels: Pixels, file: Path, row: CacheRow, split: str, finder: FaceFinder) -> Row:
    """A picture as a file, and its row; of a photograph the landmarks too, which self-blending needs."""
    landmarks = None
    if row["label"] == "photo" and (found := finder.find(pixels)):
        landmarks = points_of(finder, pixels, found[0])
    return _saved(pixels, file, row, split).model_copy(
        update={"landmarks": None if landmarks is None else tuple(map(tuple, landmarks.tolist()))}
    )


def _saved(pixels: Pixels, file: Path, row: CacheRow, split: str) -> Row:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, compress_level=1)
    return Row(
        path=str(file.resolve()),
        sha256=sha256_of(file),
        split=split,
        label=row["label"],
        generator=row["generator"] or "",
        source=row["group"] or "",
        kind=row["family"] or "photo",
    )


def _original(row: CacheRow, shared: Path) -> Row:
    file = (shared / SETS[row["set"]][1] / row["path"]).resolve()
    return Row(path=str(file), sha256=sha256_of(file), source=row["group"], kind=row["set"], split="train")


def _tests(campaign: Path, work: Path) -> None:
    """The first delivery of each face of the evaluation set that is tested on or calibrated with."""
    evaluation = Evaluation(campaign)
    photographs, fakes = tested_entries(evaluation.entries)
    calibrating = every_other_source([evaluation.entries[n]["group"] for n in photographs])
    rows: dict[bool, list[Row]] = {True: [], False: []}
    for number in (*photographs, *fakes):
        row = evaluation.entries[number]
        file = work / "lottery" / f"{number:05d}.png"
        calibrates = row["label"] == "photo" and row["group"] in calibrating
        rows[calibrates].append(_saved(evaluation.pixels(number), file, row, "test"))
    as_they_come = [row for row in read_manifest(campaign / "calibration.jsonl") if row.group in calibrating]
    write_manifest(as_they_come, work / "held-out.jsonl")
    write_manifest(rows[False], work / "lottery.jsonl")
    write_manifest(rows[True], work / "lottery-held-out.jsonl")


def tested_entries(entries: Sequence[CacheRow]) -> tuple[Numbers, Numbers]:
    """Numbers of held-out photographs, and of fakes, in the evaluation set."""
    seen: set[int] = set()
    of_generator: Counter[str] = Counter()
    photographs: Numbers = []
    fakes: Numbers = []
    for number, row in enumerate(entries):
        if row["delivery"] != "lottery" or row["row"] in seen:
            continue
        seen.add(row["row"])
        if row["label"] == "photo" and row["set"] in UNKNOWN_TO_ALL and row["trains"]:
            photographs.append(number)
        elif row["set"] == "fakes" and of_generator[row["generator"]] < OF_A_GENERATOR:
            of_generator[row["generator"]] += 1
            fakes.append(number)
    return photographs, fakes


def every_other_source(groups: Iterable[str]) -> set[str]:
    """About half of the pictures: sources by their size, every other one."""
    ordered = [name for name, _ in sorted(Counter(groups).items(), key=lambda item: (-item[1], item[0]))]
    return {name for place, name in enumerate(ordered) if place % 4 in (1, 2)}


def _normalised(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return shares / shares.sum()
