"""The detector as programs and notebooks have it: it judges, explains, and learns from your own photographs.

>>> detector = cameraborn.load()
>>> mine = detector.fit("my-photographs/", "my-bundle").calibrate("more-of-my-photographs/")
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cameraborn.detect import detector
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.store import check_place, read_bundle, write_bundle
from cameraborn.errors import BundleError, OverwriteError
from cameraborn.files import holds_something

if TYPE_CHECKING:
    from cameraborn.detect.explain import Explanation
    from cameraborn.fit.photographs import Photograph
    from cameraborn.fit.views import Report, ViewOptions
    from cameraborn.photo.decode import PictureSource

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Detector(detector.Detector):
    """Scores pictures with a bundle, explains verdicts, and learns from your photographs; one may serve many threads.

    It can be copied, pickled and sent to processes of any kind, as that which it extends
    (`detect.detector.Detector`, which has its arguments and attributes). `cameraborn.load()` gives the one that ships.
    """

    def explain(self, source: PictureSource, *, face: int = 0, whole_image: bool = False) -> Explanation:
        """What the verdict on one face rests on: see `cameraborn.explain`.

        Raises:
            PictureError: the picture cannot be read, shows no such face, or the face is too small to be scored.
            BundleError: the bundle lacks a model or a calibration.
        """
        from cameraborn.detect.explain import explain

        return explain(self, source, face=face, whole_image=whole_image)

    def fit(self, photographs: Paths, output: str | os.PathLike[str], **options: Any) -> Self:  # noqa: ANN401
        """A detector with the same networks, fitted to photographs, and written as a new bundle; not calibrated.

        Args:
            photographs: file, folder (read recursively), manifest (`.jsonl`), or several of them.
            output: folder of the new bundle, whose name it takes.
            options: as of `cameraborn.fit_bundle`.

        Raises:
            CalibrationError, BundleError, OverwriteError, ManifestError: as `cameraborn.fit_bundle`.
        """
        fit_bundle(photographs, output, bundle=self.bundle, **options)
        return self._of(output)

    def calibrate(
        self,
        photographs: Paths,
        output: str | os.PathLike[str] | None = None,
        **options: Any,  # noqa: ANN401 (those of the function)
    ) -> Self:
        """The same detector, whose p-values hold for photographs like these, which it was not fitted to.

        Args:
            photographs: as for `fit`; others than those.
            output: folder of the new bundle; by default that which this detector was loaded from.
            options: as of `cameraborn.calibrate_bundle`.

        Raises:
            CalibrationError, OverwriteError, ManifestError: as `cameraborn.calibrate_bundle`.
            BundleError: as there; or there is no folder to write to but that of the bundle that ships.
        """
        target = self.path if output is None else Path(output)
        if target is None or (output is None and target == default_bundle()):
            raise BundleError(f"{self.bundle.origin}: cannot be renewed in place: give output, a folder")
        bundle = target if output is None else self.bundle
        calibrate_bundle(photographs, bundle, output=output, **options)
        return self._of(target)

    def _of(self, folder: str | os.PathLike[str]) -> Self:
        return type(self).of_path(Path(folder), **self.options)


def load(
    bundle: str | os.PathLike[str] | None = None,
    *,
    verify: bool = False,
    threads: int = 1,
    evidence: str | None = None,
) -> Detector:
    """Load a detector from a bundle's folder or zip; without one, the bundle that ships with this package.

    Args:
        bundle: folder or zip.
        verify: also score the golden pictures and compare.
        threads: processor threads for one picture.
        evidence: judge by this channel of evidence alone.

    Raises:
        BundleError: the bundle is missing, foreign or damaged, or (with `verify`) computes something else here.
    """
    path = Path(bundle) if bundle is not None else default_bundle()
    loaded = Detector.of_path(path, threads=threads, evidence=evidence)
    if verify:
        loaded.verify()
    return loaded


def fit_bundle(
    photographs: Paths,
    output: str | os.PathLike[str],
    *,
    bundle: str | os.PathLike[str] | Bundle | None = None,
    components: int | None = 1,
    dimensions: int | None = 32,
    per_source: int = sys.maxsize,
    options: ViewOptions | None = None,
    report: Report = lambda path, problem: None,
    overwrite: bool = False,
) -> Detector:
    """Fit the evidence of a bundle to your own photographs, and write it as a new bundle, not yet calibrated.

    Args:
        photographs: file, folder (read recursively), manifest (`.jsonl`), or several of them.
        output: folder of the new bundle, whose name it takes.
        overwrite: a bundle that is there may be replaced.
        bundle: the network: folder, zip or opened bundle; by default the bundle that ships.
        components: number of Gaussians; None: the one under which held-out photographs are likeliest.
        dimensions: number of principal components kept; None models the features as they are.
        per_source: largest number of photographs of one source.
        options: which views are taken of photographs, and how many pictures at a time.
        report: told of each photograph, by its path, and why it was left out (None: it was not).

    Raises:
        CalibrationError: there are no such photographs, or too few that can be used.
        BundleError: the bundle cannot be read, or `output` is something else than a bundle.
        OverwriteError: a bundle is there already.
        ManifestError: a manifest is broken.
    """
    _see_that_nothing_is_lost(Path(output), overwrite=overwrite)
    from cameraborn.fit.density import fit
    from cameraborn.fit.views import ViewOptions

    fitted = fit(
        _opened(bundle),
        _found(photographs, per_source),
        components=components,
        dimensions=dimensions,
        options=options or ViewOptions(),
        report=report,
    )
    write_bundle(fitted.with_info(name=Path(output).name), Path(output))
    return Detector.of_path(Path(output))


def calibrate_bundle(
    photographs: Paths,
    bundle: str | os.PathLike[str] | Bundle,
    *,
    output: str | os.PathLike[str] | None = None,
    class_size: int = 60,
    per_source: int = sys.maxsize,
    options: ViewOptions | None = None,
    report: Report = lambda path, problem: None,
    overwrite: bool = False,
) -> Detector:
    """Measure photographs that were not fitted to, so that p-values hold, and write the bundle with them.

    Args:
        photographs: as for `fit_bundle`; others than those.
        bundle: folder or zip of a fitted bundle, or an opened one.
        output: folder of the new bundle; by default `bundle`, which gets its calibration.
        overwrite: another bundle that is there may be replaced, or the calibration that this one has.
        class_size: photographs that a category of condition needs; smaller categories are merged.
        per_source: largest number of photographs of one source.
        options: which views are taken of photographs, and how many pictures at a time.
        report: as for `fit_bundle`.

    Raises:
        CalibrationError: there are no such photographs, one was fitted to, or none can be used.
        BundleError: the bundle cannot be read or is not fitted, or `output` is something else than a bundle.
        OverwriteError: another bundle is there already, or a calibration.
        ManifestError: a manifest is broken.
    """
    if output is None and isinstance(bundle, Bundle):
        raise BundleError(f"{bundle.origin}: is in memory alone: give output, a folder")
    target, opened = Path(bundle if output is None else output), _opened(bundle)  # type: ignore[arg-type]
    if output is not None:
        _see_that_nothing_is_lost(target, overwrite=overwrite)
    elif opened.info.coverage is not None and not overwrite:
        raise OverwriteError(f"{target}: is calibrated already: give output, or overwrite=True")
    from cameraborn.fit.calibrate import calibrate
    from cameraborn.fit.views import ViewOptions

    calibrated = calibrate(
        opened,
        _found(photographs, per_source),
        options=options or ViewOptions(copies=24),
        class_size=class_size,
        report=report,
    )
    write_bundle(calibrated, target)
    return Detector.of_path(target)


def _see_that_nothing_is_lost(output: Path, *, overwrite: bool) -> None:
    """Before hours of work: that a bundle can be written there, and replaces none that nobody spoke of."""
    check_place(output)
    if not overwrite and holds_something(output):
        raise OverwriteError(f"{output}: is there already: give another output, or overwrite=True")


def _opened(bundle: str | os.PathLike[str] | Bundle | None) -> Bundle:
    if isinstance(bundle, Bundle):
        return bundle
    return read_bundle(default_bundle() if bundle is None else Path(bundle))


def _found(photographs: Paths, per_source: int) -> list[Photograph]:
    from cameraborn.fit.photographs import cap_per_source, find_photographs

    paths = [photographs] if isinstance(photographs, str | os.PathLike) else photographs
    return list(cap_per_source(find_photographs([Path(path) for path in paths]), per_source))
