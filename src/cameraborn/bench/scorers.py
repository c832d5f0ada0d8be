"""A detector in a configuration of the benchmark; what one answers is `detect.verdict.Scored`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

ERROR_SCOPE = "unreadable"
SEEN_SCOPE = "seen"


class DetectorSection(BaseModel):
    """One detector of a configuration, as `{kind = "bundle", which = "models/default"}` or `{bundle = "..."}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str  # one of `bench.kinds.KINDS`
    which: str  # a bundle's folder (`default`: the one that ships), a cue's name, ...
    name: str = ""  # in tables; empty: the detector's own
    whole_image: bool = False  # score whole pictures, look for no faces
    sources: tuple[str, ...] = ()  # photograph sources it has learnt from, besides those its bundle names
