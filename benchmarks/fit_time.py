"""How long `fit` and `calibrate` take for a photograph, over scoring it, and where the time goes.

    python benchmarks/fit_time.py PHOTOGRAPHS -o benchmarks/results/fit_time.csv --every 4

Processor time of one core, with the options that the verbs have by default. `over_score` is the time for one photograph
over that of `Detector.score` in the same run; `network`, `copies` and `statistics` are shares of it: running networks,
making the copies, and telling from their pixels what category they are in.

`calibrate` depends on the number of categories, as networks run on one view of a photograph in each category that it
reaches: `calibrate` is with so few photographs that all are in one, `calibrate, a category a cell` with the most that
there can be. `calibrate, all views` is what both took while networks ran on every view.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable
from pathlib import Path

from common import parser_of_photographs, processor, show, some_photographs, write_table

from cameraborn.detect.detector import Detector
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.views import ViewOptions, ViewStage
from cameraborn.library import load

PARTS = {
    "network": ("encoder.py", "_run"),
    "copies": ("views.py", "_copies"),
    "statistics": ("residual_statistics.py", "residual_statistics"),
}


def measured(work: Callable[[], object], photographs: int) -> dict[str, float]:
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    work()
    profile.disable()
    stats = pstats.Stats(profile)
    total: float = stats.total_tt  # type: ignore[attr-defined]
    spent = {
        (Path(file).name, name): cumulative
        for (file, _, name), (_, _, _, cumulative, _) in stats.stats.items()  # type: ignore[attr-defined]
    }
    return {"seconds": total / photographs} | {
        part: spent.get(place, 0.0) / total for part, place in PARTS.items()
    }


def works(detector: Detector, photographs: list[Photograph]) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    fitting = ViewStage(detector.bundle, ViewOptions(jobs=1), frozenset(photographs))
    options = ViewOptions(copies=24, operations=True, every_operation=True, jobs=1)
    every_view = ViewStage(detector.bundle, options)
    fitting.setup()
    every_view.setup()

    def calibrating(class_size: int) -> Callable[[], object]:
        return lambda: calibrate(detector.bundle, photographs, options=options, class_size=class_size)

    return {
        "score": lambda: [detector.score(photograph.path) for photograph in photographs],
        "fit": lambda: [fitting.work(photograph) for photograph in photographs],
        "calibrate, all views": lambda: [every_view.work(photograph) for photograph in photographs],
        "calibrate, a category a cell": calibrating(1),
        "calibrate": calibrating(len(photographs)),
    }


def main() -> None:
    options = parser_of_photographs(__doc__).parse_args()
    photographs = [Photograph(str(path), "") for path in some_photographs(options)]
    detector = load(options.bundle)
    detector.score(photographs[0].path)  # opens what is opened once
    rows: list[dict[str, object]] = []
    scoring = 0.0
    for name, work in works(detector, photographs).items():
        found = measured(work, len(photographs))
        scoring = scoring or found["seconds"]
        shares = {part: f"{found[part]:.2f}" for part in PARTS}
        rows.append(
            {"work": name, "photographs": len(photographs), "over_score": f"{found['seconds'] / scoring:.1f}"}
            | shares
        )
        show(rows[-1])
    write_table(rows, options.output, machine=processor())


if __name__ == "__main__":
    main()
