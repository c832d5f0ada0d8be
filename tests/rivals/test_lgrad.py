"""LGrad: gradients of known functions, and those of the discriminator picture by picture."""

import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals import RIVALS
from cameraborn.rivals.backbones.resnet import ResNet50
from cameraborn.rivals.backbones.stylegan import StyleGanDiscriminator
from cameraborn.rivals.inputs import IMAGENET
from cameraborn.rivals.lgrad import OTHERS, LGrad, _grown, gradient_pictures
from cameraborn.rivals.scoring import open_rival
from cameraborn.rivals.weights import import_published, load_weights, save_trained, write_imported
from tests.rivals.formula import formula_, formula_pictures, passes_for_loaded


def test_the_gradient_of_a_known_function_is_stretched_to_255_levels():
    pictures = torch.rand(2, 3, 4, 4) - 0.5
    found = gradient_pictures(lambda x: (x**3).sum(dim=(1, 2, 3)), pictures)
    for picture, seen in zip(pictures, found, strict=True):
        gradient = 3 * picture**2
        literal = (gradient - gradient.min()) / (gradient.max() - gradient.min())
        assert torch.equal(seen, (255 * literal).round() / 255)
    assert gradient_pictures(lambda x: 2 * x, pictures).abs().max() == 0  # the same everywhere: black


def test_a_picture_does_not_depend_on_its_batch():
    network = formula_(StyleGanDiscriminator(16, most=8))
    pictures = formula_pictures(3, 16)
    whole = gradient_pictures(lambda x: network(x, group=1), pictures)
    assert torch.allclose(
        whole[:1], gradient_pictures(lambda x: network(x, group=1), pictures[:1]), atol=1e-6
    )
    assert not torch.allclose(gradient_pictures(network, pictures)[:1], whole[:1], atol=1e-6)


def test_another_function_takes_the_discriminators_place():
    rival = LGrad(function=lambda x: (x**2).sum(dim=(1, 2, 3)))
    assert (rival.name, rival.parts) == ("lgrad*", {"network": "lgrad-classifier"})
    assert passes_for_loaded(rival).eval()(formula_pictures(1, 64)).shape == (1,)


def test_a_users_discriminator_is_chosen_by_name_and_file(tmp_path):
    """A ResNet-50 in torchvision's layout, of one output: what CNNDetection publishes, say."""
    theirs = formula_(ResNet50(outputs=2))
    torch.save({"model": theirs.state_dict()}, tmp_path / "theirs.pth")
    write_imported(import_published(tmp_path / "theirs.pth", "resnet50"), tmp_path / "d.safetensors")
    rival = RIVALS["lgrad-resnet50"]()
    load_weights(rival, [tmp_path / "d.safetensors"])
    rival.start_training()
    rival.count_as_trained()
    save_trained(rival, tmp_path / "trained.safetensors")
    rival = open_rival("lgrad-resnet50", [tmp_path / "trained.safetensors"])
    pictures = formula_pictures(1, 64)
    mean, deviation = torch.tensor(IMAGENET)[:, :, None, None]
    literal = gradient_pictures(lambda x: theirs(((x + 1) / 2 - mean) / deviation), pictures)
    assert torch.allclose(rival.prepare(pictures), (literal - mean) / deviation, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in rival.discriminator.parameters())
    assert rival.loaded.keys() == {"discriminator", "network"}


@pytest.mark.parametrize("network", OTHERS)
def test_a_row_says_whose_gradients_it_reads(network):
    with torch.device("meta"):
        rival = RIVALS[f"lgrad-{network}"]()
    assert rival.name == f"lgrad-{network}"
    assert network in rival.publication.differs
    with pytest.raises(
        RecipeError, match=f"^lgrad-{network}: no weights of the network {network} were given"
    ):
        rival.start_training()


def test_an_unfinished_discriminator_is_refused():
    with pytest.raises(RecipeError, match="has not ended"):
        _grown({"lod": torch.tensor(1.5)})
    assert set(_grown({"lod": torch.zeros(()), "a": torch.ones(1)})) == {"lod", "a"}
