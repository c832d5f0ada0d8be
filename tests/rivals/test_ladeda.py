"""LaDeDa: a picture's score is the mean of its patches', and a patch's is its own."""

import torch

from cameraborn.rivals.ladeda import TinyLadedaNetwork, _Block, diagonal_gradient
from tests.rivals.formula import formula_, formula_pictures


def test_the_picture_is_the_mean_of_its_patches():
    network = formula_(TinyLadedaNetwork())
    pictures = formula_pictures(2, 21, 33)
    with torch.no_grad():
        patches = network.patch_scores(pictures)
        assert patches.shape == (2, 9, 15)
        assert torch.allclose(network(pictures), patches.flatten(1).mean(dim=1), atol=1e-6)


def test_a_patch_is_judged_by_its_own_pixels():
    network = formula_(TinyLadedaNetwork())
    pictures = formula_pictures(1, 40)
    changed = pictures.clone()
    changed[..., 30:, :] += 1
    with torch.no_grad():
        before, after = network.patch_scores(pictures), network.patch_scores(changed)
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.equal(before[:, 12:], after[:, 12:])


def test_diagonal_gradient_is_the_literal_sum():
    pictures = torch.rand(1, 3, 5, 6)
    found = diagonal_gradient(pictures)
    around = torch.nn.functional.pad(pictures, (1, 1, 1, 1))
    kernel = [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]]
    for y, x in ((0, 0), (2, 3), (4, 5)):
        literal = sum(kernel[i][j] * around[0, 1, y + i, x + j] for i in range(3) for j in range(3))
        assert torch.isclose(found[0, 1, y, x], literal, atol=1e-6)


def test_the_identity_is_cut_where_a_convolution_is_not_padded():
    block = formula_(_Block(16, 4, 1, 3))
    maps = formula_pictures(1, 9)[:, :1].repeat(1, 16, 1, 1)
    with torch.no_grad():
        y = torch.relu(block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(maps))))))
        literal = torch.relu(block.bn3(block.conv3(y)) + maps[:, :, :7, :7])
        assert torch.equal(block(maps), literal)
