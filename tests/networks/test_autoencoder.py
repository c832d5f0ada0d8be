"""Autoencoders keep sizes and can learn; discriminators look at regions."""

import pytest
import torch

from cameraborn.networks.autoencoder import Autoencoder, Discriminator


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "transposed", "shuffle"])
@pytest.mark.parametrize("factor", [2, 8])
def test_a_reconstructed_picture_has_its_size(upsampling, factor):
    autoencoder = Autoencoder(upsampling=upsampling, factor=factor, latent=3, width=4, texture=True)
    pictures = torch.rand(2, 3, 32, 48)
    assert autoencoder(pictures).shape == pictures.shape
    assert autoencoder.encoder(pictures).shape == (2, 3, 32 // factor, 48 // factor)


def test_only_powers_of_two():
    with pytest.raises(ValueError, match="not a power of two"):
        Autoencoder(upsampling="nearest", factor=6, latent=3)


def test_without_noise_the_same_picture_twice_and_with_it_another():
    autoencoder = Autoencoder(upsampling="nearest", factor=4, latent=3, width=4)
    pictures = torch.rand(1, 3, 32, 32)
    assert torch.equal(autoencoder(pictures), autoencoder(pictures))
    assert not torch.equal(autoencoder(pictures, 0.5), autoencoder(pictures, 0.5))


def test_an_autoencoder_learns_to_reproduce():
    torch.manual_seed(0)
    autoencoder = Autoencoder(upsampling="bilinear", factor=2, latent=6, width=8)
    ramp = torch.linspace(-1, 1, 16)
    pictures = torch.stack([ramp.expand(3, 16, 16), ramp[:, None].expand(3, 16, 16)])
    optimiser = torch.optim.Adam(autoencoder.parameters(), 0.01)
    before = (autoencoder(pictures) - pictures).abs().mean()
    for _ in range(60):
        loss = (autoencoder(pictures) - pictures).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < before / 3


def test_the_discriminator_sees_a_change_only_around_it():
    torch.manual_seed(0)
    discriminator = Discriminator(width=4).eval()
    pictures = torch.rand(1, 3, 64, 64)
    changed = pictures.clone()
    changed[..., :8, :8] += 1
    with torch.no_grad():
        difference = (discriminator(pictures)[0] - discriminator(changed)[0]).abs()[0, 0]
    assert difference[0, 0] > 0
    assert difference[-1, -1] == 0
    assert [len(maps[0]) for maps in discriminator(pictures)[1]] == [4, 4, 8, 16]
