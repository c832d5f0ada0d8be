"""One picture of an explanation, fit for a report."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cameraborn.detect.explain import Explanation
from cameraborn.detect.plot_text import Drawable, Pen, Script, clipped, drawable, fonts_unreported, kept_apart
from cameraborn.errors import CamerabornError
from cameraborn.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The accent is not red: whether the face is flagged depends on a rate, and is not shown.
INK, MUTED, ACCENT, PAPER = "#1c2733", "#6b7885", "#17577f", "#ffffff"
WIDTH, HEIGHT = 12.5, 6.4  # inches
POINT = 1 / 72 / HEIGHT  # in parts of the height
Column = tuple[float, float]  # left edge and width, in parts of the figure's width
Height = tuple[float, float]  # lower and upper edge, in parts of its height
FIRST, SECOND, THIRD = (0.03, 0.281), (0.341, 0.281), (0.652, 0.323)
LEFT, RIGHT = 0.03, 0.975
ROOM = (RIGHT - LEFT) * WIDTH  # inches
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
    drawn = io.BytesIO()
    with fonts_unreported():
        try:
            figure = explanation_figure(explanation)
        except ImportError as error:
            raise CamerabornError("drawing needs matplotlib: pip install 'cameraborn[plots]'") from error
        figure.savefig(drawn, format=format, metadata={"Date": None} if format == "svg" else None)
    return drawn.getvalue()


def explanation_figure(explanation: Explanation) -> Figure:
    """The same picture as a figure of matplotlib; no text in it meets another, or its edge, whatever its length.

    Raises:
        ImportError: matplotlib is missing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=150, facecolor=PAPER)
    FigureCanvasAgg(figure)
    top = _title(figure, explanation) - 14 * POINT
    bottom = _foot(figure, explanation) + 24 * POINT
    _picture(figure, FIRST, (bottom, top), explanation)
    _influence(figure, SECOND, (bottom, top), explanation)
    _photographs(figure, THIRD, (bottom, top), explanation)
    return figure


def _title(figure: Figure, explanation: Explanation) -> float:
    """What is said, at the top; the lower edge of it."""
    verdict = explanation.verdict
    bundle = Pen(figure, 9).shortened(f"cameraborn · {verdict.bundle}", ROOM / 2)
    _write(figure, RIGHT, 0.99, bundle, 9, color=MUTED, ha="right")
    face = "" if verdict.face is None else f", face {verdict.face}"
    bold = Pen(figure, 15, "bold")
    name = bold.shortened(Path(verdict.path).name, ROOM - bold.width(face, Script.of(face)))
    y, _ = _write(figure, LEFT, 0.955, name | {"s": kept_apart(name["s"]) + face}, 15, weight="bold")
    if verdict.p_value is None:
        said = f"The detector abstains ({verdict.scope}): the score has no p-value."
    else:
        said = (
            f"p-value {verdict.p_value:.3f}: of {len(explanation.among)} comparable photographs, "
            f"{100 * verdict.p_value:.1f} in 100 are as surprising."
        )
    y, _ = _write(figure, LEFT, y - 6 * POINT, Pen(figure, 10.5).shortened(said, ROOM), 10.5)
    if verdict.notes:
        notes = "Note: " + "; ".join(verdict.notes) + "."
        y, _ = _write(figure, LEFT, y - 5 * POINT, Pen(figure, 9).wrapped(notes, ROOM, lines=3), 9)
    return y


def _foot(figure: Figure, explanation: Explanation) -> float:
    """What it does not prove, and what each channel of evidence says above it; the upper edge of both."""
    caption = Pen(figure, 8).wrapped(CAPTION, ROOM, lines=3)
    _, y = _write(figure, LEFT, 0.02, caption, 8, va="bottom", color=MUTED)
    evidence = explanation.verdict.evidence
    if len(evidence) > 1:
        said = [
            f"{clipped(name, 60)}  {'none' if told.p_value is None else f'{told.p_value:.3f}'}"
            for name, told in evidence.items()
        ]
        text = "     ".join(["p-value of each channel of evidence:", *said])
        channels = Pen(figure, 9).wrapped(text, ROOM, lines=3, joint="     ")
        _, y = _write(figure, LEFT, y + 8 * POINT, channels, 9, va="bottom")
    return y


def _write(
    figure: Figure, x: float, y: float, text: Drawable, size: float, **style: str
) -> tuple[float, float]:
    """Write at a place; the lower and the upper edge of what is written. Places are parts of the figure's side."""
    usual: dict[str, Any] = {"fontsize": size, "color": INK, "va": "top", "linespacing": 1.4}
    written = figure.text(x, y, **text, **usual | style)
    box = written.get_window_extent().transformed(figure.transFigure.inverted())
    return box.y0, box.y1


