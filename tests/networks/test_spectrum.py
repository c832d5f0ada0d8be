"""The spectrum of patches: against SciPy's transform, block by block, and what it must not see."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from cameraborn.networks.spectrum import NUMBERS, Spectrum


@pytest.fixture(scope="module")
def patches():
    return torch.randint(0, 256, (2, 3, 24, 28), generator=torch.Generator().manual_seed(0)).float()


def test_it_is_the_cosine_transform_of_every_block(patches):
    strength, nothing = [], []
    for patch in patches.numpy().astype(np.float64):
        red, green, blue = patch
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        differences = (
            -0.1687 * red - 0.3313 * green + 0.5 * blue,
            0.5 * red - 0.4187 * green - 0.0813 * blue,
        )
        amplitudes = [
            np.abs(
                [
                    dctn(plane[y : y + 8, x : x + 8], norm="ortho").ravel()[1:]
                    for y in range(0, 17, 4)
                    for x in range(0, 21, 4)
                ]
            )
            for plane in (luma, *differences)
        ]
        strength.append(np.concatenate([np.log1p(a.mean(axis=0)) for a in amplitudes]))
        nothing.append(np.concatenate([(a < 0.5).mean(axis=0) for a in amplitudes]))
    expected = np.concatenate([strength, nothing], axis=1)
    assert expected.shape == (2, NUMBERS)
    np.testing.assert_allclose(Spectrum()(patches).numpy(), expected, atol=1e-4)


def test_it_does_not_see_the_light_nor_the_turn_of_a_wave():
    spectrum = Spectrum()
    wave = 20 * torch.cos(torch.arange(32) * np.pi / 2)
    across = wave.expand(1, 3, 32, 32) + 60
    torch.testing.assert_close(spectrum(across + 90), spectrum(across), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(spectrum(across.flip(3)), spectrum(across), atol=1e-3, rtol=1e-3)


def test_a_flat_patch_is_nothing_at_every_frequency():
    strength, nothing = Spectrum()(torch.full((1, 3, 16, 16), 77.0)).view(2, -1)
    assert float(strength.max()) < 1e-3
    assert bool((nothing == 1).all())


def test_there_is_nothing_to_learn_or_to_store():
    assert not list(Spectrum().parameters())
    assert not Spectrum().state_dict()
