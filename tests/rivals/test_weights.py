"""Weights: imported strictly with their sum, kept through files, and never scored without."""

import warnings
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from cameraborn.data.manifest import sha256_of
from cameraborn.errors import RecipeError
from cameraborn.rivals import LAYOUTS, NETWORKS, RIVALS
from cameraborn.rivals.ladeda import TinyLaDeDa, TinyLadedaNetwork
from cameraborn.rivals.lgrad import LGrad
from cameraborn.rivals.published import TRAINED, Layout
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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fc.bias": torch.tensor([float("nan")])}, "NaN or infinite: fc.bias: check the file"),
        ({"conv1.weight": torch.full((8, 3, 1, 1), float("inf"))}, "NaN or infinite: conv1.weight: check"),
        ({"fc.weight": torch.ones(1, 8, dtype=torch.long)}, "type: fc.weight torch.int64 for torch.float32"),
        ({"bn1.num_batches_tracked": torch.tensor(1.5)}, "num_batches_tracked torch.float32 for torch.int64"),
        ({"bn1.num_batches_tracked": torch.tensor(7)}, ""),
    ],
)
def test_numbers_must_be_finite_and_of_the_networks_type(checkpoint, change, said):
    state = torch.load(checkpoint, weights_only=True) | change
    torch.save(state, checkpoint)
    ours = checkpoint.with_suffix(".safetensors")
    save_file(state, ours, {"network": "tiny-ladeda", "sha256": "0" * 64})
    rival = TinyLaDeDa()
    if not said:
        load_weights(rival, [imported(checkpoint)])
        return
    with pytest.raises(RecipeError, match=said):
        import_published(checkpoint, LAYOUT)
    with pytest.raises(RecipeError, match=said):
        load_weights(rival, [ours])
    assert rival.loaded == {}


def test_files_of_before_batch_norm_counted_are_read_as_torch_reads_them(checkpoint):
    state = torch.load(checkpoint, weights_only=True)
    counters = {key for key in state if key.endswith("num_batches_tracked")}
    assert counters
    old = {key: value for key, value in state.items() if key not in counters}
    torch.save(old, checkpoint)
    tensors = import_published(checkpoint, LAYOUT).tensors
    theirs = TinyLadedaNetwork()
    theirs.load_state_dict(old, strict=True)
    assert all(torch.equal(tensors[key], value) for key, value in theirs.state_dict().items())
    assert {(int(tensors[key]), tensors[key].dtype) for key in counters} == {(0, torch.long)}
    rival = TinyLaDeDa()
    load_weights(rival, [imported(checkpoint)])
    for gone in ("bn1.running_mean", "fc.bias"):
        torch.save({key: value for key, value in old.items() if key != gone}, checkpoint)
        with pytest.raises(RecipeError, match=f"missing: {gone}: check the file"):
            import_published(checkpoint, LAYOUT)
    some = sorted(counters)[0]
    torch.save({key: value for key, value in state.items() if key != some}, checkpoint)
    with pytest.raises(RecipeError, match=f"missing: {some}: check the file"):  # damaged, not old
        import_published(checkpoint, LAYOUT)


def test_whole_modules_and_programs_are_refused(checkpoint, tmp_path):
    torch.save(TinyLadedaNetwork(), checkpoint)
    with pytest.raises(
        RecipeError, match=r"read safely: it holds cameraborn.rivals.ladeda.TinyLadedaNetwork "
    ) as caught:
        import_published(checkpoint, LAYOUT)
    assert caught.value.args[0].isprintable()
    archive = tmp_path / "archive.pt"
    save_archive(archive)
    with pytest.raises(
        RecipeError, match=r"TorchScript archive.* \S+/archive-state.pt --layout tiny-ladeda -o tiny-la"
    ):
        import_published(archive, LAYOUT)


def save_archive(path):
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


