"""The report and the papers' tables: from scores alone, complete, safe to open."""

import csv
import dataclasses
import itertools
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from cameraborn.bench.config import SetSection
from cameraborn.bench.cues import CueScorer
from cameraborn.bench.leaks import audit_tracks
from cameraborn.bench.record import DetectorRecord, write_record
from cameraborn.bench.run import run
from cameraborn.bench.scorers import DetectorSection
from cameraborn.bench.scores import ScoreFile, ScoreRow
from cameraborn.bench.sets import read_set
from cameraborn.errors import BenchError
from cameraborn.report import columns, metrics, overviews, plots, studies
from cameraborn.report.analysis import Analysis
from cameraborn.report.paper import equal_number_figures, threshold_figures
from cameraborn.report.published import figures_on, not_comparable, published_figures
from cameraborn.report.report import write_report
from cameraborn.report.results import Results

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def synthetic(folder, config_of, *, n=200, groups=False, **changes):
    """A run of two detectors whose scores are made up: `good` and `better`, on a hard and an easy generator."""
    config = config_of(folder, degradations=["none", "jpeg:60"], **changes)
    detectors = [DetectorRecord(name=name, key=name, kind="bundle") for name in ("good", "better")]
    detectors.append(
        DetectorRecord(
            name="sharpness", key=CueScorer(DetectorSection(kind="cue", which="sharpness")).key, kind="cue"
        )
    )
    rng = np.random.default_rng(0)
    rows = []
    with ScoreFile(config.output / "scores.csv") as scores:
        write_record(config, detectors)
        counter = itertools.count()
        for generator, distance in (("", 0.0), ("hard", 0.2), ("easy", 2.0)):
            for number in range(n):
                if not groups or number % 20 == 0:  # pictures of a group are alike
                    shared = rng.normal(distance)
                digest = f"{next(counter):064x}"
                for detector, degradation in itertools.product(detectors, config.degradations):
                    gain = {"good": 0.0, "better": 0.6}.get(detector.name, -distance) * (generator == "easy")
                    score = shared + gain + 0.2 * rng.normal()
                    cue = detector.kind == "cue"
                    rows.append(
                        ScoreRow(
                            f"{number}.jpg",
                            digest,
                            detector.name,
                            detector.key,
                            "set",
                            "a",
                            degradation,
                            "generated" if generator else "photo",
                            generator,
                            "one" if number % 2 else "two",
                            f"g{number // 20}" if groups else "",
                            number % 2 == 1,
                            "ok",
                            score,
                            None if cue else 0.5,
                            None if cue else score > 1.645,
                            0.1,
                            "",
                        )
                    )
        scores.append(rows)
    return Analysis(Results(config.output))


def test_figures_are_worst_first_and_the_mean_last(tmp_path, config_of):
    analysis = synthetic(tmp_path / "out", config_of)
    good = analysis.results.detectors[0]
    rows = analysis.generators(good)
    assert [row.comparison.generator if row.comparison else "mean" for row in rows] == [
        "hard",
        "easy",
        "mean",
    ]
    answers = [
        analysis.results.predictions(good, s)
        for s in (rows[0].comparison.photos, rows[0].comparison.generated)
    ]
    assert rows[0].auc.value == metrics.auc(answers[0].score, answers[1].score)
    assert rows[2].auc.value == pytest.approx((rows[0].auc.value + rows[1].auc.value) / 2)
    for row in rows:
        for name in ("auc", "ap_photo", "ap_generated", "accuracy", "tpr_at_5", "found", "false_alarms"):
            figure = getattr(row, name)
            assert figure.low <= figure.value <= figure.high, name
    flags = answers[0].flagged == 1
    assert rows[0].false_alarms.value == flags.mean()
    assert (rows[0].false_alarms.low, rows[0].false_alarms.high) == metrics.clopper_pearson(flags.sum(), 200)
    assert rows[0].accuracy.value == pytest.approx((1 - flags.mean() + (answers[1].flagged == 1).mean()) / 2)


