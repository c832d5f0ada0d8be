"""How photographs become a detector: `fit` a mixture to some, `calibrate` the threshold on others.

Both look at each photograph as scoring will, and also at copies that have been through random conditions, so that a
shrunk or recompressed photograph is an ordinary one. Fitting also learns what operation leaves in photographs, so that
calibration can compare each with those that look handled alike.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from cameraborn.data.manifest import Row, read_manifest
from cameraborn.degrade.random import (
    OPERATIONS,
    Processed,
    apply_operation,
    random_operations,
    random_recompression,
)
from cameraborn.degrade.residual_statistics import ResidualStatistics
from cameraborn.detect.bundle import Bundle, CalibrationRow, Coverage, calibration_csv
from cameraborn.detect.conformal import Cell, Grid, Tail, merge_cells, noise_edges
from cameraborn.detect.detector import Detector, has_colour, longer_side
from cameraborn.detect.evidence.density import Mixture, choose_components, fit_mixture
from cameraborn.detect.evidence.em import Covariance
from cameraborn.detect.golden import GOLDEN_NAMES, golden_picture
from cameraborn.detect.operations import OperationClassifier, learn_operation_classifier
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Call
from cameraborn.errors import CalibrationError, PictureError
from cameraborn.photo.decode import Picture, open_picture
from cameraborn.photo.files import pictures_in

Example = tuple[ResidualStatistics, int]  # of a face, and the place in `OPERATIONS` of what was done to it
_Crop = tuple[NDArray[np.uint8], float]  # and the size of the face in it: longer side of its box, pixels

_HASH_LENGTH = 16  # hex digits kept of a photograph's SHA-256: enough to recognise it

OF_AN_OLDER_FIT = ("head.safetensors", "calibration.csv", "golden.json")
CANDIDATES = (1, 2, 3, 4, 6, 8, 12, 16)  # numbers of components to choose from
# Pixels that part the sizes of faces, and of whole pictures, for p-values conditional on them.
FACE_SIZE_EDGES, WHOLE_SIZE_EDGES = (130,), (320, 640)
_HANDLED, _HANDLED_COPIES = 600, 2  # photographs that operations are learnt from, copies of each by every one
_COLOURLESS_SHARE = 0.05  # of the calibration photographs, to say that colourless pictures are covered


@dataclass(frozen=True)
class Photograph:
    """A genuine photograph to learn from."""

    path: str
    source: str


@dataclass(frozen=True)
class View:
    """One look at one face (or whole photograph): as it is, or after a random condition."""

    photograph: Photograph
    sha256: str
    feature: NDArray[np.float32]  # [D]
    face_size: int
    jpeg_quality: int | None
    traces: ResidualStatistics
    colour: bool


@dataclass(frozen=True)
class LearnOptions:
    """How photographs are looked at.

    Attributes:
        whole_image: take the whole picture instead of its faces.
        copies: randomly delivered copies of each face; 0 looks at it only as it is.
        handled: copies may also have been enlarged, blurred, sharpened or given noise (`random_operations`), not
            only shrunk and recompressed (`random_recompression`).
        every_operation: also after each of `OPERATIONS` once, so that none is rare.
        as_is: also look at it as it is.
        faceless: take the middle square of a photograph without a usable face instead of leaving it out: what a
            camera leaves in pixels is no matter of faces, and there are more photographs without.
        jobs: pictures at a time.
        seed: of the random conditions.
    """

    whole_image: bool = False
    copies: int = 4
    handled: bool = False
    every_operation: bool = False
    as_is: bool = True
    faceless: bool = False
    jobs: int | None = None
    seed: int = 0


Classes = tuple[tuple[Cell, ...], ...]
Report = Callable[[str, str | None], None]  # a photograph's path, and why it was left out (None: it was not)


def find_photographs(
    paths: Sequence[Path], *, split: str = "", kinds: Sequence[str] = ()
) -> Iterator[Photograph]:
    """The photographs of files, folders (recursively) and manifests (`.jsonl`), filtered by split and kind.

    Artificially manipulated ones are passed over.

    Raises:
        ManifestError: a manifest is broken.
        CalibrationError: a path does not exist, holds nothing of that split and kind, or calls a picture generated.
    """
    for path in paths:
        found = 0
        for found, photograph in enumerate(_photographs_at(path, split, kinds), 1):  # noqa: B007 (counted below)
            yield photograph
        if not found:
            wanted = (f"of split '{split}' " if split else "") + (
                f"of kind {', '.join(kinds)}" if kinds else ""
            )
            raise CalibrationError(
                f"{path}: no photograph {wanted.strip() or 'in it'}: check the path, --split and --kind"
            )


def at_most(photographs: Iterable[Photograph], per_source: int) -> Iterator[Photograph]:
    """The first `per_source` photographs of each source, so that no single photographer decides the threshold."""
    counts: Counter[str] = Counter()
    for photograph in photographs:
        counts[photograph.source] += 1
        if counts[photograph.source] <= per_source:
            yield photograph


def spread_out(photographs: Sequence[Photograph], count: int) -> Sequence[Photograph]:
    """At most `count` from all through the list, because neighbours are often of one photographer."""
    return photographs[:: max(1, -(-len(photographs) // count))]


def _photographs_at(path: Path, split: str, kinds: Sequence[str]) -> Iterator[Photograph]:
    if path.suffix == ".jsonl":
        for row in read_manifest(path):
            wanted = (not split or row.split == split) and (not kinds or row.kind in kinds)
            if wanted and not row.manipulation:
                yield _genuine(path, row)
    elif path.is_dir():
        for file in pictures_in(str(path)):
            yield Photograph(file, path.name)
    elif path.exists():
        yield Photograph(str(path), path.parent.name)
    else:
        raise CalibrationError(f"{path}: no such file or folder: check the path")


def _genuine(manifest: Path, row: Row) -> Photograph:
    if row.label != "photo":
        raise CalibrationError(
            f"{manifest}: {row.path} is labelled {row.label}: a one-class model learns from photographs alone, "
            "choose a split without generated pictures"
        )
    return Photograph(row.path, row.source)


def fit(
    bundle: Bundle,
    photographs: Iterable[Photograph],
    *,
    components: int | None,
    dimensions: int | None,
    covariance: Covariance = Covariance.full,
    shrinkage: float = 0.0,
    options: LearnOptions,
    report: Report = lambda path, problem: None,
) -> Bundle:
    """A copy of the bundle with a mixture fitted to the photographs; an older head and calibration are dropped.

    It also learns to tell what a face has been through, from the photographs after every operation. The mixture's
    options are those of `fit_mixture`. Without a number of `components`, it is that of `CANDIDATES` under which
    photographs held out from the fit are likeliest.

    Raises:
        CalibrationError: too few of the photographs show a face that can be used.
    """
    views, examples = look_and_handle(bundle, list(photographs), options, report)
    if not views:
        raise CalibrationError(
            "none of the photographs shows a usable face: give others, or use --whole-image"
        )
    whole = np.stack([view.feature for view in views])
    features = whole if bundle.boundary is None else bundle.boundary.unread(whole)

    def fit_to(some: NDArray[np.floating], K: int) -> Mixture:
        return fit_mixture(
            some,
            components=K,
            dimensions=dimensions,
            covariance=covariance,
            shrinkage=shrinkage,
            seed=options.seed,
        )

    if components is None:
        groups = [view.sha256 for view in views]
        choices = choose_components(features, CANDIDATES, fit_to, groups=groups, seed=options.seed)
        components = max(choices, key=lambda choice: choice.held_out_log_likelihood).components
    mixture = fit_to(features, components)
    seen = bundle.files.get("seen.txt", b"").decode().split()
    files = {name: data for name, data in bundle.files.items() if name not in OF_AN_OLDER_FIT}
    files["mixture.safetensors"] = safetensors.numpy.save(mixture.tensors())
    operation_classifier = operation_classifier_of(examples, options)
    files["recogniser.safetensors"] = safetensors.numpy.save(operation_classifier.tensors())
    if bundle.boundary is not None:
        boundary = bundle.boundary.scaled_to(whole, mixture.log_likelihood(features))
        files["redrawn.safetensors"] = safetensors.numpy.save(boundary.tensors())
    files["seen.txt"] = seen_file([*seen, *(view.sha256 for view in views)])
    info = bundle.info.model_copy(update={"coverage": None, "versions": software_versions()})
    return Bundle(info, files, bundle.origin)


def calibrate(
    bundle: Bundle,
    photographs: Iterable[Photograph],
    *,
    options: LearnOptions,
    class_size: int = 60,
    tail: Tail = "upper",
    report: Report = lambda path, problem: None,
) -> Bundle:
    """A copy of the bundle with the scores of held-out photographs and golden scores.

    Each photograph is looked at after several conditions of every kind (`handled` and `every_operation` are always on:
    a rate holds for what calibration has seen), so that it stands for itself in every class of condition that it can
    reach; classes with fewer than `class_size` photographs are merged. In a class it counts once, because two looks
    at one photograph are not independent: the photograph as it is in its own class, elsewhere one of its views, drawn
    at random, seeded by the photograph itself.

    Raises:
        CalibrationError: a photograph was used to fit, or none is usable.
        BundleError: the bundle has no mixture.
    """
    options = replace(options, handled=True, every_operation=True)
    seen = set(bundle.files.get("seen.txt", b"").decode().split())
    sizes = WHOLE_SIZE_EDGES if options.whole_image else FACE_SIZE_EDGES
    held_out: dict[str, list[CalibrationRow]] = {}  # a photograph's views
    colourless = 0
    for views in _by_photograph(look(bundle, photographs, options, report)):
        photograph = views[0].sha256[:_HASH_LENGTH]
        if photograph in seen:
            raise CalibrationError(
                f"{views[0].photograph.path}: the network or the mixture has already seen this photograph: "
                "calibrate on photographs that were held out"
            )
        if photograph in held_out:
            continue
        scores = bundle.scores(np.stack([view.feature for view in views]))
        held_out[photograph] = [
            calibration_row(bundle, view, float(score)) for view, score in zip(views, scores, strict=True)
        ]
        colourless += not views[0].colour
    if not held_out:
        raise CalibrationError(
            "none of the photographs shows a usable face: give others, or use --whole-image"
        )
    operations = () if bundle.operation_classifier is None else tuple(OPERATIONS)
    grid, classes = parted(held_out.values(), sizes, operations, class_size)
    rows = [row for looks in held_out.values() for row in one_a_class(looks, classes, grid, options)]
    lowest = min((row.jpeg_quality for row in rows if row.jpeg_quality is not None), default=100)
    coverage = Coverage(
        jpeg_quality=(lowest, 100),
        colour=colourless < _COLOURLESS_SHARE * len(held_out),
        whole_image=options.whole_image,
        tail=tail,
        size_edges=grid.size,
        noise_edges=grid.noise,
        operations=grid.operations,
        classes=classes,
    )
    calibrated = Bundle(
        bundle.info.model_copy(update={"coverage": coverage, "versions": software_versions()}),
        {**bundle.files, "calibration.csv": calibration_csv(rows, operations)},
        bundle.origin,
    )
    detector = Detector(calibrated)
    golden = {name: round(detector.score_crop(golden_picture(name)), 4) for name in GOLDEN_NAMES}
    files = {**calibrated.files, "golden.json": (json.dumps(golden, indent=1) + "\n").encode()}
    return Bundle(calibrated.info, files, bundle.origin)


def calibration_row(bundle: Bundle, view: View, score: float) -> CalibrationRow:
    """What calibration keeps of a view."""
    condition = bundle.condition(view.face_size, view.jpeg_quality, view.traces)
    return CalibrationRow(
        score,
        view.photograph.source,
        view.sha256[:_HASH_LENGTH],
        view.face_size,
        view.jpeg_quality,
        condition.noise,
        condition.operation,
    )


def parted(
    held_out: Iterable[Sequence[CalibrationRow]],
    sizes: tuple[int, ...],
    operations: tuple[str, ...],
    class_size: int,
) -> tuple[Grid, Classes]:
    """The classes of condition of photographs, of each of which some views are given.

    Noise is parted at quartiles of all views, so that each part is reached by many photographs.
    """
    rows = [row for looks in held_out for row in looks]
    grid = Grid(sizes, noise_edges([row.noise for row in rows]), operations)
    reached: dict[Cell, set[str]] = {}
    for row in rows:
        reached.setdefault(grid.cell_of(row.condition), set()).add(row.photograph)
    return grid, merge_cells(reached, class_size, grid)


def one_a_class(
    looks: Sequence[CalibrationRow], classes: Classes, grid: Grid, options: LearnOptions
) -> Iterator[CalibrationRow]:
    """Of one photograph's views, one in each class that any of them is in: the first as it is, else one at random."""
    rng = _rng(looks[0].photograph, options.seed + 1)
    cells_of = [grid.cell_of(row.condition) for row in looks]
    for cells in classes:
        inside = [row for row, cell in zip(looks, cells_of, strict=True) if cell in cells]
        if inside:
            drawn = inside[int(rng.integers(len(inside)))]
            yield looks[0] if options.as_is and inside[0] is looks[0] else drawn


