"""What is in a manifest, as text and as a picture: `cameraborn data stats` shows it."""

from __future__ import annotations

from array import array
from collections import Counter
from pathlib import Path

import numpy as np

from cameraborn.cli.common import needs_matplotlib
from cameraborn.cli.failures import printable
from cameraborn.data.stats import QUANTILES, SCALES, ManifestStats, Scale, histogram
from cameraborn.errors import CamerabornError, counted
from cameraborn.files import replacing
from cameraborn.photo.exif import TAGS

_LONGEST_LIST = 15  # sources or cameras
_BAR = 40  # characters
_BLUE, _GREY = "#2f5d8a", "#666666"
_FORMATS = (".png", ".svg", ".pdf")


def lines_of(stats: ManifestStats) -> list[str]:
    """The statistics as lines of text."""
    lines = [
        f"{counted(stats.rows, 'row')} of {counted(stats.groups, 'group')}: {stats.boxes} with a box, "
        f"{stats.landmarks} with landmarks, "
        f"{stats.research_only} for research only"
    ]
    for title, counts in (
        ("split", stats.splits),
        ("label", stats.labels),
        ("kind", stats.kinds),
        ("source", stats.sources),
        ("camera", stats.cameras),
    ):
        lines += ["", *_counts(title, counts)]
    if not stats.photographs:
        return [*lines, "", "no photographs, so no tags"]
    lines += ["", f"missing of {counted(stats.photographs, 'photograph')}"]
    lines += [f"  {stats.missing(tag.name):6.1%}  {tag.name}" for tag in TAGS]
    for scale in SCALES:
        lines += ["", *_distribution(scale, stats.values[scale.tag])]
    return lines


def _counts(title: str, counts: Counter[str]) -> list[str]:
    lines = [title if len(counts) <= 1 else f"{title}, {len(counts)}"]
    lines += [
        f"  {count:>8}  {printable(name) or '(none)'}" for name, count in counts.most_common(_LONGEST_LIST)
    ]
    if len(counts) > _LONGEST_LIST:
        rest = sum(count for _, count in counts.most_common()[_LONGEST_LIST:])
        lines.append(f"  {rest:>8}  in {len(counts) - _LONGEST_LIST} more")
    return lines


def _distribution(scale: Scale, values: array[float]) -> list[str]:
    if not values:
        return [f"{scale.title}: no photograph has it"]
    quantiles = np.quantile(np.asarray(values), QUANTILES)
    written = ", ".join(f"{q:.0%} {scale.text(v)}" for q, v in zip(QUANTILES, quantiles, strict=True))
    lines = [f"{scale.title} of {counted(len(values), 'photograph')}: {written}"]
    first, last, counts = _occupied(scale, values)
    for mark, count in zip(scale.marks[first:last], counts, strict=True):
        bar = "#" * round(_BAR * count / max(counts))
        lines.append(f"  {scale.text(mark):>10}  {count:>8}  {bar}".rstrip())
    return lines


def _occupied(scale: Scale, values: array[float]) -> tuple[int, int, list[int]]:
    """The marks from the first to the last that has values, and their counts."""
    counts = histogram(scale, values)
    used = np.flatnonzero(counts)
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
    return first, last, counts[first:last].tolist()


def check_plots(output: Path) -> None:
    """See that a picture can be drawn there, before anything is counted.

    Raises:
        CamerabornError: it is no format to draw in, or Matplotlib is missing.
    """
    if output.suffix.lower() not in _FORMATS:
        raise CamerabornError(f"{output}: not a format to draw in: end it in {', '.join(_FORMATS)}")
    needs_matplotlib()


def draw(stats: ManifestStats, title: str, output: Path) -> None:
    """Draw how the four tags are distributed, a panel each, around the marks of a camera's dial."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.5), layout="constrained")
    figure.suptitle(f"{printable(title)}: {stats.photographs:,} photographs", fontsize=13)
    for axes, scale in zip(figure.subplots(2, 2).flat, SCALES, strict=True):
        values = stats.values[scale.tag]
        missing = f", {stats.missing(scale.tag):.0%} without" if stats.photographs else ""
        axes.set_title(f"{scale.title} ({len(values):,}{missing})", loc="left", fontsize=11)
        first, last, counts = _occupied(scale, values)
        axes.bar(range(len(counts)), counts, color=_BLUE, width=0.85)
        axes.set_xticks(
            range(len(counts)),
            [scale.text(mark).removesuffix(" mm").removesuffix(" s") for mark in scale.marks[first:last]],
            rotation=45,
            ha="right",
            rotation_mode="anchor",
            fontsize=9,
        )
        unit = {"exposure_time_s": "seconds", "focal_length_mm": "millimetres"}.get(scale.tag)
        if unit:
            axes.set_xlabel(unit, color=_GREY, fontsize=9)
        axes.set_ylabel("photographs", color=_GREY, fontsize=9)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=_GREY)
    try:
        with replacing(output) as part:
            figure.savefig(part, dpi=150)
    except OSError as error:
        raise CamerabornError(f"{output}: cannot be written ({error.strerror}): give another -o") from error
