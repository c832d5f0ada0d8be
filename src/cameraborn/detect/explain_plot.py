"""One picture of an explanation, fit for a report."""

from __future__ import annotations

import io
import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cameraborn.detect.explain import Explanation
from cameraborn.detect.plot_text import clipped, drawable
from cameraborn.errors import CamerabornError
from cameraborn.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, ACCENT, PAPER = "#1c2733", "#6b7885", "#c2410c", "#ffffff"
CAPTION = (
    "What this does not prove: a small p-value says that the picture is surprising among photographs of its kind. "
    "It does not say who made it or how; retouching, filters, screenshots or an unusual camera can surprise as well. "
    "A large p-value does not prove a camera. The map shows what moved this model's score; it is no evidence about the "
    "region."
)


def plot_explanation(explanation: Explanation, output: str | os.PathLike[str]) -> None:
    """Draw picture, map, histogram and nearest photographs into one file: PNG, PDF or SVG by its ending.

    Written beside and renamed.

    Raises:
        CamerabornError: matplotlib is missing, or the ending is none of these.
    """
    output = Path(output)
    ending = output.suffix.lower().lstrip(".")
    if ending not in ("png", "pdf", "svg"):
        raise CamerabornError(
            f"{output}: not a kind of picture that is written: end it in .png, .pdf or .svg"
        )
    with replacing(output) as part:
        part.write_bytes(draw_explanation(explanation, ending))


