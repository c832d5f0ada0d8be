"""Networks on ONNX Runtime: one that takes means shows what it is given, in which pieces and at which sizes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cameraborn.detect.encoder import PATCHES_AT_ONCE, Encoder
from cameraborn.detect.schema import Preprocessing
from cameraborn.errors import BundleError
from cameraborn.photo.patches import grid_patches, shrink_to, square_resize, tile_patches


def means(axes, shape):
    """A network [N 3 H W] to the means along some axes, as a matrix of this shape."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "shape"], ["features"]),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [len(axes)], axes),
        helper.make_tensor("shape", TensorProto.INT64, [len(shape)], shape),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 3, "H", "W"])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 3])
    graph = helper.make_graph(nodes, "means", [pixels], [features], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


OF_EACH = means([2, 3], [-1, 3])  # patch or crop
OF_ALL = means([0, 2, 3], [1, 3])  # patches of a set


def encoder(graph=OF_EACH, **preprocessing):
    wanted = {"crop_scale": 1.3, "sides": (96, 80), "smallest_side": 64} | preprocessing
    return Encoder(graph, Preprocessing(**wanted), name="network.onnx", threads=1)


@pytest.fixture
def crop():
    """Noise that is lighter at the bottom and at the right."""
    rng = np.random.default_rng(0)
    light = np.linspace(0, 150, 130)[:, None, None] + np.linspace(0, 40, 117)[None, :, None]
    return (light + rng.integers(0, 60, (130, 117, 3))).astype(np.uint8)


def mean_of(patches):
    return patches.astype(float).mean(axis=(0, 2, 3))


@pytest.mark.parametrize(("patches", "cut"), [("cover", grid_patches), ("tiles", tile_patches)])
@pytest.mark.parametrize(("input", "graph"), [("patches", OF_EACH), ("patch-set", OF_ALL)])
def test_patches_of_each_size_follow_each_other(crop, input, graph, patches, cut):
    feature = encoder(graph, input=input, patches=patches, patch=32).feature(crop)
    large = shrink_to(crop, 96)
    small = shrink_to(large, 80)  # of the one before, which is cheaper
    expected = np.concatenate([mean_of(cut(pixels, 32)) for pixels in (large, small)])
    np.testing.assert_allclose(feature, expected, rtol=1e-5)
    assert feature.dtype == np.float32


def test_a_crop_that_is_smaller_than_a_size_is_not_enlarged(crop):
    feature = encoder(sides=(500, 300), patch=64).feature(crop)
    np.testing.assert_allclose(feature, np.tile(mean_of(grid_patches(crop, 64)), 2), rtol=1e-5)


@pytest.mark.parametrize("antialias", [True, False])
def test_a_network_of_whole_crops_sees_the_crop_stretched(crop, antialias):
    feature = encoder(input="crop", sides=(224, 48), antialias=antialias).feature(crop)
    squares = [square_resize(crop, side, antialias=antialias) for side in (224, 48)]
    np.testing.assert_allclose(feature, np.concatenate([s.mean(axis=(0, 1)) for s in squares]), rtol=1e-5)


def test_a_feature_of_unit_length_has_the_length_of_all_sizes_together(crop):
    plain, unit = (encoder(input="crop", unit_length=length).feature(crop) for length in (False, True))
    np.testing.assert_allclose(unit, plain / np.sqrt((plain.astype(float) ** 2).sum()), rtol=1e-5)
    assert not encoder(input="crop", unit_length=True).feature(np.zeros_like(crop)).any()


@pytest.mark.parametrize("count", [1, PATCHES_AT_ONCE, PATCHES_AT_ONCE + 1, 2 * PATCHES_AT_ONCE + 7])
def test_many_patches_go_through_in_several_runs(count):
    patches = np.random.default_rng(1).integers(0, 256, (count, 3, 16, 16), np.uint8)
    found = encoder()
    runs = []
    found.gather(1, runs.append)
    np.testing.assert_allclose(found.patch_features(patches), patches.mean(axis=(2, 3)), rtol=1e-5)
    assert len(runs) == -(-count // PATCHES_AT_ONCE)


def test_gathered_runs_give_the_same_and_sets_of_patches_are_not_gathered(crop):
    for graph, input, told in ((OF_EACH, "patches", 1), (OF_EACH, "crop", 2), (OF_ALL, "patch-set", 0)):
        found, runs = encoder(graph, input=input), []
        alone = found.feature(crop)
        found.gather(1, runs.append)
        np.testing.assert_array_equal(found.feature(crop), alone)
        assert sum(runs) == told  # batches: patches of all sizes are one, each crop is one


def test_a_crop_that_is_smaller_than_a_patch_is_refused():
    with pytest.raises(ValueError, match="a picture of 40x90 is too small for a patch of 64"):
        encoder().feature(np.zeros((90, 40, 3), np.uint8))


@pytest.mark.parametrize("graph", [b"", b"not a network", OF_EACH[:-40]])
def test_a_graph_that_cannot_be_run_is_named(graph):
    with pytest.raises(BundleError, match=r"^network\.onnx cannot be run \(.+\): get the bundle again$"):
        encoder(graph)
