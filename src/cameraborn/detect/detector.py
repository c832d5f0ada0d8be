"""The detector: pictures in, verdicts out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from cameraborn.detect.abstain import notes_on, unfit
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.condition import Condition
from cameraborn.detect.conformal import Calibration, benjamini_hochberg, smallest_rate
from cameraborn.detect.evidence.channel import Features
from cameraborn.detect.golden import GOLDEN_TOLERANCE, golden_picture
from cameraborn.detect.observe import FeatureStore, Measurement, Observation, Observer
from cameraborn.detect.store import read_bundle
from cameraborn.detect.verdict import ChannelVerdict, Verdict
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Call, check_jobs
from cameraborn.errors import BundleError, PictureError
from cameraborn.files import Array, Box, Pixels
from cameraborn.photo.alignment import alignment_note
from cameraborn.photo.decode import Picture, PictureSource
from cameraborn.photo.faces import Face
from cameraborn.photo.frames import frames


class Detector:
    """Scores pictures with a bundle; one may serve many threads.

    It can be copied, pickled and sent to processes of any kind. One that was loaded from a bundle on disk travels as
    the bundle's path, and is loaded again at the other end; any other takes its bundle along.

    Args:
        bundle: what to score with; `cameraborn.load()` gives the one that ships.
        threads: processor threads for one picture. `score_many` gets its speed from several pictures at a time.
        evidence: judge by this channel of evidence alone; by default by the combined score.
        features: a store of the network's features.

    Attributes:
        observer: the network, the face finder, and how they measure a picture.
        path: of the bundle, where it was loaded from a disk.
        options: what it was made with besides.

    Raises:
        BundleError: the network cannot be run, or there is no such channel.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 1,
        evidence: str | None = None,
        features: FeatureStore | None = None,
    ) -> None:
        self.bundle = bundle
        self.evidence = evidence
        self._channels = bundle.evidence if evidence is None else (bundle.channel(evidence),)
        self._deciding = bundle.info.combined if evidence is None else (evidence,)
        columns = None if evidence is None else self._channels[0].columns
        self.observer = Observer(bundle, threads=threads, features=features, columns=columns)
        self.options: dict[str, Any] = {"threads": threads, "evidence": evidence, "features": features}
        self.path: Path | None = None

    @classmethod
    def of_path(cls, path: Path, **options: Any) -> Self:  # noqa: ANN401 (those of the class)
        """The detector of a bundle's folder or zip.

        Raises:
            BundleError: as `read_bundle`.
        """
        detector = cls(read_bundle(path), **options)
        detector.path = path.absolute()  # which holds wherever a process was started
        return detector

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is None:
            return partial(type(self), **self.options), (self.bundle,)
        return _again, (type(self), self.path, _digest(self.bundle), self.options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.bundle.info.name}: {self._abilities()}>"

    def _abilities(self) -> str:
        judged_by = ", ".join(self.channels) or "no evidence yet"
        if self.bundle.info.coverage is None:
            return f"{judged_by}; not calibrated"
        calibration = self.calibration
        photographs = len({row.photograph for row in self.bundle.calibration_rows})
        lowest = smallest_rate(calibration.smallest, calibration.tail)
        return f"{judged_by}; {photographs:,} held-out photographs; false-alarm rates from {lowest:.2g}"

    def score(
        self,
        source: PictureSource,
        *,
        false_alarm_rate: float = 0.05,
        whole_image: bool = False,
        name: str | None = None,
    ) -> list[Verdict]:
        """Judge every face of a picture: path, bytes, file object, Pillow picture or uint8 array [H W 3].

        A picture without a face, or one that cannot be read, gives one verdict whose scope says so.

        Raises:
            CalibrationError: the bundle's calibration cannot support the rate.
            BundleError: the bundle lacks evidence or a calibration.
        """
        self.calibration.check_rate(false_alarm_rate)
        path = name or _name_of(source)
        try:
            picture, observations = self.observe_source(source, whole_image=whole_image, name=name)
        except PictureError as error:
            return [self.unreadable(path, error)]
        return self.verdicts(picture, observations, path=path, false_alarm_rate=false_alarm_rate)

    def score_many(
        self,
        sources: Iterable[PictureSource],
        *,
        false_alarm_rate: float = 0.05,
        whole_image: bool = False,
        jobs: int | None = None,
    ) -> Iterator[Verdict]:
        """Judge many pictures, `jobs` at a time (default: one a processor); verdicts come in the order of the sources.

        A generator: at most a few pictures a job are in memory, however many there are.

        Raises:
            TypeError: `sources` is one picture.
            CalibrationError: the bundle's calibration cannot support the rate.
            BundleError: the bundle lacks evidence or a calibration.
            EngineError: `jobs` is no number from 1.
        """
        check_jobs(jobs)
        if _is_one_picture(sources):
            raise TypeError(
                f"score_many takes many pictures, not one {type(sources).__name__}: use score, or give a list"
            )
        self.calibration.check_rate(false_alarm_rate)
        score = partial(self.score, false_alarm_rate=false_alarm_rate, whole_image=whole_image)
        return (verdict for verdicts in map_in_order(Call(score), sources, jobs) for verdict in verdicts)

    def score_crop(self, pixels: Pixels) -> float:
        """The score of pixels [H W 3], whatever is on them."""
        return float(self.scores(self.observer.feature(pixels)[None])[0])

    def observe_source(
        self, source: PictureSource, *, whole_image: bool = False, name: str | None = None
    ) -> tuple[Picture, list[Observation]]:
        """What `score` judges: the picture and its faces; of an animation, the first frame that surely shows a face.

        Where no frame does, it is the first with a doubtful face, or the first of all.

        Raises:
            PictureError: the picture cannot be read.
        """
        with closing(frames(source, name=name)) as pictures:
            return self.observe_frames((picture for _, picture in pictures), whole_image=whole_image)

    def observe_frames(
        self, pictures: Iterable[Picture], *, whole_image: bool = False, most: int | None = None
    ) -> tuple[Picture, list[Observation]]:
        """The same of frames that someone else decodes; no more of them are taken than are needed.

        Args:
            pictures: the frames of an animation, or the one picture; at least one.
            whole_image: take the whole picture; look for no faces.
            most: number of faces at most, largest first.
        """
        best: tuple[Picture, list[Observation]] | None = None
        numbers: list[int] = []
        for picture in pictures:
            numbers.append(picture.frame or 0)
            seen = self.observe(picture, whole_image=whole_image, most=most)
            if any(one.scope != "doubtful-face" for one in seen):
                best = picture, seen
                break
            if best is None or (seen and not best[1]):
                best = picture, seen
        assert best is not None  # there is a first picture, or an error
        if len(numbers) > numbers[-1]:  # none was passed over
            return best
        return replace(best[0], frames_seen=(len(numbers), numbers[-1] + 1)), best[1]

    def observe(
        self, picture: Picture, *, whole_image: bool = False, most: int | None = None
    ) -> list[Observation]:
        """Observe the faces of a picture, `most` of them at most, largest first, or the picture as a whole."""
        return self.observer.observe(picture, whole_image=whole_image, most=most)

    def verdicts(
        self,
        picture: Picture,
        observations: Sequence[Observation],
        *,
        path: str,
        false_alarm_rate: float,
        face_notes: bool = True,
    ) -> list[Verdict]:
        """A verdict on each observation of a picture; without any, one that says that there is no face.

        Its notes say what else there is to know of the file and, with `face_notes`, of the face: these cost one more
        run of a network.
        """
        H, W, _ = picture.pixels.shape
        blank = replace(self._blank(path), width=W, height=H, notes=notes_on(picture))
        if not observations:
            return [replace(blank, scope=unfit(picture) or "no-face")]
        verdicts = [
            self._verdict(
                seen,
                replace(
                    blank,
                    face=seen.face,
                    box=seen.box,
                    face_confidence=seen.confidence,
                    scope=unfit(picture, seen.box) or seen.scope,
                ),
                false_alarm_rate,
            )
            for seen in observations
        ]
        if not face_notes:
            return verdicts
        return [
            replace(verdict, notes=verdict.notes + self._notes_on_face(picture, seen))
            for verdict, seen in zip(verdicts, observations, strict=True)
        ]

    def _notes_on_face(self, picture: Picture, seen: Observation) -> tuple[str, ...]:
        """What a reader should know of a face that is surely one, beside the verdict."""
        if seen.face is None or seen.confidence is None or seen.scope == "doubtful-face":
            return ()
        note = alignment_note(self.observer.faces, picture.pixels, Face(seen.box, seen.confidence))
        return () if note is None else (note,)

    def unreadable(self, path: str, error: PictureError) -> Verdict:
        """What is said of a picture that cannot be read."""
        return replace(self._blank(path), error=str(error))

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels of evidence that verdicts tell of."""
        return tuple(channel.name for channel in self._channels)

    @property
    def calibration(self) -> Calibration:
        """The held-out scores that verdicts compare with: the combined ones, or those of the chosen channel.

        Raises:
            BundleError: there are none.
        """
        if self.evidence is None:
            return self.bundle.calibration
        calibrations = self.bundle.channel_calibrations
        if self.evidence not in calibrations:
            raise BundleError(
                f"{self.bundle.origin}: channel '{self.evidence}' has not been calibrated: "
                "run 'cameraborn calibrate' again"
            )
        return calibrations[self.evidence]

    def check_rate(self, false_alarm_rate: float) -> None:
        """See that pictures can be judged at a false-alarm rate, before any is.

        Raises:
            BundleError: the bundle lacks evidence or a calibration.
            CalibrationError: the calibration cannot support the rate.
        """
        for name in self.bundle.info.combined if self.evidence is None else ():
            self.bundle.channel(name)
        self.calibration.check_rate(false_alarm_rate)

    def scores(self, features: Features) -> Array:
        """The score of each feature [N D], by the combined evidence or the chosen channel: [N]."""
        return self.bundle.scores(features) if self.evidence is None else self._channels[0].surprise(features)

    def verify(self) -> None:
        """Score the golden pictures, and see that this machine computes what the bundle's maker did.

        Raises:
            BundleError: a score differs by more than rounding.
        """
        for name, score in self.golden_scores(self.bundle.golden).items():
            expected = self.bundle.golden[name]
            if not abs(score - expected) <= GOLDEN_TOLERANCE * max(1.0, abs(expected)):
                raise BundleError(
                    f"{self.bundle.origin}: golden picture {name} scores {score:.3f} here "
                    f"and {expected:.3f} at the maker's: "
                    "get the bundle again, or try another release of ONNX Runtime"
                )

    def golden_scores(self, names: Iterable[str]) -> dict[str, float]:
        """The combined scores of pictures made by formula, by name."""
        observer = self.observer if self.evidence is None else Observer(self.bundle)  # which has all networks
        features = {name: observer.feature(golden_picture(name)) for name in names}
        return {name: float(self.bundle.scores(feature[None])[0]) for name, feature in features.items()}

    def boxes(self, pixels: Pixels, *, whole_image: bool) -> list[Box]:
        """The boxes to judge: the faces, largest first, or the whole picture."""
        return self.observer.boxes(pixels, whole_image=whole_image)

    def crop(self, pixels: Pixels, box: Box, *, whole_image: bool) -> Pixels:
        """The crop that the network sees, before it is shrunk."""
        return self.observer.crop(pixels, box, whole_image=whole_image)

    def _verdict(self, seen: Observation, blank: Verdict, rate: float) -> Verdict:
        measured = seen.measured
        if measured is None:
            return blank
        found = {channel.name: channel.surprise(measured.feature[None]) for channel in self._channels}
        score = float((self.bundle.combine(found) if self.evidence is None else found[self.evidence])[0])
        scope = blank.scope
        if scope == "ok" and not self._covers(measured, whole_image=seen.face is None):
            scope = "beyond-calibration"
        calibrations = self.bundle.channel_calibrations if scope == "ok" else {}
        p_values = {
            name: calibrations[name].p_value(float(surprise[0]), measured.condition)
            for name, surprise in found.items()
            if name in calibrations
        }
        evidence = {name: ChannelVerdict(float(one[0]), p_values.get(name)) for name, one in found.items()}
        blank = replace(blank, score=score, evidence=evidence, scope=scope)
        if scope != "ok":
            return blank
        p = self.calibration.p_value(score, measured.condition)
        decided_by = self._raised_by(found, score, measured.condition)
        return replace(blank, p_value=p, flagged=bool(p <= rate), decided_by=decided_by)

    def _raised_by(self, found: Mapping[str, Array], score: float, condition: Condition) -> str | None:
        """The channel that moved the score furthest from what it adds for the middle photograph of the category."""
        calibrations = self.bundle.channel_calibrations
        if not all(name in calibrations for name in self._deciding):
            return None
        category = self.calibration.taxonomy.category_of(condition)
        middle = {name: np.median(one.scores[category]) for name, one in calibrations.items()}
        pairs = {name: np.array([found[name][0], middle[name]]) for name in self._deciding}
        added = self.bundle.parts(pairs) if self.evidence is None else pairs
        too_low = self.calibration.tail == "both" and score < np.median(self.calibration.scores[category])
        moved = {name: (pair[0] - pair[1]) * (-1 if too_low else 1) for name, pair in added.items()}
        most = max(moved, key=moved.__getitem__)
        return most if moved[most] > 0 else None

    def _covers(self, measured: Measurement, *, whole_image: bool) -> bool:
        """Whether the calibration has seen photographs in a condition like this."""
        coverage = self.bundle.coverage
        low, high = coverage.jpeg_quality
        quality = measured.condition.jpeg_quality
        return (
            whole_image == coverage.whole_image
            and (quality is None or low <= quality <= high)
            and (not coverage.colour or measured.colour)
        )

    def _blank(self, path: str) -> Verdict:
        return Verdict(
            path, None, None, None, None, None, None, None, "unreadable", None, self.bundle.info.name
        )


def default_bundle() -> Path:
    """Where the bundle that ships lies: inside the installed package, or in the source tree."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "models" / "default"
    return inside if inside.exists() else package.parents[1] / "models" / "default"


