"""An exported encoder is the trained one: ONNX against torch."""

import numpy as np
import onnxruntime
import pytest
import torch

from cameraborn.networks.patchnet import PatchNet
from cameraborn.networks.sdaie import SdaieNet
from cameraborn.train.onnx import to_onnx


@pytest.mark.parametrize("pool", ["last", "all"])
def test_onnx_computes_what_torch_does(pool):
    torch.manual_seed(0)
    encoder = PatchNet(widths=(8, 12), features=10, pool=pool, spectrum=pool == "all")
    with torch.no_grad():  # so that the averages of batch normalisation are of pictures
        encoder(torch.randint(0, 256, (16, 3, 64, 64)).float())
    encoder.eval()
    session = onnxruntime.InferenceSession(to_onnx(encoder), providers=["CPUExecutionProvider"])
    for count in (1, 2, 7):
        patches = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8)
        (features,) = session.run(None, {"patches": patches.numpy()})
        with torch.no_grad():
            expected = encoder(patches.float()).numpy()
        assert features.shape == (count, 10)
        np.testing.assert_allclose(features, expected, atol=1e-4)


def test_onnx_of_a_set_of_patches():
    torch.manual_seed(0)
    encoder = SdaieNet().eval().to(memory_format=torch.channels_last)
    session = onnxruntime.InferenceSession(to_onnx(encoder, "patch-set"), providers=["CPUExecutionProvider"])
    for count in (1, 2, 5):
        patches = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8)
        (features,) = session.run(None, {"patch-set": patches.numpy()})
        with torch.no_grad():
            expected = encoder(patches[None].float()).numpy()
        assert features.shape == (1, 528)
        np.testing.assert_allclose(features, expected, atol=1e-4)
    shuffled = patches[torch.randperm(count)].numpy()
    np.testing.assert_allclose(session.run(None, {"patch-set": shuffled})[0], features, atol=1e-4)
