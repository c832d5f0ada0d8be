"""What is told of jobs: options, state, counts, and the results of pictures."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from cameraborn.detect.rows import Row
from cameraborn.photo.provenance import Provenance
from cameraborn.serve.job_store import JobState, PictureState, StoredJob
from cameraborn.serve.limits import Problem


class JudgeOptions(BaseModel):
    """How pictures are judged; options of `cameraborn score`."""

    model_config = ConfigDict(extra="forbid")

    false_alarm: float = Field(
        0.05, gt=0, lt=1, description="Share of photographs that you accept to be flagged."
    )
    whole_image: bool = Field(False, description="Take the whole of each picture instead of the faces in it.")
    category: bool = Field(
        False, description="Add to each row the category of /v1/calibration that it was compared with."
    )
    every: float | None = Field(
        None,
        ge=0.01,
        le=3600,
        description="Seconds between two frames of a video that are looked at. Without it half a second, or more for a "
        "film that would have too many frames.",
    )
    frames: bool = Field(
        False, description="After the row of a face in a video, have one for each of its frames."
    )


class JobOptions(JudgeOptions):
    """What can be asked of a job."""

    provenance: bool = Field(False, description="Add to each result what the file says of its own origin.")


class Counts(BaseModel):
    """The pictures of a job, by what became of them."""

    pictures: int
    pending: int = Field(description="They wait, or are being judged.")
    judged: int = Field(description="They have rows; one that cannot be read has a row that says so.")
    refused: int = Field(description="A problem tells why.")
    cancelled: int = Field(description="Their job was cancelled before their turn.")
    lost: int = Field(description="The server ended before their turn, and pictures are not kept.")


class JobFacts(BaseModel):
    """A job as it stands."""

    id: str
    state: JobState = Field(description="interrupted: the server ended before the job did.")
    created: datetime
    ended: datetime | None
    expires: datetime | None = Field(description="When an ended job and its results are deleted.")
    options: JobOptions
    counts: Counts


class JobList(BaseModel):
    """The jobs of one sender, newest first."""

    jobs: list[JobFacts]


class JobResult(BaseModel):
    """What became of one picture of a job."""

    event: int = Field(description="Its place among the job's pictures in the order of completion, from 1.")
    picture: int = Field(description="Its place in the request that made the job, from 0.")
    name: str
    state: PictureState
    rows: list[Row] = Field(description="A row a face, if it was judged.")
    problem: Problem | None = Field(description="Why it was refused.")
    provenance: Provenance | None = Field(
        description="What the file says of its own origin, if the job asked for it and the picture was judged."
    )


class JobResults(BaseModel):
    """Results of a job's pictures, in the order of completion."""

    state: JobState
    results: list[JobResult]
    last_event: int = Field(description="Ask for what comes after it next.")


def job_facts(job: StoredJob, hours: float) -> JobFacts:
    """What is told of a job.

    Args:
        job: as it is kept.
        hours: that an ended job is kept.
    """
    return JobFacts(
        id=job.id,
        state=job.state,
        created=_time(job.created),
        ended=None if job.ended is None else _time(job.ended),
        expires=None if job.ended is None else _time(job.ended + 3600 * hours),
        options=JobOptions.model_validate(job.options),
        counts=Counts(pictures=sum(job.counts.values()), **job.counts),
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds, 3), UTC)
