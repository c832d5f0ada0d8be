"""Pictures to features: the bundle's network on ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from cameraborn.detect.bundle import Bundle, Preprocessing
from cameraborn.errors import BundleError
from cameraborn.photo.patches import grid_patches, shrink_to


class Encoder:
    """A network of patches; thread-safe."""

    def __init__(self, bundle: Bundle, *, threads: int) -> None:
        self.preprocessing: Preprocessing = bundle.info.preprocessing
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.network, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors share no public base class
            reason = str(error).splitlines()[0]
            raise BundleError(
                f"{bundle.origin}: network.onnx cannot be run ({reason}): get the bundle again"
            ) from error

    def feature(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The mean feature of a crop's patches at each size, one after another: [H W 3] to [sides x D].

        Two sizes say more than one: what a camera leaves in pixels fades with shrinking in a way of its own.

        Raises:
            ValueError: the crop is smaller than a patch.
        """
        stacks = []
        for side in self.preprocessing.sides:  # falling: each is shrunk from the one before, which is cheaper
            crop = shrink_to(crop, side)
            stacks.append(grid_patches(crop))
        (features,) = self._session.run(None, {"patches": np.concatenate(stacks)})
        ends = np.cumsum([len(stack) for stack in stacks])[:-1]
        means = [part.mean(axis=0) for part in np.split(np.asarray(features, np.float32), ends)]
        return np.concatenate(means)
