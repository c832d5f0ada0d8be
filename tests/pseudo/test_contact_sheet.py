"""A contact sheet of manipulations: what it shows, and where."""

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.manifest import Row, sha256_of
from cameraborn.photo.faces import FaceFinder
from cameraborn.pseudo.contact_sheet import contact_sheet
from cameraborn.pseudo.manipulate import KINDS
from cameraborn.pseudo.variants import FaceCut, VariantOptions, cut_face

from ..conftest import EXAMPLES


@pytest.fixture(scope="module")
def face():
    path = EXAMPLES / "photo-3.jpg"
    return cut_face(Row(path=str(path), sha256=sha256_of(path)), FaceFinder())


def test_a_contact_sheet_shows_every_kind_and_says_what_is_not_possible(face):
    options = VariantOptions(kinds=KINDS)
    blind = FaceCut(face.row, face.pixels, face.box, face.landmarks * np.nan)
    sheet = np.asarray(contact_sheet([face, blind], options)).astype(int)
    height, width, _ = sheet.shape
    assert height < width
    upper, lower = sheet[26 : 26 + 168], sheet[26 + 172 : 26 + 340]
    original = upper[:, 4:172]
    first_pair = 4 + 168 + 8
    for place, kind in enumerate(KINDS):
        x = first_pair + place * 348
        made, beside = upper[:, x : x + 168], upper[:, x + 172 : x + 340]
        assert np.abs(made - original).max() > 20, kind
        assert beside.mean() < original.mean() / 1.5, kind  # dimmed but where the mask is
        possible = kind == "affine"
        assert (np.ptp(lower[4:60, x + 4 : x + 160]) > 0) == possible


def test_a_face_without_landmarks_is_shown_distorted_alone(face):
    blind = FaceCut(face.row, face.pixels, face.box, None)
    sheet = contact_sheet([blind], VariantOptions(kinds=("affine",)))
    assert isinstance(sheet, Image.Image)
    assert np.ptp(np.asarray(sheet)[30:190, 180:340]) > 0