def _head(figure: Figure, column: Column, y: float, text: str) -> float:
    """The heading of a column; the lower edge of it."""
    x, width = column
    return _write(figure, x, y, Pen(figure, 9.5).shortened(text, width * WIDTH), 9.5)[0]


def _picture(figure: Figure, column: Column, height: Height, explanation: Explanation) -> None:
    from matplotlib.patches import Rectangle

    verdict = explanation.verdict
    axes = _shown(figure, column, height, f"The picture, {verdict.width} x {verdict.height} px")
    axes.imshow(explanation.picture)
    if verdict.box is not None:
        x0, y0, x1, y1 = verdict.box
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="white", linewidth=2.6))
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=ACCENT, linewidth=1.3))


def _influence(figure: Figure, column: Column, height: Height, explanation: Explanation) -> None:
    grey = explanation.crop.mean(axis=2)
    reach = explanation.reach
    axes = _shown(figure, column, height, f"Map: {explanation.method}")
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    shown = axes.imshow(explanation.influence, cmap="RdBu_r", vmin=-reach, vmax=reach, alpha=0.55)
    bar = figure.colorbar(
        shown, ax=axes, orientation="horizontal", fraction=0.045, pad=0.04, aspect=28, panchor="N"
    )
    bar.set_ticks([-reach, 0, reach])
    bar.set_ticklabels(
        [f"like photographs\n\u2212{reach:.2g} or less", "0", f"unlike photographs\n+{reach:.2g} or more"]
    )
    bar.ax.tick_params(labelsize=8, colors=MUTED, length=0)
    sides: tuple[Literal["left", "center", "right"], ...] = ("left", "center", "right")
    for label, side in zip(bar.ax.get_xticklabels(), sides, strict=True):
        label.set_horizontalalignment(side)
    bar.outline.set_visible(False)


def _shown(figure: Figure, column: Column, height: Height, text: str) -> Axes:
    """Axes for a picture, under its heading."""
    (x, width), (bottom, top) = column, height
    y = _head(figure, column, top, text) - 6 * POINT
    axes = figure.add_axes((x, bottom, width, y - bottom))
    axes.set_axis_off()
    axes.set_anchor("N")
    return axes


def _photographs(figure: Figure, column: Column, height: Height, explanation: Explanation) -> None:
    """Where the score lies among held-out photographs, and which of them are nearest."""
    (x, width), (bottom, top) = column, height
    y = _head(figure, column, top, f"Scores of {len(explanation.among)} held-out photographs")
    said = [(f"seen as: {explanation.condition}", 2)]
    if explanation.category != explanation.condition:
        said.append((f"compared with: {explanation.category}", 3))
    for text, lines in said:
        told = Pen(figure, 7).wrapped(text, width * WIDTH, lines=lines)
        y, _ = _write(figure, x, y - 4 * POINT, told, 7, color=MUTED)
    y -= 4 * POINT
    between = 58 * POINT  # for the labels of the histogram and the heading under it
    nearest = (y - bottom - between) / 2.7
    _histogram(figure.add_axes((x, bottom + nearest + between, width, 1.7 * nearest)), explanation)
    _head(figure, column, bottom + nearest + 18 * POINT, "Held-out photographs with the nearest scores")
    _nearest(figure, figure.add_axes((x, bottom, width, nearest)), width * WIDTH, explanation)


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


def _nearest(figure: Figure, axes: Axes, room: float, explanation: Explanation) -> None:
    axes.set_axis_off()
    pen = Pen(figure, 8.5)
    for number, row in enumerate(explanation.nearest):
        y = 0.9 - 0.2 * number
        quality = "no JPEG" if row.jpeg_quality is None else f"JPEG {row.jpeg_quality}"
        score, size = f"{row.score:.2f}", f"face {row.face_size} px, {quality}"
        taken = [pen.width(f"{text}    ", Script.of(text)) for text in (score, size)]
        source = pen.shortened(row.source or "unknown source", room - sum(taken))
        place: dict[str, Any] = {"fontsize": pen.size, "transform": axes.transAxes, "va": "center"}
        axes.text(0.0, y, **drawable(score), **place, color=INK)
        axes.text(taken[0] / room, y, **source, **place, color=INK)
        axes.text(1.0, y, **drawable(size), **place, color=MUTED, ha="right")