def test_of_an_archive_that_was_published_the_state_alone_is_imported(tmp_path, monkeypatch):
    network = TinyLadedaNetwork()
    state = {"scorer." + key: value for key, value in network.state_dict().items()}
    path = tmp_path / "Tiny.pt"
    save_archive(path)
    form = Layout(
        "tiny-ladeda",
        path.name,
        "https://example.org",
        sha256_of(path),
        lambda weights: {key.removeprefix("scorer."): value for key, value in weights.items()},
        "torchscript",
    )
    monkeypatch.setitem(LAYOUTS._things, "tiny-archive", form)
    with pytest.raises(RecipeError) as caught:
        import_published(path, "tiny-archive")
    said = caught.value.args[0]
    assert said.startswith(
        f"{path}: a TorchScript archive, which runs code when it is opened: where you trust it, save "
    )
    assert f"{tmp_path}/Tiny.pt {tmp_path}/Tiny-state.pt {form.sha256} and import these with: " in said
    assert (
        f"cameraborn import-checkpoint {tmp_path}/Tiny-state.pt --layout tiny-archive -o tiny-ladeda.saf"
        in said
    )
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(RecipeError, match=f"the published file's {form.sha256}: get it again"):
        import_published(path, "tiny-archive")
    torch.save(state, path)  # the state alone, under the same name
    imported = import_published(path, "tiny-archive")
    assert set(imported.tensors) == set(network.state_dict())
    assert imported.sha256 == sha256_of(path)
    assert "whether its weights were saved from that file" in imported.notice


def test_another_file_of_the_published_name_is_refused(tmp_path):
    layout = LAYOUTS["taesd-encoder"]
    path = tmp_path / layout.file
    save_file({"0.weight": torch.zeros(1)}, path)
    with pytest.raises(RecipeError, match=f"the published file's {layout.sha256}"):
        import_published(path, "taesd-encoder")


@pytest.mark.parametrize("name", ["mine.safetensors", LAYOUTS["taesdxl-encoder"].file])
def test_the_published_file_of_another_layout_is_refused_and_its_own_is_named(tmp_path, monkeypatch, name):
    path = tmp_path / name
    save_file(NETWORKS["taesd-encoder"]().state_dict(), path)
    form = replace(LAYOUTS["taesd-encoder"], sha256=sha256_of(path))
    monkeypatch.setitem(LAYOUTS._things, "taesd-encoder", form)
    with pytest.raises(RecipeError) as caught:
        import_published(path, "taesdxl-encoder")
    assert caught.value.args[0] == (
        f"{path}: by its sha256 this is taesd_encoder.safetensors of layout taesd-encoder, not of taesdxl-encoder: "
        "give --layout taesd-encoder"
    )
    assert import_published(path, "taesd-encoder").notice == ""


def test_another_file_of_another_name_is_imported_with_a_notice(tmp_path):
    path = tmp_path / "mine.safetensors"
    save_file(NETWORKS["taesd-encoder"]().state_dict(), path)
    form = LAYOUTS["taesd-encoder"]
    assert import_published(path, "taesd-encoder").notice == (
        f"{path}: its sha256 is not that of the published file {form.file} ({form.sha256}): not the authors' weights, "
        "unless somebody saved them anew"
    )


def test_missing_files_and_other_networks_are_answered(checkpoint, tmp_path):
    with pytest.raises(RecipeError, match=r"no such file: get WildRF_Tiny_LaDeDa.pth, published at "):
        import_published(tmp_path / "nowhere.pth", LAYOUT)
    with pytest.raises(RecipeError, match="did you mean 'tiny-ladeda'"):
        import_published(checkpoint, "tiny-ladedo")
    with pytest.raises(RecipeError, match="holds tiny-ladeda, and npr needs npr"):
        load_weights(RIVALS["npr"](), [imported(checkpoint)])
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no safetensors")
    with pytest.raises(
        RecipeError, match=r"not a safetensors file .*WildRF_Tiny_LaDeDa.pth, .* -o \S+/broken.safet"
    ):
        load_weights(TinyLaDeDa(), [broken])


def test_a_path_that_is_not_there_is_answered_with_what_belongs_there(tmp_path):
    with torch.device("meta"):
        rival = LGrad()
    for name, network, file in (
        ("a", "stylegan-discriminator", LAYOUTS["genforce-stylegan-discriminator"].file),
        ("lgrad-classifier", "lgrad-classifier", LAYOUTS["lgrad"].file),
    ):
        with pytest.raises(RecipeError) as caught:
            load_weights(rival, [tmp_path / f"{name}.safetensors"])
        said = caught.value.args[0]
        begun = f"{tmp_path}/{name}.safetensors: no such file: lgrad: no weights of the network {network} were given: "
        assert said.startswith(f"{begun}{file}, published at the links in https://github.com/")
        assert "(sha256 not known), imported by: cameraborn import-checkpoint " in said
        assert f" -o {tmp_path}/{name}.safetensors" in said
    rival.loaded = dict.fromkeys(rival.parts, "0" * 64)
    with pytest.raises(RecipeError, match="no such file: lgrad has all weights that it needs: leave it out"):
        load_weights(rival, [tmp_path / "a.safetensors"])


