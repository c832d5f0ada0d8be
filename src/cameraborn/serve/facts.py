"""What a server says of its bundle."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from pydantic import BaseModel, Field

from cameraborn.detect.card import card_text
from cameraborn.detect.conformal import Tail, smallest_rate
from cameraborn.detect.describe import describe_category
from cameraborn.detect.detector import Detector
from cameraborn.photo.video import can_read_videos
from cameraborn.serve.limits import Limits


class ChannelFacts(BaseModel):
    """A channel of evidence."""

    name: str
    kind: str
    in_score: bool = Field(description="Whether it is a part of the score.")


class LimitFacts(BaseModel):
    """What one request may ask; `/v1/jobs` takes more."""

    max_bytes: int = Field(description="Size of a request.")
    max_pixels: int = Field(description="Size of a picture.")
    max_faces: int = Field(description="Faces in a picture.")
    max_files: int = Field(description="Pictures in a request.")
    max_frames: int = Field(description="Frames of a video that are looked at; 0 where no videos are taken.")
    max_seconds: float = Field(
        description="Time for the work on a request, once it has come in, or on one picture of a job."
    )
    max_job_files: int = Field(description="Pictures in a job.")
    max_job_bytes: int = Field(description="Size of the pictures of all jobs that wait to be judged.")


class BundleFacts(BaseModel):
    """What a server judges with, and what can be asked of it."""

    name: str
    cameraborn: str = Field(description="Version of the software.")
    judges: str = Field(description="faces or whole pictures.")
    channels: list[ChannelFacts]
    calibration_photographs: int = Field(description="Held-out photographs behind the p-values.")
    smallest_false_alarm_rate: float = Field(
        description="Rates from this one up to 1 can be asked for as false_alarm."
    )
    limits: LimitFacts
    licences: dict[str, str]
    card: str = Field(description="The bundle's card, in Markdown.")


def facts_of(detector: Detector, version: str, limits: Limits) -> BundleFacts:
    """The facts of a detector's bundle, which is calibrated.

    Args:
        detector: whose.
        version: of the software.
        limits: what a request may ask.
    """
    bundle, calibration = detector.bundle, detector.calibration
    in_score = bundle.info.combined if detector.evidence is None else (detector.evidence,)
    return BundleFacts(
        name=bundle.info.name,
        cameraborn=version,
        judges="whole pictures" if bundle.coverage.whole_image else "faces",
        channels=[
            ChannelFacts(name=channel.name, kind=channel.kind, in_score=channel.name in in_score)
            for channel in bundle.info.channels
            if channel.name in detector.channels
        ],
        calibration_photographs=len({row.photograph for row in bundle.calibration_rows}),
        smallest_false_alarm_rate=smallest_rate(calibration.smallest, calibration.tail),
        limits=LimitFacts.model_validate(
            asdict(limits) | {"max_frames": limits.max_frames if can_read_videos() else 0}
        ),
        licences=dict(bundle.info.licences),
        card=card_text(bundle),
    )


BINS = 40


class CategoryFacts(BaseModel):
    """The held-out photographs of one category of condition."""

    name: str = Field(description="The category in words.")
    photographs: int = Field(description="How many scores of photographs it has.")
    counts: list[int] = Field(description="How many of them lie between each two edges.")


class CalibrationFacts(BaseModel):
    """The histograms of held-out photographs' scores."""

    tail: Tail = Field(description="Which scores are suspicious: high ones (upper), or low ones too (both).")
    edges: list[float] = Field(description="Edges of the bins, which all categories share.")
    categories: list[CategoryFacts] = Field(description="A row's `category` is a place in this list.")


def calibration_facts(detector: Detector) -> CalibrationFacts:
    """The histograms that a detector's p-values come from.

    Args:
        detector: whose; it is calibrated.
    """
    calibration = detector.calibration
    edges = np.histogram_bin_edges(np.concatenate(calibration.scores), BINS)
    return CalibrationFacts(
        tail=calibration.tail,
        edges=edges.tolist(),
        categories=[
            CategoryFacts(
                name=describe_category(cells, calibration.taxonomy),
                photographs=len(scores),
                counts=np.histogram(scores, edges)[0].tolist(),
            )
            for cells, scores in zip(calibration.taxonomy.categories, calibration.scores, strict=True)
        ],
    )
