"""Views of photographs: each face as it is, and copies of it after random operations.

A detector observes each photograph as scoring will, and also copies of it, so that a shrunk or recompressed photograph
is an ordinary one.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cameraborn.data.duplicates import FirstShown, fingerprint
from cameraborn.degrade.random import (
    OPERATIONS,
    Processed,
    apply_operation,
    random_operations,
    random_recompression,
)
from cameraborn.detect.abstain import unfit
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.condition import Condition
from cameraborn.detect.observe import Measurement, Observer, has_colour, longer_side
from cameraborn.engine.journal import Journal, Mark, digest
from cameraborn.engine.local import map_in_order
from cameraborn.engine.resume import Task, UnlessKnown
from cameraborn.engine.stage import Jobs, Stage
from cameraborn.errors import CalibrationError, CopyOfAnother, PictureError
from cameraborn.files import Pixels
from cameraborn.fit.photographs import Photograph, subsample
from cameraborn.fit.view import Example, View, Viewed
from cameraborn.photo.decode import Picture, open_listed

_Hashes = tuple[str, str]  # of the file, and of its pixels
Report = Callable[[str, str | None], None]  # a photograph's path, and why it was left out (None: it was not)

_EXAMPLE_PHOTOGRAPHS, _EXAMPLE_COPIES = 600, 2  # that operations are learnt from; copies by each operation


@dataclass(frozen=True)
class ViewOptions:
    """Which views are taken of photographs.

    Attributes:
        whole_image: take the whole picture instead of its faces.
        copies: random copies of each face; 0 takes it only as it is.
        operations: copies may also have been enlarged, blurred, sharpened or given noise (`random_operations`), not
            only shrunk and recompressed (`random_recompression`).
        every_operation: also a copy after each of `OPERATIONS`, so that none is rare.
        faceless: take the middle square of a photograph without a usable face instead of leaving it out: what a
            camera leaves in pixels does not depend on faces, and there are more photographs without.
        jobs: pictures at a time, or the engine that does the work.
        seed: random seed of the copies.
    """

    whole_image: bool = False
    copies: int = 4
    operations: bool = False
    every_operation: bool = False
    faceless: bool = False
    jobs: Jobs = None
    seed: int = 0


def take_views(
    bundle: Bundle,
    photographs: Iterable[Photograph],
    options: ViewOptions,
    report: Report,
    journal: Journal | None = None,
    featured: Mapping[Photograph, Set[int]] | None = None,
    once: Once | None = None,
) -> Iterator[list[View]]:
    """The views of each usable photograph, in their order.

    A photograph that cannot be read or shows no usable face is reported and left out; so is a copy of an earlier one,
    by `once`. What is in the journal is not done again; what is done is added to it. `featured` is as of `ViewStage`.
    """
    stage = ViewStage(bundle, options, featured=featured)
    for viewed in _viewed(stage, photographs, report, journal, once or Once()):
        if viewed.views:
            yield viewed.views


def take_views_and_examples(
    bundle: Bundle,
    photographs: Sequence[Photograph],
    options: ViewOptions,
    report: Report,
    journal: Journal | None = None,
    once: Once | None = None,
) -> tuple[list[View], list[Example]]:
    """The same views in one list, and the faces of some of the photographs after every operation."""
    exemplary = frozenset(subsample(photographs, _EXAMPLE_PHOTOGRAPHS))
    stage = ViewStage(bundle, options, exemplary)
    viewed = list(_viewed(stage, photographs, report, journal, once or Once()))
    return [view for one in viewed for view in one.views], [ex for one in viewed for ex in one.examples]


def features_of(views: Sequence[View]) -> NDArray[np.float32]:
    """The features of views, of all of which networks ran: [N D]."""
    return np.stack([view.feature for view in views if view.feature is not None])


def no_usable_face(what: str) -> CalibrationError:
    """The error of pictures, none of which gives a view."""
    return CalibrationError(f"{what} shows a usable face: give others, or use --whole-image")


def random_generator(sha256: str, seed: int) -> np.random.Generator:
    """Seeded by the photograph itself, so that its copies do not depend on the company it is in."""
    return np.random.default_rng([seed, int(sha256[:16], 16)])


def _viewed(
    stage: ViewStage, photographs: Iterable[Photograph], report: Report, journal: Journal | None, once: Once
) -> Iterator[Viewed]:
    tasks = (_task(stage, photograph, journal) for photograph in photographs)
    for task, viewed in map_in_order(UnlessKnown(stage), tasks, stage.options.jobs):
        if journal is not None and task.known is None and viewed.sha256 is not None:
            journal.add(task.mark, viewed.to_json())
        told = once(viewed)
        report(told.path, told.problem)
        yield told


class Once:
    """Photographs, but without views if an earlier one has shown the same: a copy, saved anew or not, is no second one.

    Attributes:
        hashes: of all that had views, copies too: whoever learns from a photograph has seen its copies.
    """

    def __init__(self, check: Callable[[View], None] = lambda view: None) -> None:
        """`check` is shown a view of each, a copy's too, and may raise."""
        self.hashes: set[str] = set()
        self._check = check
        self._first: list[tuple[str, str | None]] = []  # path and hash of the first file that shows it
        self._shown: dict[str, int] = {}
        self._looks = FirstShown()
        self._others = 0  # so many are of another class

    def turn_to_generated(self) -> None:
        """From here on come generated pictures, and none may be among the photographs, in the same pixels.

        One may look like a photograph: it may be a photograph that a generator has redrawn.
        """
        self._others, self._looks = len(self._first), FirstShown()

    def __call__(self, viewed: Viewed) -> Viewed:
        """The same, without its views if it is a copy.

        Raises:
            CalibrationError: it is among the photographs, and is called generated.
        """
        if not viewed.views or viewed.shown is None or viewed.looks is None:
            return viewed
        self._check(viewed.views[0])
        self.hashes.update(viewed.views[0].hashes)
        number = self._shown.get(viewed.shown)
        how = ""
        if number is None:
            same = self._looks.same_as(viewed.looks)
            number = len(self._first) if same is None else self._others + same
            self._shown[viewed.shown] = number
            if same is None:
                self._first.append((viewed.path, viewed.sha256))
                return viewed
            how = ", saved again or resized"
        path, sha256 = self._first[number]
        if number < self._others:
            raise CalibrationError(
                f"{viewed.path}: is also among the photographs, as {path}: "
                "a picture is one or the other, give each once"
            )
        what = f"is the same file as {path}" if sha256 == viewed.sha256 else f"shows what {path} shows{how}"
        problem = CopyOfAnother(f"{viewed.path}: {what}, and counts once")
        return replace(viewed, views=[], examples=[], problem=problem)


