"""Tiny autoencoders: to an eighth and back, and their blocks against literal versions."""

import pytest
import torch

from cameraborn.rivals.backbones.tiny_autoencoder import tiny_decoder, tiny_encoder
from tests.rivals.formula import formula_, formula_pictures


def test_a_tiny_autoencoder_goes_to_an_eighth_and_back():
    encoder, decoder = formula_(tiny_encoder(4)), formula_(tiny_decoder(4))
    with torch.no_grad():
        latents = encoder(formula_pictures(1, 24, 16, low=0))
        assert latents.shape == (1, 4, 3, 2)
        assert decoder(latents).shape == (1, 3, 24, 16)
        block = encoder[1]
        maps = torch.randn(1, 64, 5, 5)
        y = block.conv[4](torch.relu(block.conv[2](torch.relu(block.conv[0](maps)))))
        assert torch.equal(block(maps), torch.relu(maps + y))
        far = decoder[0](torch.tensor([100.0, -100.0, 0.3]))
        assert far.tolist() == pytest.approx([3, -3, 0.2990], abs=1e-3)


def test_flux_2s_blocks_at_an_eighth_see_whole_maps():
    encoder, decoder = formula_(tiny_encoder(32, pooled=True)), formula_(tiny_decoder(32, pooled=True))
    assert [place for place, layer in enumerate(encoder) if getattr(layer, "pool", None)] == [11, 12, 13]
    assert [place for place, layer in enumerate(decoder) if getattr(layer, "pool", None)] == [3, 4, 5]
    block, maps = encoder[11], torch.randn(1, 64, 5, 6)
    widen, norm, narrow = block.pool[0].weight, block.pool[1], block.pool[3].weight
    wide = torch.einsum("oc,bchw->bohw", widen[:, :, 0, 0], maps).view(4, 64 * 5 * 6)  # four groups
    wide = (wide - wide.mean(dim=1, keepdim=True)) / (
        wide.var(dim=1, keepdim=True, correction=0) + 1e-5
    ).sqrt()
    wide = wide.view(256, 5, 6) * norm.weight[:, None, None] + norm.bias[:, None, None]
    x = maps + torch.einsum("oc,chw->ohw", narrow[:, :, 0, 0], torch.relu(wide))
    with torch.no_grad():
        assert torch.allclose(block(maps), torch.relu(x + block.conv(x)), atol=1e-5)


def test_each_side_is_as_large_as_published():
    """1,222,532 parameters of the encoder and 1,222,531 of the decoder (TAESD)."""
    with torch.device("meta"):
        encoder, decoder = tiny_encoder(), tiny_decoder()
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 1_222_532
    assert sum(parameter.numel() for parameter in decoder.parameters()) == 1_222_531
