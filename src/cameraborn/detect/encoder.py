"""Pictures to features: a network on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cameraborn.detect.gathered import Gathered, Run
from cameraborn.detect.schema import Preprocessing
from cameraborn.errors import BundleError, first_line
from cameraborn.photo.onnx_session import open_session
from cameraborn.photo.patches import grid_patches, shrink_to, square_resize, tile_patches

PATCHES_AT_ONCE = 256  # a large whole picture has thousands: memory stays bounded


class Encoder:
    """A network and the sizes that it sees a crop at; thread-safe.

    Args:
        graph: the ONNX file.
        preprocessing: how a crop is laid before it.
        name: what errors call the graph.
        threads: processor threads.

    Raises:
        BundleError: the graph cannot be run.
    """

    def __init__(self, graph: bytes, preprocessing: Preprocessing, *, name: str, threads: int) -> None:
        self.preprocessing = preprocessing
        try:
            self._session = open_session(graph, threads)
        except MemoryError:
            raise
        except Exception as error:  # ONNX Runtime's errors share no public base class
            reason = first_line(error)
            raise BundleError(f"{name} cannot be run ({reason}): get the bundle again") from error
        self._input = self._session.get_inputs()[0].name
        self._run: Run = self._run_alone
        self._patches = tile_patches if self.preprocessing.patches == "tiles" else grid_patches

    def feature(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The feature of a crop at each size, one after another: [H W 3] to [sides x D].

        Two sizes say more than one: what a camera leaves in pixels fades with shrinking in a way of its own.

        Raises:
            ValueError: the crop is smaller than a patch, of a network of patches.
        """
        crops = self._sizes(crop)
        if self.preprocessing.input == "patches":
            stacks = [self._patches(pixels, self.preprocessing.patch) for pixels in crops]
            ends = np.cumsum([len(stack) for stack in stacks])[:-1]
            means = [
                part.mean(axis=0) for part in np.split(self.patch_features(np.concatenate(stacks)), ends)
            ]
            feature = np.concatenate(means)
        elif self.preprocessing.input == "patch-set":
            feature = np.concatenate(
                [self._run(self._patches(pixels, self.preprocessing.patch))[0] for pixels in crops]
            )
        else:
            feature = np.concatenate([self._run(pixels.transpose(2, 0, 1)[None])[0] for pixels in crops])
        if self.preprocessing.unit_length:
            feature = feature / max(float(np.linalg.norm(feature)), 1e-12)
        return feature

    def gather(self, at_once: int, told: Callable[[int], None]) -> None:
        """Run what comes together, from several threads, together from now on; see `Gathered`.

        A network of sets of patches, each batch of which is one set, is left as it is.
        """
        if self.preprocessing.input != "patch-set":
            self._run = Gathered(self._run_alone, at_once=at_once, most=PATCHES_AT_ONCE, told=told)

    def patch_features(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The feature of each patch [N 3 p p] by itself: [N D]; of a network of patches."""
        runs = [self._run(patches[i : i + PATCHES_AT_ONCE]) for i in range(0, len(patches), PATCHES_AT_ONCE)]
        return np.concatenate(runs)

    def _sizes(self, crop: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """The crop at each size."""
        sides, antialias = self.preprocessing.sides, self.preprocessing.antialias
        if self.preprocessing.input == "crop":
            return [square_resize(crop, side, antialias=antialias) for side in sides]
        crops = []
        for side in sides:  # falling: each is shrunk from the one before, which is cheaper
            crop = shrink_to(crop, side)
            crops.append(crop)
        return crops

    def _run_alone(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        (features,) = self._session.run(None, {self._input: np.ascontiguousarray(batch)})
        return np.asarray(features, np.float32)
