"""Painters keep sizes and can learn; critics look at regions."""

import pytest
import torch

from cameraborn.networks.autoencoder import Critic, Painter


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "transposed", "shuffle"])
@pytest.mark.parametrize("factor", [2, 8])
def test_a_redrawn_picture_has_its_size(upsampling, factor):
    painter = Painter(upsampling=upsampling, factor=factor, latent=3, width=4, texture=True)
    pictures = torch.rand(2, 3, 32, 48)
    assert painter(pictures).shape == pictures.shape
    assert painter.encoder(pictures).shape == (2, 3, 32 // factor, 48 // factor)


def test_only_powers_of_two():
    with pytest.raises(ValueError, match="no power of two"):
        Painter(upsampling="nearest", factor=6, latent=3)


def test_without_noise_the_same_picture_twice_and_with_it_another():
    painter = Painter(upsampling="nearest", factor=4, latent=3, width=4)
    pictures = torch.rand(1, 3, 32, 32)
    assert torch.equal(painter(pictures), painter(pictures))
    assert not torch.equal(painter(pictures, 0.5), painter(pictures, 0.5))


def test_a_painter_learns_to_reproduce():
    torch.manual_seed(0)
    painter = Painter(upsampling="bilinear", factor=2, latent=6, width=8)
    ramp = torch.linspace(-1, 1, 16)
    pictures = torch.stack([ramp.expand(3, 16, 16), ramp[:, None].expand(3, 16, 16)])
    optimiser = torch.optim.Adam(painter.parameters(), 0.01)
    before = (painter(pictures) - pictures).abs().mean()
    for _ in range(60):
        loss = (painter(pictures) - pictures).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < before / 3


def test_the_critic_sees_a_change_only_around_it():
    torch.manual_seed(0)
    critic = Critic(width=4).eval()
    pictures = torch.rand(1, 3, 64, 64)
    changed = pictures.clone()
    changed[..., :8, :8] += 1
    with torch.no_grad():
        difference = (critic(pictures)[0] - critic(changed)[0]).abs()[0, 0]
    assert difference[0, 0] > 0
    assert difference[-1, -1] == 0
    assert [len(maps[0]) for maps in critic(pictures)[1]] == [4, 4, 8, 16]
