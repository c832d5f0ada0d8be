"""What a report is made of."""

import re

import pytest

from cameraborn.report.document import Cell, Section, Table


@pytest.mark.parametrize(
    ("title", "anchor"),
    [
        ("Robustness", "robustness"),
        ("Which track?", "which-track-"),
        ("AUC & p-values: all", "auc---p-values--all"),
        ("Größe 2", "größe-2"),
    ],
)
def test_a_section_is_linked_by_its_title(title, anchor):
    assert Section(title, "", ()).anchor == anchor
    assert re.fullmatch(r"[\w-]+", anchor)  # no quote, space or bracket: it stands in an attribute


def test_a_cell_says_only_its_text_unless_told_otherwise():
    assert Cell("0.50") == Cell("0.50", detail="", shade=None, tone="")


def test_the_first_column_of_a_table_holds_words():
    table = Table(["set", "AUC"], [[Cell("a"), Cell("0.5")]])
    assert (tuple(table.words), table.last_apart, tuple(table.notes)) == ((0,), False, ())
