"""Categories in words and in rows: nothing is said that is not so, and all that is."""

from hypothesis import given
from hypothesis import strategies as st

from cameraborn.detect.condition import Taxonomy
from cameraborn.detect.describe import category_rows, describe_category

OPERATIONS = ("blurred", "as it came", "sharpened")
SIZES = Taxonomy((130, 200))
LOOKS = Taxonomy((130, 200), (-1.0, 0.5), OPERATIONS)
COARSE = Taxonomy((), (-1.0, 0.5), OPERATIONS)


def test_categories_in_words():
    def words(taxonomy, *cells):
        return describe_category(cells, taxonomy)

    assert words(Taxonomy(), *Taxonomy().cells) == "any size: any file"
    assert words(SIZES, (0, 3, 0, 0), (1, 3, 0, 0)) == "under 130 px or 130 to 199 px: no JPEG"
    assert words(LOOKS, (2, 0, 2, 0)) == "noisy, blurred, 200 px and more: JPEG 1-74"
    assert (
        words(LOOKS, (2, 0, 2, 0), (2, 0, 2, 2)) == "noisy, blurred or sharpened, 200 px and more: JPEG 1-74"
    )
    assert words(COARSE, *((0, q, 0, f) for q in range(4) for f in range(3))) == "clean, any size: any file"
    assert (
        words(COARSE, *((0, q, n, 1) for q in range(4) for n in range(3))) == "as it came, any size: any file"
    )
    assert words(COARSE, *COARSE.cells) == "any size: any file"
    two = [(0, 3, 0, 0), (0, 3, 1, 2), (0, 2, 1, 2)]
    assert (
        words(COARSE, *two)
        == "clean, blurred, any size: no JPEG; plain, sharpened, any size: JPEG 90-100, no JPEG"
    )
    mixed = [(0, 3, 0, 0), (0, 3, 1, 2)]
    assert words(COARSE, *mixed) == "clean, blurred, any size: no JPEG; plain, sharpened, any size: no JPEG"


def test_categories_in_rows():
    assert category_rows(COARSE.cells, COARSE) == [("any", "any", "any", "any")]
    assert category_rows([(0, 0, 0, 0), (0, 1, 0, 0)], SIZES) == [
        ("under 130 px", "JPEG 1-74, JPEG 75-89", "any", "any")
    ]
    assert category_rows([(0, 3, 2, 1), (1, 3, 2, 1), (2, 3, 2, 1), (2, 0, 1, 1)], LOOKS) == [
        ("200 px and more", "JPEG 1-74", "plain", "as it came"),
        ("any", "no JPEG", "noisy", "as it came"),
    ]


SIZE_NAMES = ["under 130 px", "130 to 199 px", "200 px and more"]
QUALITY_NAMES = ["JPEG 1-74", "JPEG 75-89", "JPEG 90-100", "no JPEG"]


@given(st.sets(st.sampled_from(LOOKS.cells), min_size=1))
def test_rows_hold_every_cell_of_a_category_once_and_no_other(cells):
    names = (SIZE_NAMES, QUALITY_NAMES, ["clean", "plain", "noisy"], OPERATIONS)
    told = [
        cell
        for row in category_rows(cells, LOOKS)
        for cell in LOOKS.cells
        if all(
            text == "any" or of[place] in text.split(", ")
            for place, text, of in zip(cell, row, names, strict=True)
        )
    ]
    assert sorted(told) == sorted(cells)
