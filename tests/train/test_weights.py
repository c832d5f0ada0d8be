"""Checkpoints written here as others wrote theirs, small: read whole, or refused with both sides named."""

import os
import pickle
import shlex
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cameraborn.errors import RecipeError
from cameraborn.networks.resnet import ResNet, ResNetRanker
from cameraborn.train.weights import LAYOUTS, import_checkpoint, load_init, read_weights

SIZE = {"layers": (1, 2, 1, 1), "width": 4}
FEATURES = 6
HEADS = {"fc_face": "face", "fc_iso": "iso", "fc_av": "fnumber", "fc_et": "focal", "fc_fl": "exposure"}


def resnet_state(features=FEATURES, seed=0):
    torch.manual_seed(seed)
    network = ResNet(**SIZE, features=features)
    network(torch.rand(4, 3, 64, 64) * 255)  # so that the averages are not those of a fresh network
    return network.state_dict()


def clip_remains(prefix="model."):
    return {
        f"{prefix}positional_embedding": torch.zeros(3, 4),
        f"{prefix}token_embedding.weight": torch.zeros(5, 4),
        f"{prefix}ln_final.weight": torch.zeros(4),
        f"{prefix}ln_final.bias": torch.zeros(4),
        f"{prefix}logit_scale": torch.zeros(()),
    }


def text_tower(prefix="model."):
    return clip_remains(prefix) | {
        f"{prefix}text_projection": torch.zeros(4, 4),
        f"{prefix}transformer.resblocks.0.attn.in_proj_weight": torch.zeros(12, 4),
    }


def under(prefix, state):
    return {prefix + key: value for key, value in state.items()}


def aigfd_weights():
    heads = {}
    for number, name in enumerate(HEADS, 1):
        heads |= {
            f"{name}.weight": torch.full((1, FEATURES), float(number)),
            f"{name}.bias": torch.tensor([0.5]),
        }
    return under("model.visual.", resnet_state()) | heads | clip_remains()


def joint_weights():
    """The ablation on faces alone: one head of two outputs, original and manipulated."""
    weights = {key: value for key, value in aigfd_weights().items() if not key.startswith("fc_")}
    generator = torch.Generator().manual_seed(5)
    return weights | {
        "fc_joint.weight": torch.randn(2, FEATURES, generator=generator),
        "fc_joint.bias": torch.randn(2, generator=generator),
    }


def blades_weights(classifier):
    inner = "model.model." if classifier else "model."
    weights = under(f"{inner}visual.", resnet_state()) | text_tower(inner)
    weights |= {
        f"{inner}text_fc.weight": torch.zeros(FEATURES, 4),
        f"{inner}text_fc.bias": torch.zeros(FEATURES),
    }
    if classifier:
        weights |= {"fc1.weight": torch.ones(2 * FEATURES, FEATURES), "fc1.bias": torch.zeros(2 * FEATURES)}
        weights |= {"fc2.weight": torch.ones(2, 2 * FEATURES), "fc2.bias": torch.zeros(2)}
    return weights


def trained(weights):
    """As training scripts save: the optimiser and its schedule beside."""
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10)
    return {
        "epoch": 19,
        "model": weights,
        "optimizer": optimiser.state_dict(),
        "lr_sched": schedule.state_dict(),
    }


FILES = {
    "aigfd": lambda: trained(aigfd_weights()),
    "aigfd, saved in parallel": lambda: trained(under("module.", aigfd_weights())),
    "aigfd, without faces": lambda: trained(
        {key: value for key, value in aigfd_weights().items() if not key.startswith("fc_face")}
    ),
    "aigfd, faces alone": lambda: trained(joint_weights()),
    "blades": lambda: trained(blades_weights(classifier=False)),
    "blades, with a classifier": lambda: trained(blades_weights(classifier=True)),
    "exif-as-language": lambda: {
        "model": under("model.visual.", resnet_state()) | text_tower() | {"sink_temp": torch.zeros(())}
    },
    "torchvision": lambda: resnet_state(10),
    "torchvision, of old": lambda: {
        key: value for key, value in resnet_state(10).items() if not key.endswith("num_batches_tracked")
    },
    "timm": lambda: {"state_dict": resnet_state(10), "epoch": 3, "arch": "resnet50"},
}


def written(folder, held):
    path = folder / "checkpoint.pth"
    torch.save(held, path)
    return path