@dataclass
class ViewStage(Stage[Photograph, Viewed]):
    """Takes the views of one photograph after another.

    Attributes:
        bundle: its network observes.
        options: which views.
        exemplary: photographs that also give examples of every operation.
        featured: of each photograph, the numbers of the views that networks run on; None: all. Faces as they are
            always have features.
    """

    bundle: Bundle
    options: ViewOptions
    exemplary: frozenset[Photograph] = frozenset()
    featured: Mapping[Photograph, Set[int]] | None = None
    _observer: Observer = field(init=False, repr=False)

    def setup(self) -> None:
        """Open the network."""
        self._observer = Observer(self.bundle)

    def work(self, item: Photograph) -> Viewed:
        """The views of one photograph."""
        try:
            picture = open_listed(item.path)  # looked at twice, which a pipe does not allow
            faces = self._faces(picture)
        except PictureError as error:
            return Viewed(item.path, None, None, [], [], str(error))
        shown = hashlib.sha256(np.ascontiguousarray(picture.pixels).data).hexdigest()
        sha256 = picture.sha256 or shown
        views = list(self._views(item, (sha256, shown), faces))
        examples = list(self._examples(sha256, faces)) if item in self.exemplary else []
        problem = None if views else f"{item.path}: no usable face"
        looks = fingerprint(picture.pixels) if views else None
        return Viewed(item.path, sha256, shown, views, examples, problem, looks)

    def _faces(self, picture: Picture) -> list[tuple[Pixels, float, Measurement]]:
        """The crop, size in pixels and measurement of each usable face."""
        found = [
            (seen.crop, longer_side(seen.box), seen.measured)
            for seen in self._observer.observe(picture, whole_image=self.options.whole_image)
            if seen.measured is not None
            and seen.scope == "ok"  # what is not judged is not learnt from
            and unfit(picture, seen.box) is None
        ]
        if self.options.faceless and not found and unfit(picture) is None:
            middle = _middle_square(picture.pixels)
            if self._observer.is_large_enough(middle):
                size = len(middle) / self._observer.bundle.info.crop_scale
                found = [(middle, size, self._observer.measure(middle, size, picture.jpeg_quality))]
        return found

    def _views(
        self, photograph: Photograph, hashes: _Hashes, faces: list[tuple[Pixels, float, Measurement]]
    ) -> Iterator[View]:
        rng = random_generator(hashes[0], self.options.seed)
        featured = None if self.featured is None else self.featured.get(photograph, frozenset())
        numbers = itertools.count()
        for crop, size, as_it_is in faces:
            next(numbers)
            yield _view(photograph, hashes, as_it_is)
            for (pixels, quality), number in zip(self._copies(crop, rng), numbers, strict=False):
                left = size * pixels.shape[0] / crop.shape[0]
                if featured is None or number in featured:
                    yield _view(photograph, hashes, self._observer.measure(pixels, left, quality))
                else:
                    yield self._without_feature(photograph, hashes, pixels, left, quality)

    def _without_feature(
        self, photograph: Photograph, hashes: _Hashes, pixels: Pixels, size: float, quality: int | None
    ) -> View:
        """The same of a view that no network is asked about, in a tenth of the time."""
        statistics = self._observer.statistics(pixels)
        condition = self._observer.bundle.condition(size, quality, statistics)
        return View(photograph, *hashes, None, _rounded(condition), statistics, has_colour(pixels))

    def _copies(self, crop: Pixels, rng: np.random.Generator) -> list[Processed]:
        smallest = self._observer.bundle.info.smallest_side
        process = random_operations if self.options.operations else random_recompression
        copies = [process(crop, rng, smallest_side=smallest) for _ in range(self.options.copies)]
        if self.options.every_operation:
            copies += [copy for _, copy in self._after_operations(crop, rng)]
        return copies

    def _examples(self, sha256: str, faces: list[tuple[Pixels, float, Measurement]]) -> Iterator[Example]:
        rng = random_generator(sha256, self.options.seed)
        for crop, _, _ in faces:
            for _ in range(_EXAMPLE_COPIES):
                for operation, (pixels, _) in self._after_operations(crop, rng):
                    yield self._observer.statistics(pixels), operation

    def _after_operations(self, crop: Pixels, rng: np.random.Generator) -> Iterator[tuple[int, Processed]]:
        """A crop after each of `OPERATIONS` that can be done to it, with its place."""
        smallest = self._observer.bundle.info.smallest_side
        for place, name in enumerate(OPERATIONS):
            processed = apply_operation(name, crop, rng, smallest_side=smallest)
            if processed is not None:
                yield place, processed


def _task(stage: ViewStage, photograph: Photograph, journal: Journal | None) -> Task[Photograph, Viewed]:
    if journal is None:
        return Task(photograph)
    featured = "all" if stage.featured is None else sorted(stage.featured.get(photograph, ()))
    mark = Mark.of(digest(f"{photograph in stage.exemplary} {featured} {photograph.path}"), photograph.path)
    try:
        _, fields = journal.get(mark) or (0, None)
        known = fields and Viewed.of_json(fields, photograph, stage.bundle.info.width)
    except (ValueError, LookupError, TypeError):
        known = None
    return Task(photograph, mark, known)


def _view(photograph: Photograph, hashes: _Hashes, measured: Measurement) -> View:
    condition = _rounded(measured.condition)
    return View(photograph, *hashes, measured.feature, condition, measured.statistics, measured.colour)


def _rounded(condition: Condition) -> Condition:
    """In whole pixels, as calibration.csv keeps them: a category can be told again from the file."""
    return replace(condition, size=round(condition.size))


def _middle_square(pixels: Pixels) -> Pixels:
    H, W, _ = pixels.shape
    side = min(H, W)
    y, x = (H - side) // 2, (W - side) // 2
    return pixels[y : y + side, x : x + side]
