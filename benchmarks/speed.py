"""What the scripts that measure time share: pictures as large as a camera's, and a clock around functions."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def enlarged_example(side: int, number: int, rng: np.random.Generator | None = None) -> bytes:
    """A JPEG of an example, enlarged, with noise so that decoding costs what a photograph's does."""
    examples = sorted(EXAMPLES.glob("*.jpg"))
    rng = rng or np.random.default_rng(number)
    with Image.open(examples[number % len(examples)]) as example:
        enlarged = example.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(enlarged, np.float32)
    pixels = pixels + rng.normal(0, 5, pixels.shape).astype(np.float32)
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=92)
    return out.getvalue()


class Stopwatch:
    """Adds up the time inside functions, by a clock that gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: Counter[str] = Counter()
        self._clock = clock

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed as a part of `stage`."""

        def timed(*args: Any, **options: Any) -> Any:  # noqa: ANN401 (whatever the function takes)
            started = self._clock()
            try:
                return function(*args, **options)
            finally:
                self.seconds[stage] += self._clock() - started

        return timed