def draw_explanation(explanation: Explanation, format: str = "png") -> bytes:
    """The same picture as the bytes of a file: png, pdf or svg.

    Raises:
        CamerabornError: matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CamerabornError("drawing needs matplotlib: pip install 'cameraborn[plots]'") from error
    figure = Figure(figsize=(12.5, 6.4), dpi=150, facecolor=PAPER)
    FigureCanvasAgg(figure)
    channels = len(explanation.verdict.evidence) > 1
    grid = figure.add_gridspec(
        2, 3, left=0.03, right=0.975, top=0.8, bottom=0.205 if channels else 0.13, width_ratios=(1, 1, 1.15),
        height_ratios=(1.7, 1), wspace=0.1, hspace=0.42,
    )  # fmt: skip
    _title(figure, explanation)
    _picture(figure.add_subplot(grid[:, 0]), explanation)
    _influence(figure, figure.add_subplot(grid[:, 1]), explanation)
    _histogram(figure.add_subplot(grid[0, 2]), explanation)
    _nearest(figure.add_subplot(grid[1, 2]), explanation)
    if channels:
        _channels(figure, explanation)
    figure.text(
        0.03, 0.025, textwrap.fill(CAPTION, 190), fontsize=8, color=MUTED, va="bottom", linespacing=1.45
    )
    drawn = io.BytesIO()
    figure.savefig(drawn, format=format, metadata={"Date": None} if format == "svg" else None)
    return drawn.getvalue()


def _title(figure: Any, explanation: Explanation) -> None:  # noqa: ANN401 (matplotlib is imported late)
    verdict = explanation.verdict
    name = clipped(Path(verdict.path).name, 80)
    face = "" if verdict.face is None else f", face {verdict.face}"
    figure.text(0.03, 0.945, **drawable(f"{name}{face}"), fontsize=15, color=INK, weight="bold", va="center")
    if verdict.p_value is None:
        said = f"The detector abstains ({verdict.scope}): the score has no p-value."
    else:
        said = (
            f"p-value {verdict.p_value:.3f}: of {len(explanation.among)} comparable photographs, "
            f"{100 * verdict.p_value:.1f} in 100 are as surprising."
        )
    said += "".join(f" Note: {note}." for note in verdict.notes)
    figure.text(0.03, 0.9, said, fontsize=10.5, color=INK, va="center")
    bundle = drawable(f"cameraborn · {clipped(verdict.bundle, 40)}")
    figure.text(0.975, 0.975, **bundle, fontsize=9, color=MUTED, ha="right", va="center")


def _channels(figure: Any, explanation: Explanation) -> None:  # noqa: ANN401
    """What each channel of evidence says, side by side."""
    verdict = explanation.verdict
    figure.text(0.03, 0.117, "p-value of each channel of evidence:", fontsize=9, color=INK, va="center")
    step = min(0.17, 0.725 / len(verdict.evidence))
    for number, (name, told) in enumerate(verdict.evidence.items()):
        p = "none" if told.p_value is None else f"{told.p_value:.3f}"
        weight = "bold" if name == verdict.decided_by else "normal"
        text = drawable(f"{clipped(name, 24)}  {p}")
        figure.text(0.25 + step * number, 0.117, **text, fontsize=9, color=INK, weight=weight, va="center")


def _picture(axes: Axes, explanation: Explanation) -> None:
    from matplotlib.patches import Rectangle

    axes.imshow(explanation.picture)
    box = explanation.verdict.box
    if box is not None:
        x0, y0, x1, y1 = box
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="white", linewidth=2.6))
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=ACCENT, linewidth=1.3))
    _label(axes, f"The picture, {explanation.verdict.width} x {explanation.verdict.height} px")


def _influence(figure: Any, axes: Axes, explanation: Explanation) -> None:  # noqa: ANN401
    grey = explanation.crop.mean(axis=2)
    reach = explanation.reach
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    shown = axes.imshow(explanation.influence, cmap="RdBu_r", vmin=-reach, vmax=reach, alpha=0.55)
    bar = figure.colorbar(shown, ax=axes, orientation="horizontal", fraction=0.045, pad=0.04, aspect=28)
    bar.set_ticks([-reach, 0, reach])
    bar.set_ticklabels(["like photographs", "0", "unlike photographs"])
    bar.ax.tick_params(labelsize=8, colors=MUTED, length=0)
    for label, side in zip(bar.ax.get_xticklabels(), ("left", "center", "right"), strict=True):
        label.set_horizontalalignment(side)
    bar.outline.set_visible(False)
    _label(axes, f"The map: {explanation.method}")


def _histogram(axes: Axes, explanation: Explanation) -> None:
    score, among = explanation.verdict.score, explanation.among
    assert score is not None  # explain refuses what has none
    low, high = min(among[0], score), max(among[-1], score)
    margin = 0.04 * (high - low + 1e-9)
    bins = np.linspace(low - margin, high + margin, 32).tolist()
    counts, _, _ = axes.hist(among, bins=bins, color="#9fb3c8", edgecolor=PAPER, linewidth=0.6)
    top = float(np.max(counts))
    axes.axvline(score, color=ACCENT, linewidth=2)
    right = score > (low + high) / 2
    axes.annotate(
        f"this picture: {score:.2f}",
        (score, top * 1.06),
        xytext=(-6 if right else 6, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
        fontsize=9,
        color=ACCENT,
        weight="bold",
    )
    axes.set_ylim(0, top * 1.15)
    axes.set_yticks([])
    axes.tick_params(labelsize=8, colors=MUTED)
    axes.set_xlabel("score, higher = less like a photograph", fontsize=8.5, color=MUTED)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.set_title(
        f"Scores of {len(among)} held-out photographs", fontsize=9.5, color=INK, loc="left", pad=50
    )
    lines = [f"seen as: {explanation.condition}"]
    if explanation.category != explanation.condition:
        lines.append(f"compared with: {explanation.category}")
    told = "\n".join(textwrap.fill(line, 76) for line in lines)
    axes.annotate(
        told, (0, 1), xytext=(0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=7,
        color=MUTED, va="bottom",
    )  # fmt: skip


def _nearest(axes: Axes, explanation: Explanation) -> None:
    axes.set_axis_off()
    axes.set_title("Held-out photographs with the nearest scores", fontsize=9.5, color=INK, loc="left", pad=4)
    for number, row in enumerate(explanation.nearest):
        y = 0.9 - 0.19 * number
        quality = "no JPEG" if row.jpeg_quality is None else f"JPEG {row.jpeg_quality}"
        source = drawable(clipped(row.source or "unknown source", 28))
        axes.text(0.0, y, f"{row.score:.2f}", fontsize=8.5, color=INK, transform=axes.transAxes, va="center")
        axes.text(0.14, y, **source, fontsize=8.5, color=INK, transform=axes.transAxes, va="center")
        axes.text(
            1.0, y, f"face {row.face_size} px, {quality}", fontsize=8.5, color=MUTED, transform=axes.transAxes,
            va="center", ha="right",
        )  # fmt: skip


def _label(axes: Axes, text: str) -> None:
    axes.set_axis_off()
    axes.set_anchor("N")
    axes.set_title(text, fontsize=9.5, color=INK, loc="left", pad=6)
