"""DIRE: ADM's input, the error that its classifier reads, and what may take ADM's place."""

import numpy as np
import pytest
import torch
from PIL import Image

from cameraborn.photo.decode import open_picture
from cameraborn.rivals.ddim import there_and_back
from cameraborn.rivals.dire import CROP, SIDE, Dire, middle_square
from tests.rivals.formula import a_picture, passes_for_loaded

NOISE = np.random.default_rng(0).integers(0, 256, (90, 121, 3), dtype=np.uint8)


def test_dire_shows_its_classifier_the_error_in_255_levels():
    rival = Dire(noise=lambda mixed, times: torch.tanh(3 * mixed) * (times / 1000)[:, None, None, None])
    assert (rival.name, rival.parts) == ("dire*", {"network": "dire-classifier"})
    pictures = torch.rand(2, 3, 8, 8)
    error = (pictures - there_and_back(rival.noise, pictures, steps=20)).abs()
    assert 0.05 < float(error.mean()) < 0.9
    levels = (error * 255 / 2).clamp(0, 255).to(torch.uint8).float() / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    literal = (levels - mean[:, None, None]) / deviation[:, None, None]
    assert torch.allclose(rival.prepare(pictures), literal, atol=1e-6)


def test_dire_reads_the_middle_of_the_error():
    rival = passes_for_loaded(Dire(noise=lambda mixed, times: mixed))
    seen = []
    rival.network.forward = lambda x: seen.append(x) or torch.zeros(len(x), 1)
    prepared = torch.rand(1, 3, 256, 256)
    rival.score(prepared)
    rival.score(seen[0])
    assert torch.equal(seen[0], prepared[..., 16:240, 16:240])
    assert seen[1].shape[-2:] == (CROP, CROP)


@pytest.mark.parametrize(("height", "width"), [(90, 121), (500, 300), (64, 64), (33, 70)])
def test_adms_square_is_halved_by_averaging_first(height, width):
    pixels = np.resize(NOISE, (height, width, 3))
    square = middle_square(pixels, 64)
    assert square.shape == (64, 64, 3)
    if (height, width) == (64, 64):
        assert np.array_equal(square, pixels)
    if (height, width) == (500, 300):
        halved = np.asarray(Image.fromarray(pixels).resize((150, 250), Image.Resampling.BOX))
        halved = np.asarray(Image.fromarray(halved).resize((75, 125), Image.Resampling.BOX))
        whole = np.asarray(Image.fromarray(halved).resize((64, 107), Image.Resampling.BICUBIC))
        assert np.array_equal(square, whole[21:85])


def test_what_adm_sees_is_the_middle_square_in_minus_1_to_1():
    with torch.device("meta"):
        rival = Dire(noise=lambda mixed, times: mixed)
    picture = a_picture(300, 400)
    seen = rival.preprocess(picture)
    literal = middle_square(picture.pixels, SIDE).transpose(2, 0, 1) / 127.5 - 1
    assert torch.allclose(seen, torch.from_numpy(literal).float(), atol=1e-6)
    black, white = (open_picture(np.full((256, 256, 3), level, np.uint8)) for level in (0, 255))
    assert rival.preprocess(black).unique().tolist() == [-1]
    assert rival.preprocess(white).unique().tolist() == [1]


def test_a_perfect_reconstruction_has_no_error_and_a_large_one_is_cut():
    with torch.device("meta"):
        same = Dire(reconstruct=lambda _noise, pictures: pictures)
        far = Dire(reconstruct=lambda _noise, pictures: pictures + 9)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for rival, level in ((same, 0.0), (far, 1.0)):
        rival.count_as_loaded("diffusion", "0" * 64)
        prepared = rival.prepare(torch.zeros(1, 3, 8, 8))
        assert torch.allclose(prepared, ((level - mean) / deviation)[None, :, None, None].expand(1, 3, 8, 8))


def test_adm_is_asked_for_noise_alone_and_is_never_trained():
    with torch.device("meta"):
        rival = Dire()
        noise = rival.noise(torch.zeros(2, 3, 64, 64), torch.zeros(2, dtype=torch.long))
    assert (
        rival.diffusion(torch.zeros(2, 3, 64, 64, device="meta"), torch.zeros(2, device="meta")).shape[1] == 6
    )
    assert noise.shape == (2, 3, 64, 64)
    assert (rival.name, rival.trained_parts(), rival.frozen_parts()) == ("dire", ["network"], ["diffusion"])
    assert not any(parameter.requires_grad for parameter in rival.diffusion.parameters())