def test_noise_is_told_from_difference(tmp_path, config_of):
    analysis = synthetic(tmp_path / "out", config_of)
    found = {row.comparison.generator: row for row in analysis.differences()}
    assert found["hard"].noise
    assert not found["easy"].noise
    assert found["easy"].auc.value < 0  # the first, `good`, is worse
    assert found["easy"].auc.high < 0
    assert found["hard"].auc.low <= 0 <= found["hard"].auc.high


def test_pictures_that_go_together_widen_intervals(tmp_path, config_of):
    widths = []
    for groups in (False, True):
        analysis = synthetic(tmp_path / str(groups), config_of, groups=groups)
        row = analysis.generators(analysis.results.detectors[0])[0]
        widths.append([figure.high - figure.low for figure in (row.auc, row.false_alarms)])
    assert widths[1][0] > 1.5 * widths[0][0]
    assert widths[1][1] > 1.5 * widths[0][1]


def test_false_alarms_are_by_source_and_none_flagged_has_an_interval(tmp_path, config_of):
    analysis = synthetic(tmp_path / "out", config_of)
    rows = analysis.sources(analysis.results.detectors[0])
    assert [(row.source, row.in_source, row.n) for row in rows] == [("two", False, 100), ("one", True, 100)]
    nothing = metrics.clopper_pearson(0, 60)
    assert nothing[0] == 0
    assert nothing[1] > 0.05


def test_abstentions_are_in_no_rate_and_scores_without_verdict_in_the_ranking(tmp_path, config_of):
    analysis = synthetic(tmp_path / "out", config_of, n=40)
    results, good = analysis.results, analysis.results.detectors[0]
    photos = results.comparisons[0].photos
    answers = results.predictions(good, photos)
    answers.flagged[:10] = -1
    answers.scope[:10] = "beyond-calibration"
    row = analysis.generators(good)[0]
    assert row.n_photos == 40
    assert row.false_alarms.value == pytest.approx((answers.flagged[10:] == 1).mean())
    assert sum(row.abstained for row in analysis.sources(good)) == 10


def test_equal_numbers_are_equal_and_seeded(tmp_path, config_of):
    analysis = synthetic(tmp_path / "out", config_of)
    section = analysis.results.config.protocol
    rows = equal_number_figures(analysis, analysis.results.detectors[0], section)
    assert [row.n for row in rows] == [200, 200]
    full = analysis.generators(analysis.results.detectors[0])
    hard = next(r for r in full if r.comparison.generator == "hard")
    for name in ("auc", "ap_photo", "ap_generated", "accuracy"):  # the numbers are equal already
        mine, all_pictures = (dataclasses.astuple(getattr(row, name)) for row in (rows[0], hard))
        assert mine == pytest.approx(all_pictures, abs=1e-3 if name == "accuracy" else 1e-9)
    fewer = section.model_copy(update={"equal_numbers": 50})
    drawn = [equal_number_figures(analysis, analysis.results.detectors[0], fewer) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0][0].n == 50


def test_both_thresholds_are_compared_on_the_same_scores(finished):
    analysis = Analysis(Results(finished.output))
    judge = next(detector for detector in analysis.results.detectors if detector.kind == "aigfd")
    for row in threshold_figures(analysis, judge, 0.05):
        assert row.difference.value == pytest.approx(row.fitted.value - row.held_out.value)
        assert row.difference.low <= row.difference.value <= row.difference.high


