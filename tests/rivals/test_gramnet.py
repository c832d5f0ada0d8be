"""GramNet: Gram matrices against sums, the input's channels, the loss' classes."""

import numpy as np
import torch

from cameraborn.photo.decode import open_picture
from cameraborn.rivals.gramnet import GramNet, gram_matrix
from tests.rivals.formula import formula_pictures, passes_for_loaded


def test_gram_matrix_is_the_sum_over_positions():
    maps = torch.rand(2, 4, 3, 5, dtype=torch.float64)
    found = gram_matrix(maps)
    assert found.shape == (2, 1, 4, 4)
    for picture in range(2):
        for i in range(4):
            for j in range(4):
                total = sum(
                    maps[picture, i, y, x] * maps[picture, j, y, x] for y in range(3) for x in range(5)
                )
                assert torch.isclose(found[picture, 0, i, j], total / (4 * 3 * 5))


def test_the_input_is_blue_green_red_in_grey_levels():
    levels = np.zeros((40, 60, 3), np.uint8) + np.array([10, 20, 30], np.uint8)
    with torch.device("meta"):
        rival = GramNet()
    seen = rival.preprocess(open_picture(levels))
    assert seen.shape == (3, 512, 512)
    assert seen[:, 7, 9].tolist() == [30.0, 20.0, 10.0]


def test_the_first_class_is_generated():
    rival = passes_for_loaded(GramNet().eval())
    pictures = formula_pictures(3, 64, low=0, high=255)
    with torch.no_grad():
        log_probabilities = rival.network(pictures)
        generated = torch.tensor([True, False, True])
        assert torch.allclose(rival(pictures), log_probabilities[:, 0] - log_probabilities[:, 1])
        literal = -(log_probabilities[0, 0] + log_probabilities[1, 1] + log_probabilities[2, 0]) / 3
        assert torch.isclose(rival.loss(pictures, generated), literal)
