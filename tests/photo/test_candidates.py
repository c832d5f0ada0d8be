"""From a face detector's outputs to boxes: anchors, suppression, tiles."""

import numpy as np

from cameraborn.photo.candidates import anchors, suppress, tiles_of


def test_anchors_are_laid_out_as_in_mediapipe():
    full, short = anchors(192), anchors(128)
    assert (full.shape, short.shape) == ((2304, 2), (896, 2))
    assert full[[0, 1, 48, -1]].tolist() == [[2, 2], [6, 2], [2, 6], [190, 190]]
    assert short[[0, 1, 2, 511, 512, 517, 518]].tolist() == [
        [4, 4], [4, 4], [12, 4], [124, 124], [8, 8], [8, 8], [24, 8]
    ]  # fmt: skip


def test_a_part_of_a_face_is_suppressed_by_the_whole_and_a_neighbour_is_not():
    whole, half, neighbour = [0, 0, 100, 100, 0.9], [0, 0, 50, 90, 0.8], [90, 0, 190, 100, 0.7]
    kept = suppress(np.array([half, neighbour, whole], dtype=np.float64))
    assert kept.tolist() == [whole, neighbour]


def test_tiles_cover_a_picture_and_overlap():
    for width, height in ((4000, 3000), (1024, 1024), (9000, 500)):
        tiles = np.array(tiles_of(width, height))
        sides = tiles[:, 2] - tiles[:, 0]
        side = sides.min()
        finest = tiles[np.isclose(sides, side)]
        starts = np.unique(finest[:, 0])
        assert starts[0] <= 0
        assert starts[-1] + side >= width
        assert np.diff(starts).max() <= side * 0.7 + 1e-6
    assert tiles_of(640, 480) == []
