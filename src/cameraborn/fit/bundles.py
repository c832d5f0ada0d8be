"""From photographs to a detector in one call: what the verbs `fit` and `calibrate` do, for notebooks and programs.

>>> cameraborn.fit_bundle("my-photographs/", "my-bundle")
>>> detector = cameraborn.calibrate_bundle("more-of-my-photographs/", "my-bundle")
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cameraborn.detect.detector import Detector, default_bundle
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.density import fit
from cameraborn.fit.photographs import Photograph, cap_per_source, find_photographs
from cameraborn.fit.views import Report, ViewOptions

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
_FIT, _CALIBRATE = ViewOptions(), ViewOptions(copies=24)


def fit_bundle(
    photographs: Paths,
    output: str | os.PathLike[str],
    *,
    bundle: str | os.PathLike[str] | None = None,
    components: int | None = 1,
    dimensions: int | None = 32,
    per_source: int = sys.maxsize,
    options: ViewOptions = _FIT,
    report: Report = lambda path, problem: None,
) -> Detector:
    """Fit the evidence of a bundle to your own photographs, and write it as a new bundle, not yet calibrated.

    Args:
        photographs: file, folder (read recursively), manifest (`.jsonl`), or several of them.
        output: folder of the new bundle, whose name it takes.
        bundle: folder or zip with the network; by default the bundle that ships.
        components: number of Gaussians; None: the one under which held-out photographs are likeliest.
        dimensions: number of principal components kept; None models the features as they are.
        per_source: largest number of photographs of one source.
        options: which views are taken of photographs, and how many pictures at a time.
        report: told of each photograph, by its path, and why it was left out (None: it was not).

    Raises:
        CalibrationError: there are no such photographs, or too few that can be used.
        BundleError: the bundle cannot be read, or `output` is something else than a bundle.
        ManifestError: a manifest is broken.
    """
    fitted = fit(
        read_bundle(Path(bundle) if bundle is not None else default_bundle()),
        _found(photographs, per_source),
        components=components,
        dimensions=dimensions,
        options=options,
        report=report,
    )
    write_bundle(fitted.with_info(name=Path(output).name), Path(output))
    return Detector.of_path(Path(output))


def calibrate_bundle(
    photographs: Paths,
    bundle: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    class_size: int = 60,
    per_source: int = sys.maxsize,
    options: ViewOptions = _CALIBRATE,
    report: Report = lambda path, problem: None,
) -> Detector:
    """Measure photographs that were not fitted to, so that p-values hold, and write the bundle with them.

    Args:
        photographs: as for `fit_bundle`; others than those.
        bundle: folder or zip of a fitted bundle.
        output: folder of the new bundle; by default `bundle`.
        class_size: photographs that a category of condition needs; smaller categories are merged.
        per_source: largest number of photographs of one source.
        options: which views are taken of photographs, and how many pictures at a time.
        report: as for `fit_bundle`.

    Raises:
        CalibrationError: there are no such photographs, one was fitted to, or none can be used.
        BundleError: the bundle cannot be read or is not fitted, or `output` is something else than a bundle.
        ManifestError: a manifest is broken.
    """
    calibrated = calibrate(
        read_bundle(Path(bundle)),
        _found(photographs, per_source),
        options=options,
        class_size=class_size,
        report=report,
    )
    target = Path(bundle if output is None else output)
    write_bundle(calibrated, target)
    return Detector.of_path(target)


def _found(photographs: Paths, per_source: int) -> list[Photograph]:
    paths = [photographs] if isinstance(photographs, str | os.PathLike) else photographs
    return list(cap_per_source(find_photographs([Path(path) for path in paths]), per_source))
