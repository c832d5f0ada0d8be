"""Reconstruction error: its formula, its cut, its two forms."""

import numpy as np
import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals import NETWORKS
from cameraborn.rivals.reconstruction import PlainReconstruction, RelativeReconstruction, detail_energy
from cameraborn.rivals.scoring import compute, open_rival
from cameraborn.rivals.weights import import_published, write_imported
from tests.rivals.formula import a_picture, formula_, passes_for_loaded


def test_detail_is_what_the_four_neighbours_do_not_say():
    pictures = torch.rand(1, 3, 5, 6)
    squares = []
    for c in range(3):
        for y in range(1, 4):
            for x in range(1, 5):
                p = pictures[0, c]
                squares.append(((p[y - 1, x] + p[y + 1, x] + p[y, x - 1] + p[y, x + 1]) / 4 - p[y, x]) ** 2)
    assert torch.isclose(detail_energy(pictures)[0], sum(squares) / len(squares), atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(300, 260), (100, 37), (16, 16)])
def test_the_middle_is_looked_at(height, width):
    with torch.device("meta"):
        rival = PlainReconstruction()
    picture = a_picture(height, width)
    seen = rival.preprocess(picture)
    tall, wide = (min(size, 256) // 8 * 8 for size in (height, width))
    assert seen.shape == (3, tall, wide)
    y, x = (height - tall) // 2, (width - wide) // 2
    assert np.array_equal(
        (255 * seen).round().byte().permute(1, 2, 0), picture.pixels[y : y + tall, x : x + wide]
    )


def test_better_reconstructed_scores_higher_and_detail_is_divided_out():
    plain, relative = map(passes_for_loaded, (PlainReconstruction(), RelativeReconstruction()))
    pictures = torch.rand(2, 3, 16, 16) * torch.tensor([1.0, 0.2])[:, None, None, None]
    for rival in (plain, relative):
        rival.encoder, rival.decoder = torch.nn.Identity(), _Off(torch.tensor([0.05, 0.01]))
    squared = (rival.decoder(pictures).clamp(0, 1) - pictures).square().mean(dim=(1, 2, 3))
    assert torch.allclose(plain.score(pictures), -squared.log(), atol=1e-5)
    assert torch.allclose(relative.score(pictures), detail_energy(pictures).log() - squared.log(), atol=1e-5)
    assert plain.score(pictures)[1] > plain.score(pictures)[0]


class _Off(torch.nn.Module):
    """Pictures that are off by a number each."""

    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, pictures):
        return pictures + self.by[:, None, None, None]


@pytest.mark.parametrize("kind", ["taesdxl", "taesd3", "taef1", "taef2"])
def test_a_row_names_its_autoencoder_and_takes_no_other(kind, tmp_path):
    parts = {part: formula_(NETWORKS[f"{kind}-{part}"]()) for part in ("encoder", "decoder")}
    for part, network in parts.items():
        torch.save(network.half().state_dict(), tmp_path / f"{part}.pth")
        imported = import_published(tmp_path / f"{part}.pth", f"{kind}-{part}")
        write_imported(imported, tmp_path / f"{part}.safetensors")
    files = [tmp_path / "encoder.safetensors", tmp_path / "decoder.safetensors"]
    picture = a_picture(40, 48)
    for name in ("reconstruction", "reconstruction-relative"):
        rival = open_rival(f"{name}-{kind}", files)
        assert rival.name == f"{name}-{kind}"
        seen = rival.preprocess(picture)[None]
        with torch.no_grad():
            back = parts["decoder"].float()(parts["encoder"].float()(seen)).clamp(0, 1)
        error = (back - seen).square().mean().log()
        detail = detail_energy(seen).log()[0] if name == "reconstruction-relative" else 0
        assert float(compute(rival, [picture])[0]) == pytest.approx(float(detail - error), abs=1e-4)
        with pytest.raises(RecipeError, match=f"holds {kind}-encoder, and {name} needs taesd-decoder"):
            open_rival(name, files)


def test_an_unknown_autoencoder_is_answered():
    with pytest.raises(RecipeError, match="no autoencoder is called 'taesd9': did you mean 'taesd'"):
        PlainReconstruction("taesd9")