class Page(HTMLParser):
    """What a page asks for, and whether its tags match."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.addresses, self.text = [], set(), [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "img", "br", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(finished):
    return write_report(finished.output)


def test_the_page_is_whole_and_asks_for_nothing(page):
    parsed = Page()
    parsed.feed(page.read_text(encoding="utf-8"))
    assert parsed.open == []
    assert not parsed.tags & {"script", "iframe", "link", "object", "b"}
    assert all(address.startswith(("#", "data:image/")) for address in parsed.addresses)
    assert len([a for a in parsed.addresses if a.startswith("data:")]) == 3
    assert "<b>whole|" in parsed.text
    for words in (
        "best trivial cue",
        "What gives the labels away",
        "What a threshold from the fitting set costs",
    ):
        assert words in parsed.text
    assert parsed.text.index("What gives the labels away") < parsed.text.index("Generators, the worst first")


def test_markdown_tables_are_tables(page):
    text = page.with_suffix(".md").read_text(encoding="utf-8")
    tables = [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]
    assert len(tables) >= 6
    for table in tables:
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
        assert len(columns) == 1, table[0]
    for name in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (page.parent / name).is_file()


def test_figures_are_also_for_programs(page):
    with (page.parent / "tables" / "generators.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["detector"] for row in rows} >= {"tiny", "sharpness", "tiny (aigfd)"}
    assert [row["generator"] for row in rows if row["detector"] == "tiny"][-1] == "mean"
    assert all(row["auc_low"] <= row["auc"] <= row["auc_high"] for row in rows)
    names = {path.stem for path in (page.parent / "tables").iterdir()}
    assert names == {"generators", "false_alarms", "robustness", "differences", "equal_numbers", "thresholds"}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine, to open the page as people do")
def test_the_page_opens_in_a_browser(page, tmp_path):
    picture = tmp_path / "page.png"
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--screenshot={picture}"]
    command += ["--window-size=1100,1600", f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    from PIL import Image

    with Image.open(picture) as image:
        assert len(set(image.convert("L").resize((110, 160)).get_flattened_data())) > 20


@pytest.fixture(scope="module")
def photographs_alone(tmp_path_factory, album, config_of):
    config = config_of(
        tmp_path_factory.mktemp("alone") / "out",
        sets=[{"name": "alone", "photographs": {"here": album / "photos"}}],
        protocol=None,
    )
    run(config, jobs=1)
    return config


def test_photographs_alone_are_false_alarms_without_auc(photographs_alone):
    page = write_report(photographs_alone.output)
    text = page.with_suffix(".md").read_text(encoding="utf-8")
    assert "False alarms, source by source" in text
    assert "promised were" in text
    assert "Generators, the worst first" not in text
    tables = {path.stem: path.read_text() for path in (page.parent / "tables").iterdir()}
    assert set(tables) == {"false_alarms", "robustness"}
    rows = [row for row in csv.DictReader(tables["robustness"].splitlines()) if row["detector"] == "tiny"]
    assert [row["degradation"] for row in rows] == ["none", "jpeg:60"]
    assert rows[0]["false_alarms"]
    assert not any(row["mean_auc"] or row["worst_auc"] or row["worst_generator"] for row in rows)
    for name in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (page.parent / name).is_file()


def test_many_detectors_stand_below_each_other(tmp_path, config_of):
    analysis = synthetic(tmp_path / "out", config_of, n=20)
    scores = (analysis.results.folder / "scores.csv").read_text()
    names = [f"detector {number}" for number in range(overviews.MANY + 1)]
    good = [line for line in scores.splitlines(keepends=True) if ",good,good," in line]
    copies = [line.replace(",good,good,", f",{name},{name},") for name in names for line in good]
    (analysis.results.folder / "scores.csv").write_text(scores.splitlines(keepends=True)[0] + "".join(copies))
    write_record(
        analysis.results.config, [DetectorRecord(name=name, key=name, kind="bundle") for name in names]
    )
    analysis = Analysis(Results(analysis.results.folder))
    table = overviews.overview(analysis)
    assert table.columns == ["detector", "hard (a)", "easy (a)", "mean"]
    assert [row[0].text for row in table.rows] == [*names, "best trivial cue"]
    figures = analysis.generators(analysis.results.detectors[-1])
    assert table.rows[-2][1:] == [columns.number(row.auc, shade=True) for row in figures]
    for plot in (plots.forest(analysis), plots.false_alarms(analysis)):
        assert [label.get_text() for label in plot.axes[0].get_yticklabels()][:2] == names[:2]


def test_a_table_of_the_papers_keeps_the_other_detectors_in_the_report(tmp_path, finished):
    shutil.copytree(finished.output, tmp_path / "out")
    config = finished.model_copy(update={"output": tmp_path / "out", "cache": None})
    before = Results(config.output).record.detectors
    studies.table2(config, jobs=1)
    assert Results(config.output).record.detectors == before


def test_the_report_of_no_run_says_so(tmp_path):
    with pytest.raises(BenchError, match="no benchmark's folder"):
        write_report(tmp_path)


@pytest.mark.parametrize("study", ["table1", "table2", "table3", "figure4", "figure5"])
def test_the_papers_tables_come_out_of_one_call(study, finished):
    paths = getattr(studies, study)(finished, jobs=1)
    assert [path.suffix for path in paths] == [".csv", ".png"]
    with paths[0].open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["detector"].removesuffix(" (aigfd)") for row in rows} == {"tiny", "<b>whole|"}
    if study == "figure4":
        assert [row["components"] for row in rows[:3]] == ["1", "2", "64"]
        assert [bool(row["problem"]) for row in rows[:3]] == [False, False, True]
        fitted = [float(row["fit"]) for row in rows[:2]]
        bic = 5 * np.log(16) / 16 - 2 * fitted[0]  # one Gaussian in two dimensions: 2 means, 3 covariances
        assert float(rows[0]["bic"]) == pytest.approx(bic, abs=1e-3)


def test_published_figures_are_in_range_and_have_sources():
    figures = published_figures()
    assert len({dataclasses.astuple(figure) for figure in figures}) == len(figures)
    for figure in figures:
        assert 0 < figure.value <= 100
        assert figure.source.startswith("arXiv ")
        assert figure.third_party == ("digest" in figure.source)
        assert figure.positive_class in ("", "photo", "generated", "not stated")
    by_detector = {
        figure.detector: figure.value for figure in figures_on("sd21") if figure.metric == "accuracy"
    }
    assert by_detector["BLADES-OC"] == 80.70


def test_what_does_not_compare_is_said(tmp_path, config_of):
    figure = next(f for f in figures_on("StyleGAN2") if f.detector == "BLADES-OC" and f.metric == "accuracy")
    analysis = synthetic(tmp_path / "out", config_of, n=10)
    comparison, config = analysis.results.comparisons[0], analysis.results.config
    bundle = DetectorRecord(name="mine", key="k", kind="bundle")
    reasons = not_comparable(figure, bundle, comparison, config)
    assert [reason.split(",")[0] for reason in reasons] == [
        "other pictures",
        "our threshold is from held-out photographs",
        "other detectors",
        "theirs known from a third party's digest alone",
    ]
    of_paper = config.sets[0].model_copy(update={"of_paper": "BLADES"})
    same = config.model_copy(update={"sets": (of_paper,)})
    theirs = DetectorRecord(name="BLADES-OC (aigfd)", key="k", kind="aigfd")
    assert not_comparable(dataclasses.replace(figure, third_party=False), theirs, comparison, same) == []


def test_the_audit_stands_above_the_detectors(page, finished):
    audits = Results(finished.output).audits
    assert set(audits) == {("set", "a"), ("set", "b")}
    text = page.with_suffix(".md").read_text(encoding="utf-8")
    for found in audits.values():
        assert found.verdict in text
        assert text.index(found.verdict) < text.index("## Generators, the worst first")


def test_the_audit_is_made_once_and_anew_when_the_pictures_change(tmp_path, album):
    def tracks(limit=None):
        return read_set(
            SetSection(
                name="x", photographs={"a": album / "fit"}, generated={"b": album / "gan"}, limit=limit
            )
        )

    first = audit_tracks(tracks(), tmp_path)
    (tmp_path / "audit.json").write_text(
        (tmp_path / "audit.json").read_text().replace(first[0].verdict, "kept")
    )
    assert [found.verdict for found in audit_tracks(tracks(), tmp_path)] == ["kept"]
    assert [found.verdict for found in audit_tracks(tracks(limit=3), tmp_path)] != ["kept"]
    assert audit_tracks([s for s in tracks() if s.label == "photo"], tmp_path) == []
    (tmp_path / "audit.json").write_text("{")
    with pytest.raises(BenchError, match=r"audit\.json: damaged"):
        audit_tracks(tracks(), tmp_path)