@pytest.mark.parametrize(
    ("tensors", "metadata", "said"),
    [
        ({"more": torch.ones(1)}, {"network": "tiny-ladeda", "sha256": "0" * 64}, "unknown: more"),
        ({}, {"network": "tiny-ladeda"}, r"where its weights come from \(sha256: none\)"),
        ({}, {"network": "tiny-ladeda", "sha256": ""}, r"where its weights come from \(sha256: none\)"),
        ({}, {"network": "tiny-ladeda", "sha256": "mine"}, r"where its weights come from \(sha256: mine\)"),
        (
            {},
            {"network": "tiny-ladeda", "sha256": TRAINED},
            r"where its weights come from \(sha256: trained here\)",
        ),
        (
            {"more": torch.ones(1)},
            {"name": "tiny-ladeda", "sha256.network": TRAINED},
            "no part of tiny-ladeda: more:",
        ),
        ({}, {"name": "tiny-ladeda"}, r"where its weights come from \(sha256.network: none\)"),
    ],
)
def test_a_file_of_ours_holds_no_more_than_it_says_and_says_whence(tmp_path, tensors, metadata, said):
    prefix = "network." if "name" in metadata else ""
    state = {prefix + key: value for key, value in TinyLadedaNetwork().state_dict().items()}
    save_file(state | tensors, tmp_path / "ours.safetensors", metadata)
    rival = TinyLaDeDa()
    with pytest.raises(RecipeError, match=said):
        load_weights(rival, [tmp_path / "ours.safetensors"])
    assert rival.loaded == {}


def test_a_file_of_ours_that_was_changed_changes_nothing(checkpoint):
    path = imported(checkpoint)
    tensors = load_file(path)
    tensors["fc.weight"] = torch.zeros(1, 9)
    save_file(tensors, path, {"network": "tiny-ladeda", "sha256": "0" * 64})
    rival = TinyLaDeDa()
    before = {key: value.clone() for key, value in rival.state_dict().items()}
    with pytest.raises(RecipeError, match="of another shape"):
        load_weights(rival, [path])
    assert all(torch.equal(before[key], value) for key, value in rival.state_dict().items())
    assert rival.loaded == {}


def test_what_was_trained_here_says_so(tmp_path):
    rival = TinyLaDeDa()
    with pytest.raises(RecipeError, match="its training was not started"):
        rival.count_as_trained()
    rival.start_training()
    with pytest.raises(RecipeError, match="no weights"):  # started is not trained
        save_trained(rival, tmp_path / "tiny.safetensors")
    rival.count_as_trained()
    path = tmp_path / "deeper" / "tiny.safetensors"
    save_trained(rival, path)
    again = TinyLaDeDa()
    load_weights(again, [path])
    assert again.loaded == {"network": TRAINED}
    assert all(torch.equal(a, b) for a, b in zip(rival.parameters(), again.parameters(), strict=True))


def test_of_two_files_for_one_part_none_wins(checkpoint, tmp_path):
    first, again = imported(checkpoint), tmp_path / "again.safetensors"
    save_file(load_file(first), again, {"network": "tiny-ladeda", "sha256": "0" * 64})
    whole = tmp_path / "whole.safetensors"
    state = {f"network.{key}": value for key, value in load_file(first).items()}
    save_file(state, whole, {"name": "tiny-ladeda", "sha256.network": TRAINED})
    for one, other in ((first, again), (first, whole), (whole, first), (first, first)):
        with pytest.raises(RecipeError) as caught:
            load_weights(TinyLaDeDa(), [one, other])
        assert caught.value.args[0] == (
            f"{other}: holds weights of part 'network' of tiny-ladeda, and so does {one}: give one of both"
        )