def test_every_layout_is_tried():
    elsewhere = {"sdaie", "sdaie-binary", "efficientnet-lite0"}  # in files of their own
    assert {name.partition(",")[0] for name in FILES} | elsewhere == set(LAYOUTS)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_every_layout_is_read_whole(tmp_path, name, given):
    layout = name.partition(",")[0]
    classes = layout in ("torchvision", "timm")
    path = written(tmp_path, FILES[name]())
    imported = import_checkpoint(path, layout if given else "auto", new_fc=classes)
    assert imported.layout == layout or (layout == "timm" and not given)  # their names are the same
    expected = resnet_state(10 if classes else FEATURES)
    for key, value in expected.items():
        if key.startswith("fc.") and classes:
            continue
        if name != "torchvision, of old" or not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(imported.tensors[f"encoder.{key}"], value)
    assert {key for key in imported.tensors if key.startswith("encoder.")} == set(under("encoder.", expected))
    if classes:
        assert imported.tensors["encoder.fc.weight"].shape == (768, 128)
        assert imported.dropped == ("encoder.fc.weight", "encoder.fc.bias")
    rest = {key for key in imported.tensors if not key.startswith("encoder.")}
    if layout == "aigfd":
        heads = {
            "aigfd, without faces": set(HEADS.values()) - {"face"},
            "aigfd, faces alone": {"face"},
        }.get(name, set(HEADS.values()))
        assert rest == {f"heads.{head}.{part}" for head in heads for part in ("weight", "bias")}
    elif name == "blades, with a classifier":
        assert rest == {
            f"classifier.{layer}.{part}" for layer in ("fc1", "fc2") for part in ("weight", "bias")
        }
    else:
        assert rest == set()


def test_the_authors_swapped_heads_are_put_right(tmp_path):
    tensors = import_checkpoint(written(tmp_path, FILES["aigfd"]())).tensors
    numbers = {head: float(tensors[f"heads.{head}.weight"][0, 0]) for head in HEADS.values()}
    # their fc_fl ranks the denominator of the exposure time: the other way round
    assert numbers == {"face": 1, "iso": 2, "fnumber": 3, "focal": 4, "exposure": -5}
    assert float(tensors["heads.exposure.bias"]) == -0.5


def test_half_precision_becomes_full(tmp_path):
    weights = {key: v.half() if v.is_floating_point() else v for key, v in aigfd_weights().items()}
    tensors = import_checkpoint(written(tmp_path, {"model": weights})).tensors
    assert {value.dtype for value in tensors.values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize("name", [name for name in FILES if "torchvision" not in name and "timm" not in name])
def test_unknown_and_missing_keys_are_both_named(tmp_path, name):
    held = FILES[name]()
    weights = held["model"]
    lost = next(key for key in weights if key.endswith("layer1.0.bn1.weight"))
    del weights[lost]
    weights["module.extra.bias" if lost.startswith("module.") else "extra.bias"] = torch.zeros(2)
    with pytest.raises(RecipeError) as caught:
        import_checkpoint(written(tmp_path, held))
    assert "missing: encoder.layer1.0.bn1.weight; unknown: extra.bias" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_shape_is_named(tmp_path):
    held = FILES["aigfd"]()
    held["model"]["fc_iso.weight"] = torch.zeros(2, FEATURES)
    with pytest.raises(RecipeError, match=r"of another shape: heads\.iso\.weight \(2, 6\) for \(1, 6\)"):
        import_checkpoint(written(tmp_path, held))


def test_classes_are_no_feature(tmp_path):
    with pytest.raises(RecipeError, match="--new-fc"):
        import_checkpoint(written(tmp_path, FILES["torchvision"]()))


class Harmful:
    def __reduce__(self):
        return print, ("run",)


class Calls:
    def __init__(self, function, argument):
        self.call = function, (argument,)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ({"model": Harmful()}, "read safely"),
        ({"model": {"a.weight": torch.zeros(2)}}, "its keys begin a.weight"),
        ({"model": {"conv1.weight": 3}}, "holds no weights by name"),
        ([1, 2], "holds no weights by name"),
        ({"conv1.weight": torch.zeros(3)}, "no ResNet in it"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, capfd, held, says):
    with pytest.raises(RecipeError, match=says) as caught:
        import_checkpoint(written(tmp_path, held), new_fc=True)
    assert "\n" not in str(caught.value)
    assert "run" not in capfd.readouterr().out


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_holds_code_is_answered_with_the_command_that_saves_its_weights(tmp_path):
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), tmp_path / "module.pth")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "archive.pt")
    (tmp_path / "page.pth").write_bytes(b"<html>not found</html>")
    said = {}
    for file in ("module.pth", "archive.pt", "page.pth"):
        with pytest.raises(RecipeError) as caught:
            read_weights(tmp_path / file)
        said[file] = caught.value.args[0].replace(f"{tmp_path}/", "")
        assert said[file].isprintable()
    assert said["module.pth"].startswith(
        "module.pth: not a checkpoint that can be read safely: it holds torch.nn.modules.container.Sequential beside "
        "weights, and opening it may run code, so none of it was run: where you trust it and the code that wrote it "
        'can be imported, save its weights alone with: python -c "import sys, torch; '
    )
    assert said["module.pth"].endswith('" module.pth module-state.pth and give module-state.pth')
    assert "it holds a TorchScript archive" not in said["module.pth"]
    assert (
        "it is a TorchScript archive, a program beside its weights, and opening it may run code, so none of it was "
        "run: where you trust it, save its weights alone with: " in said["archive.pt"]
    )
    assert said["archive.pt"].endswith('" archive.pt archive-state.pt and give archive-state.pt')
    assert said["page.pth"] == (
        "page.pth: not a checkpoint that can be read safely (torch knows no such file): get it again, as tensors alone"
    )