def look(
    bundle: Bundle, photographs: Iterable[Photograph], options: LearnOptions, report: Report
) -> Iterator[View]:
    """Every view of every usable face, photograph by photograph, in their order.

    A photograph that cannot be read or shows no usable face is reported and left out.
    """
    for looked in _look(bundle, photographs, options, report):
        yield from looked.views


def look_and_handle(
    bundle: Bundle, photographs: Sequence[Photograph], options: LearnOptions, report: Report
) -> tuple[list[View], list[Example]]:
    """The same views, and the faces of some of the photographs after every operation, for `operation_classifier_of`."""
    handled = frozenset(spread_out(photographs, _HANDLED))
    looked = list(_look(bundle, photographs, options, report, handled))
    return [view for one in looked for view in one.views], [ex for one in looked for ex in one.examples]


def operation_classifier_of(examples: Sequence[Example], options: LearnOptions) -> OperationClassifier:
    """What tells operations apart, learnt from examples of them.

    Raises:
        CalibrationError: there are none.
    """
    if not examples:
        raise CalibrationError(
            "hardly any of the photographs shows a usable face: give others, or use --whole-image"
        )
    traces, operations = zip(*examples, strict=True)
    return learn_operation_classifier(np.stack(traces), operations, len(OPERATIONS), seed=options.seed)


