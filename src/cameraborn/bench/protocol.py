"""The papers' protocol, so that its figures can stand beside ours.

AIGFD-EXIF (arXiv 2501.02207, and its code): a Gaussian mixture on the features of up to 25,000 photographs; the
threshold is the 5th percentile of the likelihoods of those *same* photographs; a picture is called a photograph at or
above it; the positive class is the photograph. A mixture of millions of parameters fits the photographs that it has
seen better than others, so the share of other photographs that this threshold flags is more than 5 %: how much more is
what the p-values of held-out photographs, kept in the same rows, show.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameraborn.bench.bundles import BundleJudge, Features, fit_density, held_out_p_values
from cameraborn.bench.config import BenchConfig, ProtocolSection
from cameraborn.bench.degraded import UNDEGRADED
from cameraborn.bench.judge import ERROR_SCOPE, SEEN_SCOPE, Judgement
from cameraborn.bench.run import (
    SCORES,
    Advance,
    DetectorRecord,
    Tally,
    bundle_judges,
    in_order,
    open_cache,
    read_sets,
    record_of,
    row_of,
    write_record,
)
from cameraborn.bench.scores import ScoreFile
from cameraborn.bench.sets import Specimen, read_photographs, refuse_overlap
from cameraborn.detect.evidence.density import Mixture
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Call
from cameraborn.errors import BenchError, PictureError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Photographs:
    """What the protocol learns from, and what it is checked with."""

    fit: list[Specimen]
    held_out: list[Specimen]


@dataclass(frozen=True)
class FittedProtocol:
    """A mixture on one encoder's features, with both thresholds.

    Attributes:
        name, key, sources: as of any detector.
        density: the mixture.
        threshold: on the log-likelihood; under it a picture is called generated.
        held_out: scores of the held-out photographs [n].
        note: what was fitted to how much.
    """

    name: str
    key: str
    sources: frozenset[str]
    density: Mixture
    threshold: float
    held_out: Array
    note: str

    def judge(self, feature: Features) -> Judgement:
        """Of a feature [D]: flagged by the papers' threshold, the p-value by held-out photographs."""
        likelihood = float(self.density.log_likelihood(feature[None])[0])
        p_value = float(held_out_p_values(np.array([-likelihood]), self.held_out)[0])
        return Judgement("ok", -likelihood, p_value, likelihood < self.threshold)


def section_of(config: BenchConfig) -> ProtocolSection:
    """The configuration's protocol.

    Raises:
        BenchError: it has none.
    """
    if config.protocol is None:
        raise BenchError(
            "the configuration has no [protocol]: name the photographs to fit to as [protocol.fit] and others as "
            "[protocol.held_out]"
        )
    return config.protocol


def read_protocol_photographs(section: ProtocolSection, tested: Sequence[Specimen]) -> Photographs:
    """The photographs of both purposes.

    Raises:
        BenchError: a photograph serves two of fitting, holding out and testing.
    """
    fit = read_photographs(section.fit, limit=section.limit)
    held_out = read_photographs(section.held_out)
    refuse_overlap(fit, held_out, "this photograph is both fitted to and held out")
    refuse_overlap([*fit, *held_out], tested, "this picture is both learnt from and tested")
    return Photographs(fit, held_out)


def paper_threshold(likelihoods: Array, quantile: float) -> float:
    """The papers' threshold: element int(quantile n) of the sorted likelihoods of the fitting photographs."""
    return float(np.sort(likelihoods)[int(quantile * len(likelihoods))])


def features_of(
    judge: BundleJudge,
    specimens: Sequence[Specimen],
    *,
    jobs: int | None = None,
    advance: Advance = lambda done, total: None,
) -> list[Features | None]:
    """The features [D] of pictures, None for those without a usable face; from the cache where they are there."""

    def look(specimen: Specimen) -> Features | None:
        return judge.look_or_none(specimen.file, specimen.sha256)

    found = []
    for done, feature in enumerate(map_in_order(Call(look), specimens, jobs), 1):
        found.append(feature)
        advance(done, len(specimens))
    return found


def stacked(features: Sequence[Features | None], what: str) -> Features:
    """Features that there are, as one array [N D].

    Raises:
        BenchError: there are none.
    """
    usable = [feature for feature in features if feature is not None]
    if not usable:
        raise BenchError(f"none of the {what} shows a usable face: give others, or set whole_image")
    return np.stack(usable)