@pytest.mark.parametrize("protocol", [2, 4, "archive", "before archives"])
def test_code_that_no_checkpoint_needs_is_named_and_not_run(tmp_path, protocol):
    file, ran = tmp_path / "theirs.pth", tmp_path / "ran"
    held = {"model": Calls(os.system, f"touch {shlex.quote(str(ran))}")}
    if isinstance(protocol, int):
        file.write_bytes(pickle.dumps(held, protocol=protocol))
    else:
        torch.save(held, file, _use_new_zipfile_serialization=protocol == "archive")
    with warnings.catch_warnings(action="error"), pytest.raises(RecipeError) as caught:
        read_weights(file)
    assert caught.value.args[0] == (
        f"{file}: not a checkpoint that can be read safely: it holds more than tensors: code ({os.name}.system), which "
        "was not run: get it again, as tensors alone"
    )
    assert not ran.exists()


@pytest.mark.parametrize("length", [0, 1, 20, 60, 90])
def test_a_pickle_that_was_cut_is_answered_too(tmp_path, length):
    file = tmp_path / "theirs.pth"
    file.write_bytes(pickle.dumps({"weight": np.zeros(9)}, protocol=4)[:length])
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(RecipeError, match="not a checkpoint that can"),
    ):
        read_weights(file)


def test_damaged_and_missing_files(tmp_path):
    path = written(tmp_path, FILES["aigfd"]())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RecipeError, match="read safely"):
        import_checkpoint(path)
    with pytest.raises(RecipeError, match="no such file"):
        import_checkpoint(tmp_path / "none.pth")


def test_training_starts_from_the_encoder_and_the_heads_that_both_have(tmp_path):
    path = written(tmp_path, FILES["aigfd"]())
    ranker = ResNetRanker(ResNet(**SIZE, features=FEATURES), {"iso": 1, "make": 13})
    fresh = ranker.heads["make"].weight.clone()
    load_init(ranker, path)
    for key, value in resnet_state().items():
        torch.testing.assert_close(ranker.encoder.state_dict()[key], value)
    assert (ranker.heads["iso"].weight == 2).all()
    assert torch.equal(ranker.heads["make"].weight, fresh)

    ours = tmp_path / "ours.safetensors"
    save_file(import_checkpoint(path).tensors, ours)
    again = ResNetRanker(ResNet(**SIZE, features=FEATURES), {"iso": 1})
    load_init(again, ours)
    torch.testing.assert_close(again.encoder.state_dict(), ranker.encoder.state_dict())


def test_an_encoder_of_another_size_is_refused(tmp_path):
    path = written(tmp_path, FILES["aigfd"]())
    deeper = ResNetRanker(ResNet(layers=(2, 1, 1, 1), width=4, features=8), {"iso": 1})
    with pytest.raises(RecipeError) as caught:
        load_init(deeper, path)
    for part in (
        "missing: encoder.layer1.1.bn1.bias",
        "unknown: encoder.layer2.1.",
        "encoder.fc.bias (6,) for (8,)",
    ):
        assert part in str(caught.value)


def test_the_head_of_faces_alone_is_the_difference_of_its_outputs(tmp_path):
    weights = joint_weights()
    tensors = import_checkpoint(written(tmp_path, trained(weights))).tensors
    feature = torch.randn(5, FEATURES)
    both = feature @ weights["fc_joint.weight"].T + weights["fc_joint.bias"]
    ours = feature @ tensors["heads.face.weight"].T + tensors["heads.face.bias"]
    torch.testing.assert_close(ours[:, 0].sigmoid(), both.softmax(dim=1)[:, 1])
    assert not [name for name in tensors if name.startswith("heads.") and "face" not in name]


def test_a_head_of_another_size_is_refused(tmp_path):
    weights = joint_weights() | {"fc_joint.weight": torch.zeros(3, FEATURES)}
    with pytest.raises(RecipeError, match=r"heads.face.weight \(3, 6\) for \(1, 6\)"):
        import_checkpoint(written(tmp_path, weights))


def test_what_was_imported_tells_its_layout(tmp_path):
    imported = import_checkpoint(written(tmp_path, FILES["blades"]()))
    save_file(imported.tensors, tmp_path / "ours.safetensors", metadata={"layout": imported.layout})
    assert import_checkpoint(tmp_path / "ours.safetensors").layout == "blades"
