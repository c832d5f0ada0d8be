"""Conditions have one cell each, and cells are merged into categories that enough photographs reach."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.detect.condition import Condition, Taxonomy, noise_edges

OPERATIONS = ("blurred", "as it came", "sharpened")
SIZES = Taxonomy((130, 200))
LOOKS = Taxonomy((130, 200), (-1.0, 0.5), OPERATIONS)
COARSE = Taxonomy((), (-1.0, 0.5), OPERATIONS)


def face(size=100, quality=None, noise=0.0, operation=0):
    return Condition(size, quality, noise, operation)


def test_cells_part_sizes_qualities_noises_and_operations():
    assert SIZES.cell_of(face(129.9, 74)) == (0, 0, 0, 0)
    assert SIZES.cell_of(face(130, 75, 9, 2)) == (1, 1, 0, 0)
    assert SIZES.cell_of(face(200, 90)) == (2, 2, 0, 0)
    assert SIZES.cell_of(face(5000, None)) == (2, 3, 0, 0)
    assert Taxonomy().cell_of(face(5, None)) == (0, 3, 0, 0)
    assert LOOKS.cell_of(face(130, 75, -1.01, 0)) == (1, 1, 0, 0)
    assert LOOKS.cell_of(face(130, 75, -1.0, 1)) == (1, 1, 1, 1)
    assert LOOKS.cell_of(face(130, 75, 0.5, 2)) == (1, 1, 2, 2)


@given(
    size=st.floats(1, 1e4),
    quality=st.none() | st.integers(1, 100),
    noise=st.floats(-9, 9),
    operation=st.integers(0, 2),
    taxonomy=st.sampled_from([Taxonomy(), SIZES, LOOKS, COARSE]),
)
def test_every_condition_has_a_cell(size, quality, noise, operation, taxonomy):
    assert taxonomy.cell_of(face(size, quality, noise, operation)) in taxonomy.cells


def test_noise_is_parted_at_quartiles():
    values = np.random.default_rng(0).normal(size=2001)
    low, high = noise_edges(values)
    assert (values < low).mean() == pytest.approx(0.25, abs=0.001)
    assert (values >= high).mean() == pytest.approx(0.25, abs=0.001)
    assert (round(low, 4), round(high, 4)) == (low, high)


def populations(taxonomy):
    return st.dictionaries(
        st.sampled_from(taxonomy.cells), st.sets(st.integers(0, 30).map(str), max_size=30), max_size=40
    )


@given(
    case=st.sampled_from([SIZES, COARSE]).flatmap(lambda g: st.tuples(st.just(g), populations(g))),
    least=st.integers(1, 25),
)
def test_merged_categories_share_out_all_cells_and_are_large_enough(case, least):
    taxonomy, photographs = case
    merged = taxonomy.merged(photographs, least)
    categories = merged.categories
    assert merged.is_complete
    assert sorted(cell for cells in categories for cell in cells) == taxonomy.cells
    counts = [len(set().union(*(photographs.get(cell, set()) for cell in cells))) for cells in categories]
    assert len(categories) == 1 or min(counts) >= least
    enough = {cell for cell, members in photographs.items() if len(members) >= least}
    if enough == set(taxonomy.cells):
        assert len(categories) == len(enough)  # nothing is merged without need


def test_qualities_are_merged_before_sizes_before_looks():
    many, few = {str(n) for n in range(50)}, {"1"}
    photographs = dict.fromkeys(SIZES.cells, many) | {(0, 0, 0, 0): few, (0, 1, 0, 0): few}
    categories = SIZES.merged(photographs, 20).categories
    assert ((0, 0, 0, 0), (0, 1, 0, 0), (0, 2, 0, 0)) in categories
    assert len(categories) == 10
    noisy = [cell for cell in LOOKS.cells if cell[2:] == (2, 2)]
    photographs = dict.fromkeys(LOOKS.cells, many) | dict.fromkeys(noisy, few)
    photographs |= {noisy[0]: many}
    categories = LOOKS.merged(photographs, 20).categories
    (together,) = [cells for cells in categories if noisy[0] in cells]
    assert list(together) == noisy  # rather than with a neighbour that looks otherwise
    assert len(categories) == len(LOOKS.cells) - len(noisy) + 1


def test_the_category_of_a_condition_is_that_of_its_cell():
    taxonomy = SIZES.merged({cell: {"1", "2"} for cell in SIZES.cells} | {(0, 0, 0, 0): {"1"}}, 2)
    for condition in (face(100, 60), face(100, 80), face(300), face(150, 95)):
        cells = taxonomy.categories[taxonomy.category_of(condition)]
        assert taxonomy.cell_of(condition) in cells
    assert taxonomy.category_of(face(100, 60)) == taxonomy.category_of(face(100, 80))
    with pytest.raises(KeyError):
        SIZES.category_of(face())


@pytest.mark.parametrize("categories", [(), (((0, 0, 0, 0),),), (tuple(SIZES.cells), ((0, 0, 0, 0),))])
def test_categories_that_leave_cells_out_or_hold_them_twice_are_incomplete(categories):
    assert not Taxonomy(SIZES.size, categories=categories).is_complete
