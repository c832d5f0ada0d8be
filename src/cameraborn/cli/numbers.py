"""Numbers that options take."""

from __future__ import annotations

import math

from typer import BadParameter


def finite(value: float | None) -> float | None:
    """What an option of a number gives: `nan` lies in no range and yet passes every check of one, `inf` never ends.

    Raises:
        BadParameter: it is one of these.
    """
    if value is not None and not math.isfinite(value):
        raise BadParameter(f"{value} is no number to work with: give a finite one.")
    return value
