"""ADM's U-Net at reduced size: its blocks against literal versions, its output pinned."""

import math

import torch
from torch.nn import functional as F

from cameraborn.rivals.backbones.adm import AdmUNet, _AttentionBlock, _ResBlock, time_embedding
from tests.rivals.formula import formula_, formula_pictures


def test_time_is_cosines_and_sines():
    found = time_embedding(torch.tensor([0, 950]), 6)
    for row, t in zip(found, (0, 950), strict=True):
        frequencies = [10000 ** (-i / 3) for i in range(3)]
        expected = [math.cos(t * f) for f in frequencies] + [math.sin(t * f) for f in frequencies]
        assert torch.allclose(row, torch.tensor(expected), atol=1e-4)


def test_attention_is_that_of_single_heads_whose_parts_lie_together():
    block = formula_(_AttentionBlock(64, 32))
    maps = torch.randn(1, 64, 2, 3)
    flat = maps.flatten(2)
    qkv = F.conv1d(
        F.group_norm(flat, 32, block.norm.weight, block.norm.bias), block.qkv.weight, block.qkv.bias
    )[0]
    heads = []
    for head in qkv.split(96):
        q, k, v = head.split(32)  # [32 positions]
        weights = (q.T @ k / 32**0.5).softmax(dim=1)
        heads.append(v @ weights.T)
    literal = flat + F.conv1d(torch.cat(heads)[None], block.proj_out.weight, block.proj_out.bias)
    assert torch.allclose(block(maps).flatten(2), literal, atol=1e-5)


def test_a_residual_block_is_scaled_and_shifted_by_the_time():
    for change in (1, 0.5, 2):
        block = formula_(_ResBlock(32, 8, 64, change))
        maps, time = torch.randn(1, 32, 4, 4), torch.randn(1, 8)

        def resized(x, change=change):
            return (
                F.interpolate(x, scale_factor=change, mode="nearest")
                if change > 1
                else F.avg_pool2d(x, int(1 / change))
            )

        norm, _, conv = block.in_layers
        y = conv(resized(F.silu(norm(maps))))
        scale, shift = block.emb_layers[1](F.silu(time)).view(2, 64, 1, 1)
        y = block.out_layers[3](F.silu(block.out_layers[0](y) * (1 + scale) + shift))
        assert torch.allclose(block(maps, time), y + block.skip_connection(resized(maps)), atol=1e-5)


def test_the_output_is_pinned():
    network = formula_(AdmUNet(width=32, factors=(1, 2), blocks=1, attention=(1,), head=32))
    with torch.no_grad():
        found = network(formula_pictures(2, 8), torch.tensor([3, 950]))
    assert found.shape == (2, 6, 8, 8)
    expected = torch.tensor([0.199526, -0.00479879, -0.147384])
    torch.testing.assert_close(found[1, :3, 4, 5], expected, rtol=1e-4, atol=1e-5)
