"""Layers of networks as loops over positions and channels of one picture, in float64, to compare networks with."""

import numpy as np


def numbers(tensor):
    """A tensor, or a parameter, as an array."""
    return tensor.detach().double().numpy()


def assert_same(found, expected):
    """A tensor has an array's shape and, to 1e-5, its values."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(numbers(found), expected, rtol=0, atol=1e-5)


def convolved(maps, weight, stride=1, padding=0):
    """[C H W] under weights [C' C k k], without bias: at each position a sum over channels and k x k neighbours."""
    around = np.pad(maps, ((0, 0), (padding, padding), (padding, padding)))
    k = weight.shape[-1]
    height, width = ((size - k) // stride + 1 for size in around.shape[1:])
    out = np.zeros((len(weight), height, width))
    for c, kernel in enumerate(weight):
        for y in range(height):
            for x in range(width):
                corner_y, corner_x = stride * y, stride * x
                out[c, y, x] = (kernel * around[:, corner_y : corner_y + k, corner_x : corner_x + k]).sum()
    return out


def batch_normalised(maps, norm):
    """[C H W], each channel by its running mean and variance, then scaled and shifted."""
    mean, variance = numbers(norm.running_mean), numbers(norm.running_var)
    scale, shift = numbers(norm.weight), numbers(norm.bias)
    out = np.zeros_like(maps)
    for c, channel in enumerate(maps):
        out[c] = (channel - mean[c]) / np.sqrt(variance[c] + norm.eps) * scale[c] + shift[c]
    return out


def positive(values):
    """ReLU."""
    return np.where(values > 0, values, 0)


def logistic(values):
    """Sigmoid."""
    return 1 / (1 + np.exp(-values))


def stretched(maps, height, width):
    """[C H W] to [C height width], bilinear, corners onto corners."""
    C, H, W = maps.shape
    out = np.zeros((C, height, width))
    for y in range(height):
        for x in range(width):
            at_y, at_x = y * (H - 1) / (height - 1), x * (W - 1) / (width - 1)
            for near_y in range(H):
                for near_x in range(W):
                    share = max(0, 1 - abs(at_y - near_y)) * max(0, 1 - abs(at_x - near_x))
                    out[:, y, x] += share * maps[:, near_y, near_x]
    return out