@dataclass(frozen=True)
class _Looked:
    path: str
    views: list[View]
    examples: list[Example]
    problem: str | None


def _look(
    bundle: Bundle,
    photographs: Iterable[Photograph],
    options: LearnOptions,
    report: Report,
    handled: frozenset[Photograph] = frozenset(),
) -> Iterator[_Looked]:
    detector = Detector(bundle)

    def look_at(photograph: Photograph) -> _Looked:
        try:
            picture = open_picture(photograph.path)
            crops = _crops(detector, picture, options)
        except PictureError as error:
            return _Looked(photograph.path, [], [], str(error))
        views = _views(detector, photograph, picture, crops, options)
        examples = _examples(detector, picture, crops, options) if photograph in handled else []
        problem = None if views else f"{photograph.path}: no usable face"
        return _Looked(photograph.path, views, examples, problem)

    for looked in map_in_order(Call(look_at), photographs, options.jobs):
        report(looked.path, looked.problem)
        yield looked


def seen_file(hashes: Iterable[str]) -> bytes:
    """`seen.txt`: the photographs that a network or mixture has learnt from, so that none calibrates it."""
    return ("\n".join(sorted({digest[:_HASH_LENGTH] for digest in hashes})) + "\n").encode()


def software_versions() -> dict[str, str]:
    """The versions that decide a bundle's numbers."""
    packages = ("cameraborn", "numpy", "onnxruntime", "pillow", "scikit-learn")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


