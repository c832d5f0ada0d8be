"""The papers' protocol, so that its figures can be compared with ours.

AIGFD-EXIF (arXiv 2501.02207, and its code): a Gaussian mixture on the features of up to 25,000 photographs; the
threshold is the 5th percentile of the likelihoods of those *same* photographs; a picture is called a photograph at or
above it; the positive class is the photograph. A mixture of millions of parameters fits the photographs that it has
seen better than others, so the share of other photographs that this threshold flags is more than 5 %: how much more is
what the p-values of held-out photographs, kept in the same rows, show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from cameraborn.bench.config import BenchConfig, ProtocolSection
from cameraborn.bench.detectors import Detectors
from cameraborn.bench.features import (
    Advance,
    Features,
    OnPictures,
    calibrate_rivals,
    features_of,
    refuse_seen,
    stacked,
)
from cameraborn.bench.record import SCORES, DetectorRecord, write_record
from cameraborn.bench.run import Tally, read_sets, row_of
from cameraborn.bench.scorers import ERROR_SCOPE, PROTOCOL, SEEN_SCOPE, FeatureSource
from cameraborn.bench.scores import ScoreFile
from cameraborn.bench.sets import Sample, read_photographs, refuse_overlap
from cameraborn.degrade.named import UNDEGRADED
from cameraborn.detect.conformal import p_values
from cameraborn.detect.evidence.density import Init, Mixture, fit_mixture
from cameraborn.detect.evidence.em import Covariance
from cameraborn.detect.verdict import Scored
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Jobs
from cameraborn.errors import BenchError, PictureError
from cameraborn.files import Array


@dataclass(frozen=True)
class FittedProtocol:
    """A mixture on one encoder's features, with both thresholds.

    Attributes:
        name, key, sources: as of any detector.
        density: the mixture.
        threshold: on the log-likelihood; under it a picture is called generated.
        held_out: scores of the held-out photographs [n].
        note: what was fitted to how much.
        which: what the configuration names of the encoder.
    """

    name: str
    key: str
    sources: frozenset[str]
    density: Mixture
    threshold: float
    held_out: Array
    note: str
    which: str = ""

    def score(self, feature: Features) -> Scored:
        """Score a feature [D]: flagged by the papers' threshold, the p-value by held-out photographs."""
        likelihood = float(self.density.log_likelihood(feature[None])[0])
        p_value = float(p_values(np.array([-likelihood]), self.held_out)[0])
        return Scored("ok", -likelihood, p_value, likelihood < self.threshold)

    @property
    def record(self) -> DetectorRecord:
        """What a run remembers of it."""
        return DetectorRecord(
            name=self.name,
            key=self.key,
            kind=PROTOCOL,
            which=self.which,
            calibration_size=len(self.held_out),
            note=self.note,
        )


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


def read_protocol_photographs(
    section: ProtocolSection, tested: Sequence[Sample]
) -> tuple[list[Sample], list[Sample]]:
    """The photographs to fit to, and those that are held out.

    Raises:
        BenchError: a photograph serves two of fitting, holding out and testing.
    """
    fit = read_photographs(section.fit, limit=section.limit)
    held_out = read_photographs(section.held_out)
    refuse_overlap(fit, held_out, "this photograph is both fitted to and held out")
    refuse_overlap([*fit, *held_out], tested, "this picture is both learnt from and tested")
    return fit, held_out


def paper_threshold(likelihoods: Array, quantile: float) -> float:
    """The papers' threshold: element int(quantile n) of the sorted likelihoods of the fitting photographs."""
    return float(np.sort(likelihoods)[int(quantile * len(likelihoods))])


def fit_density(features: Features, section: ProtocolSection, *, components: int | None = None) -> Mixture:
    """The papers' mixture, fitted to features [N D] as they are, or to so many principal components.

    One start by k-means++ and, unless the configuration says otherwise, full covariances, as their code has it; the fit
    is the project's own.

    Raises:
        CalibrationError: there are too few photographs for so many parameters.
    """
    return fit_mixture(
        features,
        components=components or section.components,
        dimensions=section.dimensions,
        covariance=section.covariance,
        init=Init.kmeans_pp,
        n_init=1,
        seed=section.seed,
    )