def control_discoveries(verdicts: Iterable[Verdict], rate: float) -> list[Verdict]:
    """Flag again, so that of all that is flagged in this set at most `rate` are photographs, on average.

    The flags then depend on the whole set: few if it holds only photographs, more if many pictures are surprising
    (Benjamini-Hochberg on the p-values). Verdicts that abstain stay as they are.

    Raises:
        CalibrationError: the rate is not in (0, 1).
    """
    verdicts = list(verdicts)
    judged = [verdict.p_value for verdict in verdicts if verdict.p_value is not None]
    flags = iter(benjamini_hochberg(judged, rate))
    return [
        verdict if verdict.p_value is None else replace(verdict, flagged=bool(next(flags)))
        for verdict in verdicts
    ]


def _again(kind: type[Detector], path: Path, digest: str, options: dict[str, Any]) -> Detector:
    """What was pickled, loaded from its bundle."""
    detector = kind.of_path(path, **options)
    if _digest(detector.bundle) != digest:
        raise BundleError(
            f"{path}: not the bundle that this detector was pickled with: put that one back, or load the detector again"
        )
    return detector


def _digest(bundle: Bundle) -> str:
    """Of all that a bundle on disk holds: `bundle.json` has the hashes of its files."""
    return hashlib.sha256(bundle.info.model_dump_json().encode()).hexdigest()


_ONE_PICTURE = (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)


def _is_one_picture(sources: object) -> bool:
    if isinstance(sources, np.ndarray):
        return sources.ndim < 4
    return isinstance(sources, _ONE_PICTURE) or hasattr(sources, "read")


def _name_of(source: PictureSource) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "filename", "") or getattr(source, "name", "") or f"<{type(source).__name__}>")
