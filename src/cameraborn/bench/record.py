"""What a run remembers in `run.json`: what was measured, so that a report needs nothing else but the scores."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cameraborn.bench.config import BenchConfig
from cameraborn.bench.scorers import OWN_THRESHOLD, PROTOCOL
from cameraborn.detect.schema import software_versions
from cameraborn.errors import BenchError, first_line
from cameraborn.files import replacing

SCORES, RUN = "scores.csv", "run.json"


class DetectorRecord(BaseModel):
    """What a run remembers of a detector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    key: str
    kind: str  # one of `bench.kinds.KINDS`, `aigfd` (the papers' protocol on an encoder's features) or `own threshold`
    which: str = ""  # what the configuration names: a bundle's folder, a rival, ...; empty in runs of before
    calibration_size: int = 0  # photographs its p-values rest on
    note: str = ""

    @property
    def derived(self) -> bool:
        """Whether its scores are another detector's, or a mixture on its features."""
        return self.kind in (PROTOCOL, OWN_THRESHOLD)

    @property
    def promises(self) -> bool:
        """Whether it decides at the nominal rate, by held-out photographs; a threshold of others promises nothing."""
        return not self.derived and self.calibration_size > 0

    @property
    def plain_name(self) -> str:
        """The name of the detector that it is derived from, or its own."""
        return self.name.removesuffix(f" ({self.kind})")


class RunRecord(BaseModel):
    """The content of `run.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: BenchConfig
    detectors: tuple[DetectorRecord, ...]
    versions: dict[str, str]
    finished: bool = (
        True  # false from the first row to the last; runs of before do not say it, and count as finished
    )


def write_record(config: BenchConfig, detectors: Sequence[DetectorRecord], *, finished: bool = True) -> None:
    """Write `run.json` into the configuration's output folder: before the first row, and again after the last one.

    Raises:
        BenchError: two detectors have one name, or are the same.
    """
    twice = [name for name, count in Counter(detector.name for detector in detectors).items() if count > 1]
    if twice:
        raise BenchError(
            f"two detectors are called '{twice[0]}': give one of them another name in the configuration"
        )
    names: dict[str, str] = {}
    for detector in detectors:
        same = names.setdefault(detector.key, detector.name)
        if same != detector.name:
            raise BenchError(f"'{same}' and '{detector.name}' are one and the same detector: name it once")
    record = RunRecord(
        config=config, detectors=tuple(detectors), versions=software_versions(), finished=finished
    )
    config.output.mkdir(parents=True, exist_ok=True)
    with replacing(config.output / RUN) as part:
        part.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a run that came to its end."""
    try:
        return read_record(folder).finished
    except BenchError:
        return False


def read_record(folder: Path) -> RunRecord:
    """Read a run's `run.json`.

    Raises:
        BenchError: it is missing or damaged.
    """
    path = folder / RUN
    if not path.is_file():
        raise BenchError(f"{folder}: no benchmark's folder (no {RUN} in it): give a configuration's 'output'")
    try:
        return RunRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        reason = first_line(error)
        raise BenchError(
            f"{path}: damaged, or of another release ({reason}): run the benchmark again"
        ) from error
