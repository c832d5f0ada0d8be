"""What a server says of its bundle."""

from __future__ import annotations

from pydantic import BaseModel, Field

from cameraborn.detect.card import card_text
from cameraborn.detect.conformal import smallest_rate
from cameraborn.detect.detector import Detector


class ChannelFacts(BaseModel):
    """A channel of evidence."""

    name: str
    kind: str
    in_score: bool = Field(description="Whether it is a part of the score.")


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
    licences: dict[str, str]
    card: str = Field(description="The bundle's card, in Markdown.")


def facts_of(detector: Detector, version: str) -> BundleFacts:
    """The facts of a detector's bundle, which is calibrated.

    Args:
        detector: whose.
        version: of the software.
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
        licences=dict(bundle.info.licences),
        card=card_text(bundle),
    )
