"""LaDeDa: a picture's score is the mean of its patches', and a patch's is its own."""

import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals.ladeda import LaDeDa, TinyLaDeDa, TinyLadedaNetwork, _Block, diagonal_gradient
from cameraborn.rivals.npr import Npr
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


@pytest.mark.parametrize("size", [(40, 56), (41, 33), (57, 49)])
def test_distillation_compares_the_scores_of_each_patch(size):
    """Literally: patches of 9 x 9 pixels, one each 8; of the small network the mean of the scores that lie in one."""
    tiny, teacher = TinyLaDeDa(), LaDeDa()
    for rival in (tiny, teacher):
        formula_(rival.network)
        rival.loaded["network"] = "0" * 64
    tiny.eval(), teacher.eval()
    pictures = formula_pictures(2, *size)
    H, W = (side - side % 2 for side in size)
    with torch.no_grad():
        taught = teacher.network.patch_scores(pictures)
        small = tiny.network.patch_scores(
            pictures[..., :H, :W]
        )  # score (y, x) sees 5 x 5 pixels from (2 y, 2 x) on
        squares = []
        for p in range(0, H - 8, 8):
            for q in range(0, W - 8, 8):
                inside = [
                    small[:, y, x]
                    for y in range(small.shape[1])
                    for x in range(small.shape[2])
                    if p <= 2 * y and 2 * y + 5 <= p + 9 and q <= 2 * x and 2 * x + 5 <= q + 9
                ]
                assert len(inside) == 9
                squares.append((torch.stack(inside).mean(dim=0) - taught[:, p // 8, q // 8]) ** 2)
        literal = torch.stack(squares).mean()
        assert taught[0].numel() * 2 == sum(len(one) for one in squares)
        assert torch.isclose(tiny.distillation_loss(teacher, pictures), literal, atol=1e-6)


def test_none_but_the_small_network_has_a_teacher():
    with pytest.raises(RecipeError, match="npr: there is none that it could learn from"):
        Npr().distillation_loss(LaDeDa(), formula_pictures(1, 32))
