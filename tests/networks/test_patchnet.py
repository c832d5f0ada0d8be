"""The patch network: its stem against the literal convolutions, its heads, its indifference to order, its gradient."""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.networks.patchnet import GREY_LEVELS_PER_UNIT, PatchNet, PatchRanker, ResidualStem, colours_of
from cameraborn.networks.srm import srm_kernels


@pytest.fixture(params=[("last", False), ("all", True)], ids=["last", "all, spectrum, colour"])
def ranker(request):
    torch.manual_seed(0)
    pool, more = request.param
    encoder = PatchNet(widths=(6, 8, 10), features=12, pool=pool, spectrum=more)
    return PatchRanker(encoder, {"iso": 1, "make": 3}, colour=more)


def patches(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*shape, 3, 64, 64), generator=generator).float()


def test_stem_is_thirty_fixed_convolutions_and_a_mixture():
    torch.manual_seed(1)
    stem = ResidualStem(7)
    pictures = patches(3)
    fixed = torch.from_numpy(srm_kernels())[:, None].repeat(3, 1, 1, 1)  # [90 1 5 5], 30 a colour
    residuals = F.conv2d(pictures.double(), fixed.double(), groups=3) / GREY_LEVELS_PER_UNIT
    mixed = F.conv2d(residuals, stem.mixture.detach().double().flatten(1)[:, :, None, None])
    got = stem(pictures).detach().double()
    assert got.shape == (3, 7, 60, 60)
    assert float((got - mixed).abs().max() / mixed.abs().max()) < 1e-5


def test_stem_does_not_see_brightness():
    stem = ResidualStem(4)
    pictures = patches(1) / 2
    torch.testing.assert_close(stem(pictures + 100), stem(pictures), atol=2e-3, rtol=0)


def test_heads_look_at_the_mean_feature_of_the_patches(ranker):
    ranker.eval()
    pictures = patches(2, 3)
    feature = torch.stack([ranker.encoder(picture).mean(dim=0) for picture in pictures])
    if ranker.colours is not None:
        feature = torch.cat([feature, ranker.colours(colours_of(pictures))], dim=1)
    outputs = ranker(pictures)
    assert {name: output.shape for name, output in outputs.items()} == {"iso": (2, 1), "make": (2, 3)}
    for name, output in outputs.items():
        torch.testing.assert_close(output, ranker.heads[name](feature), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_order_of_patches_does_not_matter(ranker, training):
    ranker.train(training)
    pictures = patches(2, 4)
    for name, output in ranker(pictures).items():
        torch.testing.assert_close(output, ranker(pictures[:, [2, 0, 3, 1]])[name], atol=1e-4, rtol=1e-4)


def test_gradient_reaches_every_parameter(ranker):
    outputs = ranker(patches(4, 2))
    sum(output.square().sum() for output in outputs.values()).backward()
    unmoved = [name for name, p in ranker.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert unmoved == []


def test_features_of_one_picture_do_not_depend_on_its_batch():
    torch.manual_seed(0)
    encoder = PatchNet(widths=(6, 8), features=5).eval()
    pictures = patches(4)
    torch.testing.assert_close(encoder(pictures)[1:2], encoder(pictures[1:2]), atol=1e-5, rtol=1e-4)


def test_every_stage_is_pooled():
    torch.manual_seed(0)
    encoder = PatchNet(widths=(4, 6, 8), features=5, pool="all").eval()
    encoder.standardise.running_mean.uniform_(-1, 1)
    encoder.standardise.running_var.uniform_(0.5, 2)
    pictures = patches(2)
    *stages, feature = encoder.stages_of(pictures)
    pooled = []
    for maps in stages:  # literally, channel by channel
        pooled += [maps[:, c].mean(dim=(1, 2)) for c in range(maps.shape[1])]
        pooled += [(maps[:, c].var(dim=(1, 2), correction=0) + 1e-4).log() / 2 for c in range(maps.shape[1])]
    norm = encoder.standardise
    standard = (torch.stack(pooled, dim=1) - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    assert standard.shape == (2, 2 * (4 + 6 + 8))
    torch.testing.assert_close(feature, encoder.project(standard), atol=1e-4, rtol=1e-4)


def test_the_feature_does_not_see_colour_but_the_heads_do():
    torch.manual_seed(0)
    encoder = PatchNet(widths=(4, 6), features=5, spectrum=True)
    ranker = PatchRanker(encoder, {"iso": 1}, colour=True).eval()
    dark = patches(1, 2) / 4
    light = dark + 150
    torch.testing.assert_close(ranker.encoder(dark[0]), ranker.encoder(light[0]), atol=2e-3, rtol=1e-3)
    assert float((ranker(dark)["iso"] - ranker(light)["iso"]).abs().detach()) > 0.05


def test_colours_of_known_patches():
    pictures = torch.zeros(1, 2, 3, 8, 8)
    pictures[0, 1, 0, :4] = 255.0  # half of one of two patches is red
    mean, spread, mean_log, highest = colours_of(pictures)[0].view(4, 3)
    spread_of_half = (0.25 * 64 / 63) ** 0.5
    log_dark, log_light = torch.tensor([0.02, 1.02]).log()
    torch.testing.assert_close(mean, torch.tensor([0.25, 0.0, 0.0]))
    torch.testing.assert_close(spread, torch.tensor([spread_of_half / 2, 0.0, 0.0]))
    torch.testing.assert_close(
        mean_log, torch.stack([log_dark * 0.75 + log_light * 0.25, log_dark, log_dark])
    )
    torch.testing.assert_close(highest, torch.tensor([0.5, 0.0, 0.0]))


def test_fixed_kernels_are_not_weights():
    assert not any("kernels" in name for name in PatchNet(widths=(4, 4)).state_dict())