def _views(
    detector: Detector, photograph: Photograph, picture: Picture, crops: list[_Crop], options: LearnOptions
) -> list[View]:
    sha256 = _sha256(picture)
    rng = _rng(sha256, options.seed)
    views = []
    for crop, size in crops:
        looks = [(crop, picture.jpeg_quality)] if options.as_is else []
        deliver = random_operations if options.handled else random_recompression
        looks += [
            deliver(crop, rng, smallest_side=detector.encoder.preprocessing.smallest_side)
            for _ in range(options.copies)
        ]
        if options.every_operation:
            looks += [copy for _, copy in _handled(detector, crop, rng)]
        for pixels, quality in looks:
            left = round(size * pixels.shape[0] / crop.shape[0])
            feature, traces = detector.encoder.look(pixels)
            views.append(View(photograph, sha256, feature, left, quality, traces, has_colour(pixels)))
    return views


def _examples(
    detector: Detector, picture: Picture, crops: list[_Crop], options: LearnOptions
) -> list[Example]:
    rng = _rng(_sha256(picture), options.seed)
    return [
        (detector.encoder.traces_of(pixels), operation)
        for crop, _ in crops
        for _ in range(_HANDLED_COPIES)
        for operation, (pixels, _) in _handled(detector, crop, rng)
    ]


