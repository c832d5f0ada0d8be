"""How far the patches of photographs move a score, over how far photographs differ: the scale of the map of `explain`.

    python benchmarks/map_scale.py PHOTOGRAPHS -o benchmarks/results/map_scale.csv --every 27

The unit is the range of the middle 80 % of the held-out scores that a photograph is compared with. A row gives
quantiles over all pixels of the maps of all photographs of the absolute influence, in that unit. `detect.explain.REACH`
is about the 99 % quantile: of an ordinary photograph, one pixel in a hundred has full colour, and most are pale.
"""

from __future__ import annotations

import numpy as np
from common import parser_of_photographs, report, show, some_photographs, write_table

from cameraborn.detect.explain import REACH, explain
from cameraborn.errors import PictureError
from cameraborn.library import load

QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)


def main() -> None:
    options = parser_of_photographs(__doc__).parse_args()
    detector = load(options.bundle)
    maps = []
    for path in some_photographs(options):
        try:
            explanation = explain(detector, path)
        except PictureError as error:
            report(str(path), str(error))
            continue
        maps.append(np.abs(explanation.influence[::4, ::4]).ravel() / (explanation.reach / REACH))
    pixels = np.concatenate(maps)
    found = {f"q{100 * q:g}": f"{np.quantile(pixels, q):.4f}" for q in QUANTILES}
    row_of_all = {"bundle": detector.bundle.info.name, "photographs": len(maps), **found}
    show(row_of_all)
    write_table([row_of_all], options.output)


if __name__ == "__main__":
    main()
