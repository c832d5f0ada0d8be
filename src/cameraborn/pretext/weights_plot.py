"""The tasks' weights over training, as a picture."""

from __future__ import annotations

import json
from pathlib import Path

from cameraborn.errors import RecipeError
from cameraborn.files import replacing


def draw_weights(log: Path, output: Path) -> None:
    """Draw the tasks' weights over training, from a run's `log.jsonl` (fields `weight/TASK`), as a picture.

    Raises:
        RecipeError: the log is missing, damaged, or holds no weights.
    """
    curves = _curves(log)
    from matplotlib.figure import Figure  # without pyplot: it needs no display and leaves nothing behind

    figure = Figure(figsize=(8, 4.5), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    # The heaviest task first, so that the legend stands as the curves end.
    for place, (name, (steps, values)) in enumerate(sorted(curves.items(), key=lambda c: -c[1][1][-1])):
        style = ("-", "--", ":")[place // 10 % 3]  # ten colours, then dashed
        axes.plot(
            steps, values, style, linewidth=1.6, color=f"C{place % 10}", label=f"{values[-1]:.3f}  {name}"
        )
    axes.set(xlabel="step", ylabel="weight of the task", title="Task weights over training")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0)
    figure.legend(loc="outside right upper", frameon=False, fontsize="small", title="at the end")
    with replacing(output) as part:
        figure.savefig(part)


def _curves(log: Path) -> dict[str, tuple[list[int], list[float]]]:
    if not log.is_file():
        raise RecipeError(f"{log}: no such log: give the log.jsonl of a run")
    curves: dict[str, tuple[list[int], list[float]]] = {}
    with log.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                fields = json.loads(line)
                for field in (field for field in fields if field.startswith("weight/")):
                    steps, values = curves.setdefault(field.removeprefix("weight/"), ([], []))
                    steps.append(int(fields["step"]))
                    values.append(float(fields[field]))
            except (ValueError, TypeError, KeyError) as error:
                raise RecipeError(
                    f"{log}: line {number} is damaged ({error}): give the log of a run"
                ) from error
    if not curves:
        raise RecipeError(f"{log}: holds no task weights: only runs with bi-level weighting log them")
    return curves