def fit_protocol(
    bundle: FeatureSource,
    section: ProtocolSection,
    sources: frozenset[str],
    fitted: Features,
    held_out: Features,
) -> FittedProtocol:
    """Fit the papers' mixture to one bundle's features of the photographs to fit to [N D] and held out [n D].

    Raises:
        CalibrationError: too few photographs for so many components.
    """
    density = fit_density(fitted, section)
    digest = hashlib.sha256(repr((bundle.encoder_key, bundle.section.whole_image)).encode())
    decides = {"components", "dimensions", "quantile", "seed"}
    if section.covariance is not Covariance.full:  # rows of before there was a choice keep their keys
        decides.add("covariance")
    digest.update(section.model_dump_json(include=decides).encode())
    for array in (fitted, held_out):
        digest.update(np.ascontiguousarray(array, np.float32).tobytes())
    return FittedProtocol(
        name=f"{bundle.name} ({PROTOCOL})",
        key=digest.hexdigest()[:16],
        sources=sources,
        density=density,
        threshold=paper_threshold(density.log_likelihood(fitted), section.quantile),
        held_out=-density.log_likelihood(held_out),
        note=f"{section.components} Gaussians of {section.covariance} covariance on {len(fitted)} photographs of "
        f"{fitted.shape[1]} features; "
        f"threshold at their {100 * section.quantile:g}th percentile; {len(held_out)} photographs held out",
        which=bundle.section.which,
    )


@dataclass
class ScoreFitted(OnPictures[Scored]):
    """Scores a picture, as it is, by a protocol that was fitted to the bundle's features."""

    fitted: FittedProtocol

    def work(self, item: Sample) -> Scored:
        """The score; a picture that cannot be read has an error."""
        if any(map(self._source.has_seen, item.hashes)):
            return Scored(SEEN_SCOPE)
        try:
            found = self._source.observe(item.file, item.sha256)
        except PictureError as error:
            return Scored(ERROR_SCOPE, error=str(error))
        return Scored(found.scope) if found.feature is None else self.fitted.score(found.feature)


def run_protocol(
    config: BenchConfig,
    *,
    jobs: Jobs = None,
    advance: Advance = lambda done, total: None,
) -> Tally:
    """Score every test picture, as it is, by the papers' protocol on each bundle's encoder, into `scores.csv`.

    Args:
        config: a configuration with a `[protocol]`.
        jobs: number of pictures at a time, or the engine that does the work.
        advance: is told how many pictures of the present list are done.

    Raises:
        BenchError: a photograph serves two purposes, or the output folder cannot be used.
        CalibrationError: too few photographs for so many components.
    """
    section = section_of(config)
    samples = read_sets(config)
    fit, held_out = read_protocol_photographs(section, samples)
    sources = frozenset(sample.source for sample in (*fit, *held_out))
    tally = Tally()
    with closing(Detectors(config)) as detectors, ScoreFile(config.output / SCORES) as scores:
        detectors.open()
        calibrate_rivals(detectors, config, samples, jobs=jobs)  # whose records name what they rest on
        measured = {key for key, *_ in scores.done}  # the report goes on to show these detectors, too
        records = [record for record in detectors.records if record.key in measured]
        write_record(config, records, finished=False)
        for bundle in detectors.encoders:
            refuse_seen(bundle, held_out)
            features = [
                stacked(features_of(detectors, bundle, part, jobs=jobs, advance=advance), what)
                for part, what in ((fit, "photographs to fit to"), (held_out, "held-out photographs"))
            ]
            fitted = fit_protocol(bundle, section, sources, *features)
            if any(record.key == fitted.key for record in records):
                continue  # another bundle has the same encoder
            records.append(fitted.record)
            missing = [
                sample
                for sample in samples
                if (fitted.key, sample.test_set, sample.sha256, UNDEGRADED) not in scores.done
            ]
            tally.known += len(samples) - len(missing)
            results = map_in_order(ScoreFitted(detectors, bundle.key, fitted), missing, jobs)
            for done, (sample, scored) in enumerate(zip(missing, results, strict=True), 1):
                row = row_of(sample, fitted, UNDEGRADED, scored)
                scores.append([row])
                tally.add([row])
                advance(done, len(missing))
        write_record(config, records)
    return tally
