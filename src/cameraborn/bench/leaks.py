"""What each test set gives away by itself: the audit of every track, measured once and kept in `audit.json`.

A detector's AUC on a track means little where format, size, compression and sharpness alone reach the same.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cameraborn.bench.sets import Sample
from cameraborn.data.audit import audit
from cameraborn.data.manifest import Row
from cameraborn.errors import BenchError, PictureError, first_line
from cameraborn.files import replacing

AUDIT = "audit.json"


class TrackAudit(BaseModel):
    """What one track gives away.

    Attributes:
        test_set, track: which.
        digest: digest of its pictures and labels; another digest is another track.
        auc, low, high: AUC of all cues together, cross-validated, with its interval; None where it cannot be measured.
        strongest: the cue that gives away most, and its AUC.
        leaks: cues that tell the labels apart by more than chance.
        verdict: in words.
        copies: sets of near-duplicates that stand under both labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    test_set: str
    track: str
    digest: str
    auc: float | None
    low: float | None
    high: float | None
    strongest: str
    strongest_auc: float | None
    leaks: tuple[str, ...]
    verdict: str
    copies: int


_LIST = TypeAdapter(list[TrackAudit])


def audit_tracks(samples: Iterable[Sample], folder: Path, *, jobs: int | None = None) -> list[TrackAudit]:
    """Audit every track that holds both classes, but those that `audit.json` in the folder knows already.

    Raises:
        BenchError: an older `audit.json` is damaged.
    """
    tracks: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        tracks[sample.test_set, sample.track].append(sample)
    known = {found.digest: found for found in read_audits(folder)}
    audits = []
    for members in tracks.values():
        if len({member.label for member in members}) == 2:
            digest = _digest(members)
            found = known.get(digest) or _audit(members, digest, jobs)
            audits += [] if found is None else [found]
    with replacing(folder / AUDIT) as part:
        part.write_text(json.dumps(_LIST.dump_python(audits, mode="json"), indent=1) + "\n", encoding="utf-8")
    return audits


def read_audits(folder: Path) -> list[TrackAudit]:
    """What is known of the tracks of a run; empty if nothing is.

    Raises:
        BenchError: the file is damaged.
    """
    path = folder / AUDIT
    if not path.is_file():
        return []
    try:
        return _LIST.validate_json(path.read_bytes())
    except ValidationError as error:
        raise BenchError(f"{path}: damaged ({first_line(error)}): delete it, and run again") from error


def _audit(members: list[Sample], digest: str, jobs: int | None) -> TrackAudit | None:
    """None where not one picture can be read: the scores say so, too."""
    rows = (
        Row(path=str(member.file), sha256=member.sha256, label=member.label, group=member.group)
        for member in members
    )
    try:
        found = audit(rows, jobs=jobs)
    except PictureError:
        return None
    first = next((cue for cue in found.cues if cue.auc is not None), None)
    return TrackAudit(
        test_set=members[0].test_set,
        track=members[0].track,
        digest=digest,
        auc=found.together.auc,
        low=found.together.low,
        high=found.together.high,
        strongest=first.name if first else "",
        strongest_auc=first.auc if first else None,
        leaks=tuple(cue.name for cue in found.cues if cue.leaks),
        verdict=found.verdict,
        copies=sum(len(copies.labels) > 1 for copies in found.copies),
    )


def _digest(members: list[Sample]) -> str:
    lines = sorted(f"{member.sha256} {member.label} {member.group}" for member in members)
    head = f"{members[0].test_set}\n{members[0].track}\n"
    return hashlib.sha256((head + "\n".join(lines)).encode("utf-8", "replace")).hexdigest()
