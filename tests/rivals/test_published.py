"""Weights: imported strictly with their sum, kept through files, and never scored without."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from cameraborn.errors import RecipeError
from cameraborn.rivals import LAYOUTS, RIVALS
from cameraborn.rivals.ladeda import TinyLaDeDa, TinyLadedaNetwork
from cameraborn.rivals.lgrad import LGrad
from cameraborn.rivals.published import TRAINED
from cameraborn.rivals.weights import import_published, load_weights, save_trained, write_imported
from tests.rivals.formula import formula_, formula_pictures

LAYOUT = "tiny-ladeda"


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "theirs.pth"
    torch.save(formula_(TinyLadedaNetwork()).state_dict(), path)
    return path


def imported(checkpoint):
    path = checkpoint.with_suffix(".safetensors")
    write_imported(import_published(checkpoint, LAYOUT), path)
    return path


def test_a_published_file_scores_as_its_network_does(checkpoint):
    rival = TinyLaDeDa()
    load_weights(rival, [imported(checkpoint)])
    pictures = formula_pictures(2, 32)
    rival.eval()
    with torch.no_grad():
        assert torch.equal(rival(pictures), formula_(TinyLadedaNetwork())(pictures))
    assert rival.loaded == {"network": import_published(checkpoint, LAYOUT).sha256}
    assert rival.missing() == ""


def test_wrappers_of_others_are_taken_off(tmp_path, checkpoint):
    state = torch.load(checkpoint, weights_only=True)
    wrapped = tmp_path / "wrapped.pth"
    torch.save({"model": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}, wrapped)
    assert set(import_published(wrapped, LAYOUT).tensors) == set(state)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("fc.bias"), "missing: fc.bias"),
        (lambda state: state.update(more=torch.zeros(2)), "unknown: more"),
        (
            lambda state: state.update({"fc.weight": torch.zeros(2, 8)}),
            r"of another shape: fc.weight \[2, 8\]",
        ),
    ],
)
def test_names_and_shapes_must_be_the_networks(checkpoint, change, said):
    state = torch.load(checkpoint, weights_only=True)
    change(state)
    torch.save(state, checkpoint)
    with pytest.raises(RecipeError, match=said):
        import_published(checkpoint, LAYOUT)


def test_whole_modules_and_programs_are_refused(checkpoint, tmp_path):
    torch.save(TinyLadedaNetwork(), checkpoint)
    with pytest.raises(RecipeError, match="read safely"):
        import_published(checkpoint, LAYOUT)
    archive = tmp_path / "archive.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), archive)
    with pytest.raises(RecipeError, match="TorchScript archive"):
        import_published(archive, LAYOUT)


def test_another_file_of_the_published_name_is_refused(tmp_path):
    layout = LAYOUTS["taesd-encoder"]
    path = tmp_path / layout.file
    save_file({"0.weight": torch.zeros(1)}, path)
    with pytest.raises(RecipeError, match=f"the published file's {layout.sha256}"):
        import_published(path, "taesd-encoder")


def test_missing_files_and_other_networks_are_answered(checkpoint, tmp_path):
    with pytest.raises(RecipeError, match=r"no such file: get WildRF_Tiny_LaDeDa.pth at "):
        import_published(tmp_path / "nowhere.pth", LAYOUT)
    with pytest.raises(RecipeError, match="did you mean 'tiny-ladeda'"):
        import_published(checkpoint, "tiny-ladedo")
    with pytest.raises(RecipeError, match="holds tiny-ladeda, and npr needs npr"):
        load_weights(RIVALS["npr"](), [imported(checkpoint)])
    with pytest.raises(RecipeError, match="no such file"):
        load_weights(TinyLaDeDa(), [tmp_path / "nowhere.safetensors"])
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no safetensors")
    with pytest.raises(RecipeError, match="import it again"):
        load_weights(TinyLaDeDa(), [broken])


def test_a_file_of_ours_that_was_changed_changes_nothing(checkpoint):
    path = imported(checkpoint)
    tensors = load_file(path)
    tensors["fc.weight"] = torch.zeros(1, 9)
    save_file(tensors, path, {"network": "tiny-ladeda"})
    rival = TinyLaDeDa()
    before = {key: value.clone() for key, value in rival.state_dict().items()}
    with pytest.raises(RecipeError, match="of another shape"):
        load_weights(rival, [path])
    assert all(torch.equal(before[key], value) for key, value in rival.state_dict().items())
    assert rival.loaded == {}


def test_what_was_trained_here_says_so(tmp_path):
    rival = TinyLaDeDa()
    with pytest.raises(RecipeError, match="no weights"):
        save_trained(rival, tmp_path / "tiny.safetensors")
    rival.start_training()
    path = tmp_path / "deeper" / "tiny.safetensors"
    save_trained(rival, path)
    again = TinyLaDeDa()
    load_weights(again, [path])
    assert again.loaded == {"network": TRAINED}
    assert all(torch.equal(a, b) for a, b in zip(rival.parameters(), again.parameters(), strict=True))


def test_training_needs_the_weights_of_what_is_not_trained():
    with torch.device("meta"):
        rival = LGrad()
    with pytest.raises(RecipeError, match="stylegan-discriminator"):
        rival.start_training()
    assert rival.loaded == {}


def test_in_training_nothing_need_be_loaded():
    rival = TinyLaDeDa().train()
    assert rival(formula_pictures(2, 16)).shape == (2,)
    with pytest.raises(RecipeError, match="no weights"):
        rival.eval()(formula_pictures(2, 16))
