"""The report: from scores alone, complete, safe to open."""

import csv
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cameraborn.bench.record import DetectorRecord, write_record
from cameraborn.bench.run import run
from cameraborn.bench.scores import ScoreFile, read_scores
from cameraborn.errors import BenchError
from cameraborn.report import overviews, report, tables
from cameraborn.report.analysis import Analysis
from cameraborn.report.report import write_report
from cameraborn.report.results import Results

from .made_run import DETECTORS, made_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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


@pytest.fixture(scope="module")
def flagging_all(tmp_path_factory):
    """The analysis of a run with a rival's own threshold, which flags every photograph."""
    config = made_run(tmp_path_factory.mktemp("flagging") / "out")
    rows = list(read_scores(config.output / "scores.csv"))
    own = DetectorRecord(name="plain (own threshold)", key="own-key", kind="own threshold")
    copies = [
        replace(
            row,
            detector=own.name,
            detector_key=own.key,
            p_value=None,
            flagged=None if row.flagged is None else True,
        )
        for row in rows
        if row.detector == "plain"
    ]
    with ScoreFile(config.output / "scores.csv") as scores:
        scores.append(copies)
    write_record(config, [*DETECTORS, own])
    return Analysis(Results(config.output))


def test_a_threshold_that_promises_nothing_breaks_no_promise(flagging_all):
    said = report._summary(flagging_all)
    (own,) = [sentence for sentence in said if sentence.startswith("plain (own threshold)")]
    assert own.startswith("plain (own threshold) flags 100.0 % of the photographs")
    assert "promised were" not in own
    assert own.endswith("its threshold is not from held-out photographs, and promises nothing.")
    (theirs,) = [sentence for sentence in said if sentence.startswith("plain (aigfd) flags")]
    assert "promised were" not in theirs
    (ours,) = [sentence for sentence in said if sentence.startswith("plain flags")]
    assert "promised were 5 %" in ours


def test_a_ranking_is_told_once(flagging_all):
    """A rival's own threshold changes no score."""
    assert [
        sentence.split(": worst on")[0]
        for sentence in report._summary(flagging_all)
        if "worst on" in sentence
    ] == [
        "plain",
        "keen, <b>whole|",
        "plain (aigfd)",
    ]


def test_only_a_broken_promise_is_tinted(flagging_all):
    over = {row.detector.kind for row in rows_over(flagging_all)}
    assert over == {"bundle", "aigfd", "own threshold"}
    for table in (tables.source_table(flagging_all), overviews.false_alarm_overview(flagging_all)):
        tinted = {row[0].text for row in table.rows for cell in row[1:] if cell.shade is not None}
        assert tinted
        assert tinted <= {"plain", "keen, <b>whole|"}


def rows_over(analysis):
    """False alarms beyond chance over the nominal rate."""
    found = [row for detector in analysis.results.detectors for row in analysis.sources(detector)]
    return [row for row in found if row.rate.low > analysis.results.config.false_alarm_rate]


def test_the_report_of_no_run_says_so(tmp_path):
    with pytest.raises(BenchError, match="no benchmark's folder"):
        write_report(tmp_path)


def test_the_audit_stands_above_the_detectors(page, finished):
    audits = Results(finished.output).audits
    assert set(audits) == {("set", "a"), ("set", "b")}
    text = page.with_suffix(".md").read_text(encoding="utf-8")
    for found in audits.values():
        assert found.verdict in text
        assert text.index(found.verdict) < text.index("## Generators, the worst first")
