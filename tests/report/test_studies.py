"""The papers' tables and figures, each from one call; what the figures are made of."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from cameraborn.bench.protocol import fit_density
from cameraborn.bench.sets import Sample
from cameraborn.detect.evidence.density import Init, fit_mixture
from cameraborn.report import metrics, studies
from cameraborn.report.results import Results

from .made_run import made_config


def test_a_table_of_the_papers_keeps_the_other_detectors_in_the_report(tmp_path, finished):
    shutil.copytree(finished.output, tmp_path / "out")
    config = finished.model_copy(update={"output": tmp_path / "out", "cache": None})
    before = Results(config.output).record.detectors
    studies.table2(config, jobs=1)
    assert Results(config.output).record.detectors == before


@pytest.mark.parametrize("study", ["tables", "table1", "table2", "table3", "figure4", "figure5"])
def test_the_papers_tables_come_out_of_one_call(study, finished):
    paths = studies.STUDIES[study](finished, jobs=1)
    assert [path.suffix for path in paths] == [".csv", ".png"] * (2 if study == "tables" else 1)
    with paths[0].open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["detector"].removesuffix(" (aigfd)") for row in rows} == {"tiny", "<b>whole|"}
    if study == "figure4":
        assert [row["components"] for row in rows[:3]] == ["1", "2", "64"]
        assert [bool(row["problem"]) for row in rows[:3]] == [False, False, True]
        fitted = [float(row["fit"]) for row in rows[:2]]
        bic = 5 * np.log(16) / 16 - 2 * fitted[0]  # one Gaussian in two dimensions: 2 means, 3 covariances
        assert float(rows[0]["bic"]) == pytest.approx(bic, abs=1e-3)


def sample(generator, number, track="a"):
    label = "generated" if generator else "photo"
    return Sample(
        Path(f"{number}.jpg"), f"{number}.jpg", f"{number}", "set", track, label, generator, "s", ""
    )


def test_the_mean_auc_counts_each_generator_alike():
    rng = np.random.default_rng(0)
    photographs = rng.normal(size=(50, 2))
    density = fit_mixture(photographs, components=1, dimensions=None, init=Init.kmeans_pp, n_init=1, seed=0)
    near, far = rng.normal(size=(20, 2)), rng.normal(size=(5, 2)) + 9
    elsewhere = rng.normal(size=(3, 2))  # a generator without photographs in its track is not compared
    samples = [sample("", n) for n in range(50)] + [sample("near", n) for n in range(20)]
    samples += [sample("far", n) for n in range(6)] + [sample("alone", n, track="b") for n in range(3)]
    features = [*photographs, *near, *far, None, *elsewhere]
    scores = {
        name: -density.log_likelihood(x) for name, x in (("p", photographs), ("near", near), ("far", far))
    }
    literal = np.mean([metrics.auc(scores["p"], scores[name]) for name in ("near", "far")])
    assert studies._mean_auc(samples, features, density) == pytest.approx(literal)
    assert np.isnan(studies._mean_auc(samples[:50], features[:50], density))


def test_some_of_each_generator_are_drawn_in_their_order():
    samples = [sample("", n) for n in range(40)] + [sample("gan", n) for n in range(3)]
    some = studies._some(samples, 10, seed=1)
    assert [len([s for s in some if s.generator == name]) for name in ("", "gan")] == [10, 3]
    assert [samples.index(one) for one in some] == sorted(samples.index(one) for one in some)
    assert studies._some(samples, 10, seed=1) == some
    assert studies._some(samples, 10, seed=2) != some


def test_a_sweep_has_a_row_for_each_number_of_gaussians():
    rng = np.random.default_rng(0)
    fitted, held_out = rng.normal(size=(60, 2)), rng.normal(size=(30, 2))
    section = made_config("out").protocol.model_copy(update={"sweep": (1, 2, 64)})
    one, two, many = studies._sweep(section, fitted, held_out, lambda density: 0.75)
    assert list(one) == list(two) == list(many)  # the same columns, so that a CSV can hold them
    assert [row["components"] for row in (one, two, many)] == [1, 2, 64]
    assert [bool(row["problem"]) for row in (one, two, many)] == [False, False, True]
    density = fit_density(fitted, section, components=1)
    assert one["fit"] == round(density.log_likelihood(fitted).mean(), 4)
    assert one["held_out"] == round(density.log_likelihood(held_out).mean(), 4)
    assert one["bic"] == pytest.approx(
        5 * np.log(60) / 60 - 2 * one["fit"], abs=1e-3
    )  # 2 means, 3 covariances
    assert (one["photographs"], one["held_out_photographs"], one["auc"]) == (60, 30, 0.75)


def test_t_sne_parts_what_is_far_apart():
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(size=(20, 5)), rng.normal(size=(20, 5)) + 50]).astype(np.float32)
    places = studies._tsne(features, seed=0)
    assert places.shape == (40, 2)
    middles = places[:20].mean(axis=0), places[20:].mean(axis=0)
    spread = max(
        np.linalg.norm(part - middle, axis=1).mean()
        for part, middle in zip(np.split(places, 2), middles, strict=True)
    )
    assert np.linalg.norm(middles[0] - middles[1]) > 3 * spread
