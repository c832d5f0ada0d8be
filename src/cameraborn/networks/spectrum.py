"""How strong each frequency is in a patch: what lens, sensor and processing leave, whoever took the photograph.

The frequencies are those of JPEG's blocks (the discrete cosine transform of 8x8 pixels, of luma and both colour
differences), but the blocks lie anywhere: nothing depends on where the picture's own grid lies. The mean level, a
block's first frequency, is left out, so that light says nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.fft import idctn
from torch import Tensor, nn
from torch.nn import functional as F

_SIDE, _STEP = 8, 4  # pixels of a block, and from one to the next
_NOTHING = 0.5  # an amplitude that rounds to zero
NUMBERS = 2 * 3 * (_SIDE**2 - 1)
_LUMA_AND_DIFFERENCES = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))


class Spectrum(nn.Module):
    """Patches [N 3 H W] in grey levels to [N NUMBERS]: log (1 + mean amplitude), then the share that is nothing.

    Each is of luma and of the two colour differences in turn, frequency by frequency. There is nothing to learn.
    """

    waves: Tensor
    planes: Tensor

    def __init__(self) -> None:
        super().__init__()
        waves = idctn(np.eye(_SIDE**2).reshape(-1, _SIDE, _SIDE), axes=(1, 2), norm="ortho")[1:]
        self.register_buffer("waves", torch.from_numpy(waves).float()[:, None], persistent=False)
        self.register_buffer("planes", torch.tensor(_LUMA_AND_DIFFERENCES), persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """As the class says; in full precision, because a share counts small amplitudes."""
        with torch.autocast(device_type=patches.device.type, enabled=False):
            planes = torch.einsum("nchw,kc->nkhw", patches.float(), self.planes)
            amplitudes = F.conv2d(planes.flatten(0, 1)[:, None], self.waves, stride=_STEP).abs().flatten(2)
            strength = amplitudes.mean(dim=2).log1p().reshape(-1, NUMBERS // 2)
            nothing = (amplitudes < _NOTHING).float().mean(dim=2).reshape(-1, NUMBERS // 2)
            return torch.cat([strength, nothing], dim=1)
