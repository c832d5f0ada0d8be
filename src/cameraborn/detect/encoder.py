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
        """The mean feature of a crop's patches: [H W 3] to [D].

        Raises:
            ValueError: the crop is smaller than a patch.
        """
        patches = grid_patches(shrink_to(crop, self.preprocessing.side))
        (features,) = self._session.run(None, {"patches": patches})
        mean: NDArray[np.float32] = np.asarray(features, np.float32).mean(axis=0)
        return mean
