"""A run that was never measured: made-up scores with everything in them that a table must tell."""

import itertools
import random

import numpy as np

from cameraborn.bench.config import BenchConfig
from cameraborn.bench.record import DetectorRecord, write_record
from cameraborn.bench.scores import ScoreFile, ScoreRow
from cameraborn.report.analysis import Analysis
from cameraborn.report.results import Results

DETECTORS = (
    DetectorRecord(name="plain", key="plain-key", kind="bundle", calibration_size=40),
    DetectorRecord(name="keen, <b>whole|", key="keen-key", kind="bundle", calibration_size=40),
    DetectorRecord(name="plain (aigfd)", key="aigfd-key", kind="aigfd", note="8 Gaussians"),
    DetectorRecord(name="sharpness", key="cue-key", kind="cue"),
)
GAINS = {"plain": 0.6, "keen, <b>whole|": 1.6, "plain (aigfd)": 0.4, "sharpness": -0.5}


def made_config(folder, **changes):
    """Two sets, one of photographs alone; two degradations; a protocol."""
    fields = {
        "output": folder,
        "detectors": ["plain", "keen", "sharpness"],
        "degradations": ["none", "jpeg:60"],
        "sets": [
            {"name": "dev", "manifest": "dev.jsonl", "tracks": "kind"},
            {"name": "avatars", "manifest": "avatars.jsonl"},
        ],
        "draws": 150,
        "seed": 3,
        "protocol": {
            "fit": {"folders": ["fit"]},
            "held_out": {"folders": ["held_out"]},
            "equal_numbers": 12,
        },
    }
    return BenchConfig.model_validate(fields | changes)


def pictures():
    """(set, track, generator, number): two tracks with photographs, one of them in groups, and generators."""
    for number in range(24):
        yield "dev", "face", "", number
        yield "dev", "scene", "", number
        if number < 15:
            yield "avatars", "avatars", "", number
            yield "dev", "face", "StyleGAN2", number
            yield "dev", "scene", "StyleGAN2", number
        if number < 9:
            yield "dev", "face", "SDXL, base", number


def made_row(detector, place, degradation, rng):
    """The row of one picture: a few are errors, abstentions, seen, or have a score and no decision."""
    test_set, track, generator, number = place
    score = round(rng.gauss(GAINS[detector.name] if generator else 0.0, 1.0), 4)
    p_value = round(rng.uniform(0.01, 1.0), 4)
    row = {"scope": "ok", "score": score, "p_value": p_value, "flagged": score > 1.2, "error": ""}
    if detector.kind == "cue":
        row |= {"p_value": None, "flagged": None}
    elif number == 7:
        row |= {"scope": "beyond-calibration", "flagged": None, "p_value": None}
    nothing = {"score": None, "p_value": None, "flagged": None}
    if number == 3:
        row |= nothing | {"scope": "no-face"}
    elif number == 4 and detector.name == "plain":
        row |= nothing | {"scope": "seen"}
    elif number == 5 and degradation == "jpeg:60":
        row |= nothing | {"scope": "unreadable", "error": "5.jpg: cannot be read"}
    return ScoreRow(
        path=f"{number}.jpg",
        sha256=f"{test_set}-{track}-{generator}-{number}",
        detector=detector.name,
        detector_key=detector.key,
        test_set=test_set,
        track=track,
        degradation=degradation,
        label="generated" if generator else "photo",
        generator=generator,
        source="" if test_set == "avatars" else f"camera {number % 2}",
        group=f"person {number // 3}" if track == "scene" else "",
        in_source=number % 2 == 1 and detector.kind != "cue",
        seconds=None,
        **row,
    )


def made_run(folder, **changes):
    """Write the run's `run.json` and `scores.csv`; return its configuration."""
    config = made_config(folder, **changes)
    degradations = {"aigfd": ["none"]}
    rng = random.Random(0)
    rows = [
        made_row(detector, place, degradation, rng)
        for detector in DETECTORS
        for degradation in degradations.get(detector.kind, config.degradations)
        for place in pictures()
        if not (detector.kind == "aigfd" and place[3] == 8)  # not measured yet
    ]
    write_record(config, DETECTORS)
    with ScoreFile(folder / "scores.csv") as scores:
        scores.append(rows)
    return config


def synthetic(folder, *, n=200, groups=False, **changes):
    """The analysis of two detectors whose scores are drawn: `good` and `better`, on a hard and an easy generator."""
    sets = [{"name": "set", "manifest": "set.jsonl", "tracks": "kind"}]
    config = made_config(folder, sets=sets, **{"draws": 100, "seed": 0} | changes)
    detectors = [DetectorRecord(name=name, key=name, kind="bundle") for name in ("good", "better")]
    detectors.append(DetectorRecord(name="sharpness", key="cue-key", kind="cue"))
    rng = np.random.default_rng(0)
    rows = []
    with ScoreFile(config.output / "scores.csv") as scores:
        write_record(config, detectors)
        counter = itertools.count()
        for generator, distance in (("", 0.0), ("hard", 0.2), ("easy", 2.0)):
            for number in range(n):
                if not groups or number % 20 == 0:  # pictures of a group are alike
                    shared = rng.normal(distance)
                digest = f"{next(counter):064x}"
                for detector, degradation in itertools.product(detectors, config.degradations):
                    gain = {"good": 0.0, "better": 0.6}.get(detector.name, -distance) * (generator == "easy")
                    score = shared + gain + 0.2 * rng.normal()
                    cue = detector.kind == "cue"
                    rows.append(
                        ScoreRow(
                            f"{number}.jpg",
                            digest,
                            detector.name,
                            detector.key,
                            "set",
                            "a",
                            degradation,
                            "generated" if generator else "photo",
                            generator,
                            "one" if number % 2 else "two",
                            f"g{number // 20}" if groups else "",
                            number % 2 == 1,
                            "ok",
                            score,
                            None if cue else 0.5,
                            None if cue else score > 1.645,
                            0.1,
                            "",
                        )
                    )
        scores.append(rows)
    return Analysis(Results(config.output))
