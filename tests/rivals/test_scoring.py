"""Opened by name and weights, rivals score pictures of any sizes in their order."""

import numpy as np
import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals.ladeda import TinyLadedaNetwork
from cameraborn.rivals.reconstruction import PlainReconstruction
from cameraborn.rivals.scoring import compute, open_encoder, open_rival
from cameraborn.rivals.weights import import_published, write_imported
from tests.rivals.formula import a_picture, formula_


@pytest.fixture
def weights(tmp_path):
    torch.save(formula_(TinyLadedaNetwork()).state_dict(), tmp_path / "theirs.pth")
    write_imported(import_published(tmp_path / "theirs.pth", "tiny-ladeda"), tmp_path / "ours.safetensors")
    return tmp_path / "ours.safetensors"


def test_a_rival_scores_as_its_network_does_picture_by_picture(weights):
    rival = open_rival("tiny-ladeda", [weights])
    pictures = [a_picture(30, 40), a_picture(64, 32), a_picture(50, 50)]
    with torch.no_grad():
        literal = [float(rival.network(rival.preprocess(picture)[None])) for picture in pictures]
    scores = compute(rival, pictures, batch=2)
    assert scores.dtype == np.float64
    assert scores.tolist() == pytest.approx(literal, abs=1e-6)
    assert compute(rival, []).shape == (0,)


def test_inputs_of_several_sizes_keep_their_order():
    rival = PlainReconstruction()
    rival.loaded = {"encoder": "0" * 64, "decoder": "0" * 64}
    rival.encoder, rival.decoder = torch.nn.Identity(), torch.nn.ReLU()
    rival.error = lambda squared, pictures: pictures.new_full((len(pictures),), float(pictures.shape[-1]))
    pictures = [a_picture(16, width) for width in (24, 40, 24, 32, 40)]
    assert compute(rival, pictures).tolist() == [-24, -40, -24, -32, -40]


def test_without_weights_nothing_is_opened():
    with pytest.raises(RecipeError, match="tiny-ladeda: no weights of the network tiny-ladeda"):
        open_rival("tiny-ladeda")
    with pytest.raises(RecipeError, match="efficientnet-lite0: no weights"):
        open_encoder("efficientnet-lite0")
    with pytest.raises(RecipeError, match="did you mean 'farl'"):
        open_encoder("farrl")