def _crops(detector: Detector, picture: Picture, options: LearnOptions) -> list[_Crop]:
    """What can be learnt from of a picture."""
    preprocessing = detector.encoder.preprocessing
    crops = [
        (detector.crop(picture.pixels, box, whole_image=options.whole_image), longer_side(box))
        for box in detector.boxes(picture.pixels, whole_image=options.whole_image)
    ]
    crops = [(crop, size) for crop, size in crops if min(crop.shape[:2]) >= preprocessing.smallest_side]
    if options.faceless and not crops and min(picture.pixels.shape[:2]) >= preprocessing.smallest_side:
        middle = _middle_square(picture.pixels)
        crops = [(middle, len(middle) / preprocessing.crop_scale)]
    return crops


def _sha256(picture: Picture) -> str:
    return picture.sha256 or hashlib.sha256(picture.pixels.tobytes()).hexdigest()


def _handled(
    detector: Detector, crop: NDArray[np.uint8], rng: np.random.Generator
) -> Iterator[tuple[int, Processed]]:
    """A crop after each of `OPERATIONS` that can be done to it, beside its place."""
    smallest_side = detector.encoder.preprocessing.smallest_side
    for place, name in enumerate(OPERATIONS):
        handled = apply_operation(name, crop, rng, smallest_side=smallest_side)
        if handled is not None:
            yield place, handled


def _middle_square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    H, W, _ = pixels.shape
    side = min(H, W)
    y, x = (H - side) // 2, (W - side) // 2
    return pixels[y : y + side, x : x + side]


def _rng(sha256: str, seed: int) -> np.random.Generator:
    """Seeded by the photograph itself, so that its copies do not depend on the company it is in."""
    return np.random.default_rng([seed, int(sha256[:16], 16)])


def _by_photograph(views: Iterable[View]) -> Iterator[list[View]]:
    for _, group in itertools.groupby(views, key=lambda view: view.photograph.path):
        yield list(group)