def fit_protocol(
    judge: BundleJudge,
    section: ProtocolSection,
    photographs: Photographs,
    look: Callable[[BundleJudge, Sequence[Specimen]], list[Features | None]],
) -> FittedProtocol:
    """Fit the papers' mixture to one encoder's features.

    Raises:
        BenchError: the network itself has learnt from a held-out photograph, or no photograph is usable.
        CalibrationError: too few photographs for so many components.
    """
    for specimen in photographs.held_out:
        if judge.has_seen(specimen.sha256):
            raise BenchError(
                f"{specimen.path}: {judge.name} has learnt from this photograph, so it is not held out: "
                "take it out of [protocol.held_out]"
            )
    features = stacked(look(judge, photographs.fit), "photographs to fit to")
    held_out = stacked(look(judge, photographs.held_out), "held-out photographs")
    density = fit_density(
        features, components=section.components, dimensions=section.dimensions, seed=section.seed
    )
    threshold = paper_threshold(density.log_likelihood(features), section.quantile)
    digest = hashlib.sha256(repr((judge.encoder_key, judge.section.whole_image)).encode())
    digest.update(section.model_dump_json(include={"components", "dimensions", "quantile", "seed"}).encode())
    for array in (features, held_out):
        digest.update(np.ascontiguousarray(array, np.float32).tobytes())
    return FittedProtocol(
        name=f"{judge.name} (aigfd)",
        key=digest.hexdigest()[:16],
        sources=frozenset(specimen.source for specimen in (*photographs.fit, *photographs.held_out)),
        density=density,
        threshold=threshold,
        held_out=-density.log_likelihood(held_out),
        note=f"{section.components} Gaussians on {len(features)} photographs of {features.shape[1]} features; "
        f"threshold at their {100 * section.quantile:g}th percentile; {len(held_out)} photographs held out",
    )


def run_protocol(
    config: BenchConfig,
    *,
    jobs: int | None = None,
    advance: Advance = lambda done, total: None,
) -> Tally:
    """Score every test picture, as it is, by the papers' protocol on each bundle's encoder, into `scores.csv`.

    Args:
        config: with a `[protocol]`.
        jobs: pictures at a time.
        advance: told how many pictures of the present list are done.

    Raises:
        BenchError: a photograph serves two purposes, or the output folder cannot be used.
        CalibrationError: too few photographs for so many components.
    """
    section = section_of(config)
    specimens = read_sets(config)
    photographs = read_protocol_photographs(section, specimens)
    tally = Tally()

    def look(judge: BundleJudge, wanted: Sequence[Specimen]) -> list[Features | None]:
        return features_of(judge, wanted, jobs=jobs, advance=advance)

    with open_cache(config) as cache, ScoreFile(config.output / SCORES) as scores:
        bundles = bundle_judges(config, cache)
        records = _measured(config, bundles, scores)
        for judge in bundles:
            fitted = fit_protocol(judge, section, photographs, look)
            if any(record.key == fitted.key for record in records):
                continue  # another bundle has the same encoder
            records.append(
                DetectorRecord(
                    name=fitted.name,
                    key=fitted.key,
                    kind="aigfd",
                    calibration_size=len(fitted.held_out),
                    note=fitted.note,
                )
            )
            missing = [
                specimen
                for specimen in specimens
                if (fitted.key, specimen.test_set, specimen.sha256, UNDEGRADED) not in scores.done
            ]
            tally.known += len(specimens) - len(missing)

            def measure(
                specimen: Specimen, judge: BundleJudge = judge, fitted: FittedProtocol = fitted
            ) -> Judgement:
                return _judge(judge, fitted, specimen)

            for done, (specimen, said) in enumerate(
                zip(missing, map_in_order(Call(measure), missing, jobs), strict=True), 1
            ):
                row = row_of(specimen, fitted, UNDEGRADED, said, None)
                scores.append([row])
                tally.add(row)
                advance(done, len(missing))
        write_record(config, records)
    return tally


def _measured(config: BenchConfig, bundles: Sequence[BundleJudge], scores: ScoreFile) -> list[DetectorRecord]:
    """The configuration's own detectors with scores, which the report goes on to show beside the protocol's."""
    keys = {key for key, *_ in scores.done}
    return [record_of(judge) for judge in in_order(config, bundles) if judge.key in keys]


def _judge(judge: BundleJudge, fitted: FittedProtocol, specimen: Specimen) -> Judgement:
    if judge.has_seen(specimen.sha256):
        return Judgement(SEEN_SCOPE)
    try:
        looked = judge.look(specimen.file, specimen.sha256)
    except PictureError as error:
        return Judgement(ERROR_SCOPE, error=str(error))
    return Judgement(looked.scope) if looked.feature is None else fitted.judge(looked.feature)


def equal_numbers(n_photos: int, n_generated: int, section: ProtocolSection) -> tuple[list[int], list[int]]:
    """Which photographs and generated pictures the papers compare: as many of both, drawn by the seed, in order."""
    n = min(n_photos, n_generated, section.equal_numbers)
    rng = random.Random(section.seed)
    generated = rng.sample(range(n_generated), n)
    return sorted(rng.sample(range(n_photos), n)), sorted(generated)
