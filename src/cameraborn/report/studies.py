"""The papers' tables and figures, each from one command: as CSV and as a picture, in the output folder's `paper/`.

Table I: detectors by generator. Table II: encoders' features through one and the same mixture. Table III: what a
pretext task is worth, for a configuration that lists bundles trained on different tasks. Figure 4: the number of
Gaussians. Figure 5: photographs and generated pictures in the plane, by t-SNE. What is missing of the measurement is
made first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cameraborn.bench.config import BenchConfig, ProtocolSection
from cameraborn.bench.detectors import Detectors
from cameraborn.bench.features import Advance, Features, features_of, stacked
from cameraborn.bench.protocol import fit_density, read_protocol_photographs, run_protocol, section_of
from cameraborn.bench.run import read_sets, run
from cameraborn.bench.scorers import PROTOCOL
from cameraborn.bench.sets import Sample
from cameraborn.detect.evidence.density import Mixture
from cameraborn.engine.stage import Jobs
from cameraborn.errors import BenchError, CalibrationError
from cameraborn.files import Array
from cameraborn.report import metrics, plots
from cameraborn.report.analysis import Analysis
from cameraborn.report.columns import records_of, rounded, write_csv
from cameraborn.report.paper import EqualNumbers, equal_number_figures
from cameraborn.report.published import means_of, not_comparable, our_metric
from cameraborn.report.results import Results
from cameraborn.report.tables import EQUAL_NUMBERS, rows_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot

FOLDER = "paper"
# Called with a configuration, `jobs` and `advance`; returns the CSV and the PNG that it wrote.
Study = Callable[..., list[Path]]


def _table(name: str, number: str, title: str, shade: str, *texts: str, kind: str = "") -> Study:
    """A table of detectors (of one kind, or all) by generators, with the mean behind them.

    Cells are tinted by the figure `shade` of each row, and hold its figures `texts`. Where the paper printed a mean of
    a detector in its table `number`, that is the last column, and a CSV of its own says what keeps both apart.
    """

    def study(
        config: BenchConfig, *, jobs: Jobs = None, advance: Advance = lambda done, total: None
    ) -> list[Path]:
        if not kind:
            run(config, jobs=jobs, advance=advance)
        run_protocol(config, jobs=jobs, advance=advance)
        rows = _equal_numbers(config, kind)
        if not rows:
            raise BenchError(
                "no generator has photographs to be compared with: name a test set that has both"
            )
        path = write_csv(records_of(EQUAL_NUMBERS, rows), config.output / FOLDER / f"{name}.csv")
        printed = _printed(config, rows, number)
        beside = [write_csv(printed, path.with_stem(f"{name}_printed"))] if printed else []
        plots.needs_matplotlib()
        plot = _heat_table(f"Table {number}: {title}", rows, shade, texts, printed)
        return [path, plots.save(plot, path.with_suffix(".png")), *beside]

    return study


# Detectors as they are, and by the papers' protocol.
table1 = _table(
    "table1",
    "I",
    "accuracy / AP with the photograph as positive class, %",
    "accuracy",
    *("accuracy", "ap_photo"),
)
table2 = _table(
    "table2",
    "II",
    "AUC of one and the same mixture on each encoder's features, %",
    "auc",
    "auc",
    kind=PROTOCOL,
)
table3 = _table(
    "table3",
    "III",
    "accuracy / AUC / AP with the photograph as positive class, %",
    "auc",
    *("accuracy", "auc", "ap_photo"),
    kind=PROTOCOL,
)


def figure4(
    config: BenchConfig, *, jobs: Jobs = None, advance: Advance = lambda done, total: None
) -> list[Path]:
    """The number of Gaussians: log-likelihood fitted and held out, BIC, AUC; the choice is by the held-out one.

    Raises:
        BenchError: no number of Gaussians could be fitted, or a photograph serves two purposes.
    """
    plots.needs_matplotlib()
    section = section_of(config)
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
    config: BenchConfig, *, jobs: Jobs = None, advance: Advance = lambda done, total: None
) -> list[Path]:
    """Photographs and generated pictures in the plane, by t-SNE of each encoder's features.

    Raises:
        BenchError: too few pictures have features.
    """
    plots.needs_matplotlib()
    section = section_of(config)
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
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "figure4": figure4,
    "figure5": figure5,
}


def _equal_numbers(config: BenchConfig, kind: str = "") -> list[EqualNumbers]:
    """Figures of the detectors of one kind, or of all but the trivial cues."""
    section = section_of(config)
    analysis = Analysis(Results(config.output))
    detectors = (detector for detector in analysis.results.detectors if kind in ("", detector.kind))
    return rows_of(detectors, lambda one: equal_number_figures(analysis, one, section))


def _printed(config: BenchConfig, rows: Sequence[EqualNumbers], table: str) -> list[dict[str, object]]:
    """What the paper printed of detectors of the same name, our mean over generators, and what keeps them apart."""
    found: list[dict[str, object]] = []
    for detector in dict.fromkeys(row.detector for row in rows):
        for figure in means_of(detector, table):
            metric = our_metric(figure) or ""
            ours = np.mean([getattr(row, metric).value for row in rows if row.detector == detector])
            row: dict[str, object] = {"detector": detector.name, "kind": detector.kind, "metric": metric}
            row |= {"here": rounded(float(ours)), "printed": figure.value / 100, "source": figure.source}
            reasons = not_comparable(figure, detector, None, config)
            found.append(row | {"not_comparable": "; ".join(reasons)})
    return found


def _heat_table(
    title: str,
    rows: Sequence[EqualNumbers],
    shade: str,
    texts: Sequence[str],
    printed: Sequence[Mapping[str, object]] = (),
) -> Plot:
    detectors = list(dict.fromkeys(row.detector.name for row in rows))
    generators = list(dict.fromkeys(row.comparison.name for row in rows))
    last = len(generators)  # the mean's column
    tints = np.full((len(detectors), last + 1 + bool(printed)), np.nan)
    words = [[""] * tints.shape[1] for _ in detectors]
    for place, detector in enumerate(detectors):
        mine = [row for row in rows if row.detector.name == detector]
        values = [[getattr(row, name).value for name in texts] for row in mine]
        shades = [getattr(row, shade).value for row in mine]
        for row, one, tint in zip(mine, values, shades, strict=True):
            column = generators.index(row.comparison.name)
            tints[place, column], words[place][column] = tint, _percents(one)
        tints[place, last], words[place][last] = np.mean(shades), _percents(np.mean(values, axis=0))
        theirs = {row["metric"]: row["printed"] for row in printed if row["detector"] == detector}
        if theirs:
            words[place][-1] = _percents([cast(float, theirs.get(name, np.nan)) for name in texts])
    columns = [name.replace(" (", "\n(") for name in generators] + ["mean"]
    columns += ["printed\n(see CSV)"] if printed else []
    return plots.heat_table(title, detectors, columns, tints, words)


def _percents(values: Sequence[float]) -> str:
    return " / ".join("–" if np.isnan(value) else f"{100 * value:.1f}" for value in values)


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
