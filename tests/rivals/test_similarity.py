"""Similarity under disturbance: literal distances on an encoder whose feature is known."""

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from cameraborn.errors import RecipeError
from cameraborn.rivals.encoders import Tower
from cameraborn.rivals.published import Encoder
from cameraborn.rivals.similarity import BLUR, NOISE, BlurSimilarity, Minder, Rigid, blurred
from tests.rivals.formula import formula_pictures, passes_for_loaded


class Corners(Encoder):
    """An encoder whose feature is the picture's first 2x2 pixels."""

    name, parts, features = "corners", {}, 12
    statistics = ((0.5,) * 3, (0.5,) * 3)

    def preprocess(self, picture):
        raise NotImplementedError

    def compute(self, batch):
        return batch[..., :2, :2].flatten(1)


def test_blur_is_a_gaussian():
    pictures = torch.rand(1, 2, 20, 24)
    for channel in range(2):
        literal = gaussian_filter(pictures[0, channel].numpy(), 1.5, mode="nearest", truncate=4)
        assert torch.allclose(blurred(pictures, 1.5)[0, channel], torch.from_numpy(literal), atol=1e-4)


def test_distances_are_one_less_the_cosine():
    pictures = formula_pictures(3, 12)
    features = pictures[..., :2, :2].flatten(1)
    blur = 1 - F.cosine_similarity(blurred(pictures, BLUR)[..., :2, :2].flatten(1), features)
    assert torch.allclose(BlurSimilarity(Corners()).score(pictures), blur, atol=1e-6)
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randn(3, 12, 12, generator=generator) for _ in range(3)]
    noisy = [(pictures + NOISE / 0.5 * noise)[..., :2, :2].flatten(1) for noise in draws]
    literal = sum(1 - F.cosine_similarity(one, features) for one in noisy) / 3
    assert torch.allclose(Rigid(Corners()).score(pictures), literal, atol=1e-6)
    assert torch.allclose(Minder(Corners()).score(pictures), torch.minimum(blur, literal), atol=1e-6)


def test_a_picture_does_not_depend_on_its_batch():
    pictures = formula_pictures(3, 12)
    rival = Rigid(Corners())
    assert torch.allclose(rival.score(pictures)[1:2], rival.score(pictures[1:2]), atol=1e-7)


def test_an_encoder_that_is_given_brings_its_weights():
    with torch.device("meta"):
        encoder = passes_for_loaded(Tower("efficientnet-lite0"))
        rival = Rigid(encoder)
    assert rival.missing() == ""
    assert rival.loaded == {"encoder.network": "0" * 64}


def test_it_needs_its_encoders_weights_and_no_training():
    with torch.device("meta"):
        rival = Rigid()
    assert rival.parts == {"encoder.network": "efficientnet-lite0"}
    assert "efficientnet-lite0" in rival.missing()
    with pytest.raises(RecipeError, match="no weights of the network efficientnet-lite0"):
        rival.score(torch.zeros(1, 3, 224, 224))
    with pytest.raises(RecipeError, match="not trained"):
        passes_for_loaded(rival).loss(torch.zeros(1), torch.zeros(1))
