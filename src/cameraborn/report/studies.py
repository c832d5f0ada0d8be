"""The papers' figures, each from one command: as CSV and as a picture, in the output folder's `paper/`.

Figure 4: the number of Gaussians. Figure 5: photographs and generated pictures in the plane, by t-SNE. What is missing
of the measurement is made first. `STUDIES` also names the papers' tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cameraborn.bench.config import BenchConfig, ProtocolSection
from cameraborn.bench.detectors import Detectors
from cameraborn.bench.features import Advance, Features, features_of, stacked
from cameraborn.bench.protocol import fit_density, read_protocol_photographs, section_of
from cameraborn.bench.run import read_sets
from cameraborn.bench.sets import Sample
from cameraborn.detect.evidence.density import Mixture
from cameraborn.engine.stage import Jobs
from cameraborn.errors import BenchError, CalibrationError
from cameraborn.files import Array
from cameraborn.report import metrics, plots
from cameraborn.report.columns import write_csv
from cameraborn.report.paper_tables import FOLDER, Study, Tell, table1, table2, table3, tables, with_weights


def figure4(
    config: BenchConfig,
    *,
    jobs: Jobs = None,
    advance: Advance = lambda done, total: None,
    tell: Tell = lambda line: None,
) -> list[Path]:
    """The number of Gaussians: log-likelihood fitted and held out, BIC, AUC; the choice is by the held-out one.

    Raises:
        BenchError: no number of Gaussians could be fitted, or a photograph serves two purposes.
    """
    plots.needs_matplotlib()
    section = section_of(config)
    config = with_weights(config, tell)
    samples = read_sets(config)
    photographs = read_protocol_photographs(section, samples)
    rows: list[dict[str, Any]] = []
    with closing(Detectors(config)) as detectors:
        detectors.open()
        for bundle in detectors.encoders:
            fitted, held_out, tested = (
                features_of(detectors, bundle, part, jobs=jobs, advance=advance)
                for part in (*photographs, samples)
            )
            found = _sweep(
                section,
                stacked(fitted, "photographs to fit to"),
                stacked(held_out, "held-out photographs"),
                partial(_mean_auc, samples, tested),
            )
            if all(row["problem"] for row in found):
                raise BenchError(f"{bundle.name}: {found[-1]['problem']}")
            rows += [{"detector": bundle.name} | row for row in found]
    curves: dict[str, dict[str, list[float]]] = {
        name: {
            column: [row[column] for row in rows if row["detector"] == name and not row["problem"]]
            for column in ("components", "fit", "held_out", "bic", "auc")
        }
        for name in dict.fromkeys(row["detector"] for row in rows)
    }
    folder = config.output / FOLDER
    plot = plots.components("Figure 4: how many Gaussians", curves)
    return [write_csv(rows, folder / "fig4.csv"), plots.save(plot, folder / "fig4.png")]


def _sweep(
    section: ProtocolSection, fitted: Features, held_out: Features, mean_auc: Callable[[Mixture], float]
) -> list[dict[str, Any]]:
    """A row for each number of Gaussians; one that could not be fitted to so few photographs says so."""
    rows = []
    for components in section.sweep:
        row: dict[str, Any] = {
            "components": components,
            "photographs": len(fitted),
            "held_out_photographs": len(held_out),
        }
        try:
            density = fit_density(fitted, section, components=components)
        except CalibrationError as error:
            blank = ("free_parameters", "fit", "held_out", "held_out_standard_error", "bic", "auc")
            rows.append(row | dict.fromkeys(blank, "") | {"problem": str(error)})
            continue
        fit = float(density.log_likelihood(fitted).mean())
        unseen = density.log_likelihood(held_out)
        # BIC of each photograph, so that sets of different sizes can be compared.
        bic = density.free_parameters * np.log(len(fitted)) / len(fitted) - 2 * fit
        rows.append(
            row
            | {"free_parameters": density.free_parameters}
            | {"fit": round(fit, 4), "held_out": round(float(unseen.mean()), 4)}
            | {"held_out_standard_error": round(float(unseen.std() / np.sqrt(len(unseen))), 4)}
            | {"bic": round(float(bic), 4), "auc": round(mean_auc(density), 4), "problem": ""}
        )
    return rows


def figure5(
    config: BenchConfig,
    *,
    jobs: Jobs = None,
    advance: Advance = lambda done, total: None,
    tell: Tell = lambda line: None,
) -> list[Path]:
    """Photographs and generated pictures in the plane, by t-SNE of each encoder's features.

    Raises:
        BenchError: too few pictures have features.
    """
    plots.needs_matplotlib()
    section = section_of(config)
    config = with_weights(config, tell)
    samples = _some(read_sets(config), section.tsne_pictures, section.seed)
    rows: list[dict[str, object]] = []
    panels: dict[str, tuple[Array, Sequence[str]]] = {}
    with closing(Detectors(config)) as detectors:
        detectors.open()
        for bundle in detectors.encoders:
            found = features_of(detectors, bundle, samples, jobs=jobs, advance=advance)
            shown = [sample for sample, feature in zip(samples, found, strict=True) if feature is not None]
            if len(shown) < 10:
                raise BenchError(f"{bundle.name}: {len(shown)} pictures with features are too few for t-SNE")
            places = _tsne(stacked(found, "pictures"), seed=section.seed)
            kinds = [sample.generator or "photographs" for sample in shown]
            panels[bundle.name] = (places, kinds)
            for sample, (x, y) in zip(shown, places, strict=True):
                row: dict[str, object] = {"detector": bundle.name, "path": sample.path, "track": sample.track}
                row |= {"label": sample.label, "generator": sample.generator}
                rows.append(row | {"x": round(float(x), 3), "y": round(float(y), 3)})
    folder = config.output / FOLDER
    plot = plots.embedding("Figure 5: features in the plane (t-SNE)", panels)
    return [write_csv(rows, folder / "fig5.csv"), plots.save(plot, folder / "fig5.png")]


STUDIES: Mapping[str, Study] = {
    "tables": tables,
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "figure4": figure4,
    "figure5": figure5,
}


def _mean_auc(samples: Sequence[Sample], features: Sequence[Features | None], density: Mixture) -> float:
    """Mean AUC over generators, each against the photographs of its track; NaN where there is none."""
    by_class: dict[tuple[str, str, str], list[Features]] = {}
    for sample, feature in zip(samples, features, strict=True):
        if feature is not None:
            by_class.setdefault((sample.test_set, sample.track, sample.generator), []).append(feature)
    scores = {key: -density.log_likelihood(np.stack(members)) for key, members in by_class.items()}
    aucs = [
        metrics.auc(scores[test_set, track, ""], generated)
        for (test_set, track, generator), generated in scores.items()
        if generator and (test_set, track, "") in scores
    ]
    return float(np.mean(aucs)) if aucs else float("nan")


def _some(samples: Sequence[Sample], limit: int, seed: int) -> list[Sample]:
    """At most so many of each generator, and of the photographs, drawn by the seed; in their order."""
    by_generator: dict[str, list[int]] = {}
    for index in np.random.default_rng(seed).permutation(len(samples)):
        by_generator.setdefault(samples[index].generator, []).append(int(index))
    return [samples[index] for index in sorted(i for drawn in by_generator.values() for i in drawn[:limit])]


def _tsne(features: Features, *, seed: int) -> Array:
    """Places [N 2] of features [N D], standardised and brought down to 50 principal components first."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    scale = features.std(axis=0)
    standard = (features - features.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    reduced = PCA(min(50, *standard.shape), random_state=seed).fit_transform(standard)
    perplexity = min(30.0, (len(features) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return np.asarray(places, np.float64)
