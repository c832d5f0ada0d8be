"""Plots: one function a figure, sober, readable in grey, each a Matplotlib figure that the caller saves.

Matplotlib is imported inside: only who draws needs it (`pip install 'cameraborn[plots]'`).
"""

from __future__ import annotations

import functools
import importlib.util
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

import numpy as np

from cameraborn.bench.scorers import PROTOCOL
from cameraborn.degrade.named import UNDEGRADED
from cameraborn.errors import BenchError
from cameraborn.files import Array, replacing
from cameraborn.report.analysis import Analysis, Figure
from cameraborn.report.document import Table
from cameraborn.report.overviews import MANY, by_comparison, false_alarm_overview, overview, source_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure as Plot

INK, FAINT, GRID = "#1d2430", "#6b7480", "#e3e6ea"
# Okabe and Ito's palette, which stays apart for colour-blind readers; markers tell them apart in print.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_WIDTH = 8.6  # inches
_DASHED: Any = {"color": FAINT, "lw": 1, "ls": (0, (4, 3))}
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": "#b9c0c8",
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.hashsalt": "cameraborn",  # so that the same figures give the same file
}


def needs_matplotlib() -> None:
    """Say how to install what drawing needs, if it is missing.

    Raises:
        BenchError: Matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise BenchError("plots need matplotlib: pip install 'cameraborn[plots]'")


P = ParamSpec("P")


def _styled(draw: Callable[P, Plot]) -> Callable[P, Plot]:
    """Draw in the house style, whatever the host's."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Plot:
        from matplotlib import rc_context

        with rc_context(_STYLE):
            return draw(*args, **kwargs)

    return styled


def _canvas(rows: int, columns: int, *, height: float, sharex: bool = False) -> tuple[Plot, list[Axes]]:
    """Axes, row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    plot = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(plot)  # never a window
    axes = plot.subplots(rows, columns, squeeze=False, sharex=sharex)
    return plot, list(axes.flat)


def save(plot: Plot, path: Path) -> Path:
    """Write a PNG, completely or not at all."""
    from matplotlib import rc_context

    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(_STYLE), replacing(path) as part:
        plot.savefig(part, format="png", dpi=160, facecolor="white")
    return path


def svg(plot: Plot) -> str:
    """The figure as SVG text."""
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context(_STYLE):
        plot.savefig(out, format="svg", metadata={"Date": None}, facecolor="white")
    return out.getvalue()


def _style(number: int, *, size: float = 5.5) -> dict[str, Any]:
    """Colour and marker of the line of this number: after the last colour they repeat with other markers."""
    again, place = divmod(number, len(COLOURS))
    marker = MARKERS[(place + 3 * again) % len(MARKERS)]
    return {"color": COLOURS[place], "marker": marker, "ms": size, "mec": "white", "mew": 0.8}


def _note(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    shift: tuple[float, float] = (0, 0),
    **how: Any,  # noqa: ANN401 (Matplotlib's)
) -> None:
    """A few faint words beside a line, some points away from a place."""
    axes.annotate(text, at, xytext=shift, textcoords="offset points", fontsize=8, color=FAINT, **how)


def _rows_of_intervals(
    axes: Axes,
    order: Sequence[str],
    detectors: Sequence[tuple[str, Mapping[str, Figure]]],
    *,
    factor: float = 1.0,
) -> None:
    """Figures by name, of each detector a dot with its interval in the row of that name; the first on top."""
    step = 0.8 / max(len(detectors), 1)
    for number, (detector, figures) in enumerate(detectors):
        shift = (number - (len(detectors) - 1) / 2) * step
        known = [name for name in order if name in figures and figures[name].known]
        places = [order.index(name) + shift for name in known]
        values = [factor * np.array([figures[n].value, figures[n].low, figures[n].high]) for n in known]
        style = _style(number)
        axes.hlines(
            places, [v[1] for v in values], [v[2] for v in values], color=style["color"], lw=1.8, alpha=0.55
        )
        dots = [v[0] for v in values]
        axes.plot(dots, places, ls="", clip_on=False, zorder=3, label=detector, **style)
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(len(order) - 0.4, -0.75)
    axes.grid(visible=False, axis="y")


@_styled
def forest(analysis: Analysis) -> Plot:
    """AUC with its interval, every detector on every generator, worst on top, the mean at the bottom.

    Of many detectors a tinted table, as the overview is.
    """
    detectors = analysis.results.detectors
    if len(detectors) > MANY:
        return _tinted("AUC, with its 95 % interval", overview(analysis))
    found = [
        (detector.name, {name: row.auc for name, row in by_comparison(analysis.generators(detector)).items()})
        for detector in detectors
    ]
    names = {name for _, figures in found for name in figures} - {"mean"}
    order = sorted(names, key=lambda name: max(f[name].value for _, f in found if name in f))
    order += ["mean"] if any("mean" in figures for _, figures in found) else []
    plot, (axes,) = _canvas(1, 1, height=1.1 + len(order) * max(0.34, 0.19 * len(detectors)))
    _rows_of_intervals(axes, order, found)
    _cue_marks(axes, analysis, order)
    axes.axvline(0.5, **_DASHED)
    _note(axes, "chance", (0.5, -0.72), ha="center", va="bottom")
    axes.set(xlim=(0, 1), xlabel="AUC, with its 95 % interval")
    if "mean" in order:
        axes.axhline(len(order) - 1.5, color="#b9c0c8", lw=0.8)
        axes.get_yticklabels()[-1].set_fontweight("bold")
    _legend(plot, axes)
    return plot


def _cue_marks(axes: Axes, analysis: Analysis, order: Sequence[str]) -> None:
    """A tick where each trivial cue stands."""
    label = "trivial cues"
    for cue in analysis.results.cues:
        for name, row in by_comparison(analysis.generators(cue)).items():
            if name in order and name != "mean":
                axes.plot([row.auc.value], [order.index(name)], "|", color=FAINT, ms=9, mew=1.2, label=label)
                label = ""


def _legend(
    plot: Plot,
    axes: Axes,
    *,
    place: Literal["outside upper left", "outside lower left"] = "outside upper left",
) -> None:
    handles, labels = axes.get_legend_handles_labels()
    shown = [(handle, text) for handle, text in zip(handles, labels, strict=True) if text]
    if shown:
        plot.legend(
            [handle for handle, _ in shown],
            [text for _, text in shown],
            loc=place,
            ncols=min(4, len(shown)),
            handletextpad=0.4,
            columnspacing=1.6,
            frameon=False,
            fontsize=8.5,
        )


@_styled
def robustness(analysis: Analysis) -> Plot:
    """Mean AUC, and the false-alarm rate at the nominal rate, under each degradation."""
    detectors = [detector for detector in analysis.results.detectors if detector.kind != PROTOCOL]
    names = [name for name in analysis.results.config.degradations if name != UNDEGRADED]
    order = [UNDEGRADED, *names]
    ranked = bool(analysis.results.comparisons)  # else there are photographs alone
    plot, panels = _canvas(1 + ranked, 1, height=2.5 + 2.4 * ranked, sharex=True)
    lower = panels[-1]
    nominal = 100 * analysis.results.config.false_alarm_rate
    for number, detector in enumerate(detectors):
        rows = {row.degradation: row for row in analysis.robustness(detector)}
        shift = (number - (len(detectors) - 1) / 2) * min(0.16, 0.6 / max(len(detectors), 1))
        style = _style(number) | {"lw": 1.3}
        lower.plot([], [], label=detector.name, **style)
        for axes, figures, factor in (
            (panels[0], {name: row.auc for name, row in rows.items()}, 1.0),
            (lower, {name: row.false_alarms for name, row in rows.items()}, 100.0),
        )[1 - ranked :]:
            known = [name for name in order if name in figures and figures[name].known]
            places = np.array([order.index(name) for name in known]) + shift
            values = factor * np.array([[figures[n].value, figures[n].low, figures[n].high] for n in known])
            if not len(values):
                continue
            axes.vlines(places, values[:, 1], values[:, 2], color=style["color"], lw=1.6, alpha=0.45)
            axes.plot(places, values[:, 0], clip_on=False, **style)
    if ranked:
        panels[0].axhline(0.5, **_DASHED)
        panels[0].set_title("Separation: AUC, mean over generators")
        panels[0].set_ylim(0.3, 1.02)
    lower.axhline(nominal, **_DASHED)
    _note(lower, "promised", (1.0, nominal), (-2, 3), xycoords=("axes fraction", "data"), ha="right")
    lower.set_title(f"False alarms: share of photographs flagged at the nominal {nominal:g} %")
    lower.set_ylim(bottom=0, top=max(2.5 * nominal, lower.get_ylim()[1]))
    lower.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    lower.set_xticks(range(len(order)), [name.replace(":", " ", 1) for name in order])
    lower.set_xlim(-0.5, len(order) - 0.5)
    if len(order) > 7:
        lower.tick_params(axis="x", rotation=45)
        for text in lower.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
    for axes in panels:
        axes.grid(visible=False, axis="x")
    _legend(plot, lower)
    return plot


@_styled
def false_alarms(analysis: Analysis) -> Plot:
    """The false-alarm rate on each photograph source, exact or by group, against what was promised.

    Of many detectors a table, tinted where a rate lies beyond chance over what was promised.
    """
    detectors = analysis.results.detectors
    if len(detectors) > MANY:
        return _tinted("Photographs flagged, with the 95 % interval", false_alarm_overview(analysis))
    found = [
        (detector.name, {source_name(row): row.rate for row in analysis.sources(detector)})
        for detector in detectors
    ]
    order = list(dict.fromkeys(name for _, rates in found for name in rates))
    plot, (axes,) = _canvas(1, 1, height=1.2 + len(order) * max(0.3, 0.18 * len(detectors)))
    nominal = 100 * analysis.results.config.false_alarm_rate
    _rows_of_intervals(axes, order, found, factor=100)
    axes.axvline(nominal, **_DASHED)
    _note(axes, "promised", (nominal, -0.7), (3, 0), ha="left", va="bottom")
    axes.set_xlabel("photographs flagged, with the 95 % interval")
    axes.set_xlim(left=0, right=max(15.0, axes.get_xlim()[1]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    _legend(plot, axes)
    return plot


def _tinted(title: str, table: Table) -> Plot:
    """A table for people as a picture, in its own tints."""
    cells = [row[1:] for row in table.rows]
    return heat_table(
        title,
        [row[0].text for row in table.rows],
        [name.replace(" (", "\n(") for name in table.columns[1:]],
        np.array([[np.nan if one.shade is None else (1 + one.shade) / 2 for one in row] for row in cells]),
        [["\n".join(filter(None, (one.text, one.detail))) for one in row] for row in cells],
    )


@_styled
def heat_table(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Array,
    texts: Sequence[Sequence[str]],
    *,
    note: str = "",
) -> Plot:
    """A table as a picture: values [rows columns] in 0..1 tint the cells, NaN leaves them white; a note below."""
    longest = max(len(name) for name in rows)
    lines = max(text.count("\n") for line in texts for text in line) + 1
    below = 0.2 * (note.count("\n") + 1) if note else 0.0
    plot, (axes,) = _canvas(1, 1, height=1.15 + below + (0.2 + 0.16 * lines) * len(rows))
    if note:
        plot.supxlabel(note, x=0.01, ha="left", fontsize=7.5, color=FAINT)
    shown = np.ma.masked_invalid(np.clip(values, 0, 1))
    axes.imshow(shown, cmap=_diverging(), vmin=0, vmax=1, aspect="auto")
    for place, line in enumerate(texts):
        for column, text in enumerate(line):
            axes.text(column, place, text, ha="center", va="center", fontsize=8.5 if lines == 1 else 7.5)
    axes.set_title(title, pad=12)
    axes.set_xticks(range(len(columns)), columns, fontsize=8, rotation=20 if len(columns) > 5 else 0)
    axes.set_yticks(range(len(rows)), rows, fontsize=8.5 if longest < 40 else 7.5)
    axes.xaxis.tick_bottom()
    axes.grid(visible=False)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(visible=True, which="minor", color="white", lw=2)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(which="minor", length=0)
    return plot


def _diverging() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("auc", ["#e8a48c", "#f6f4f0", "#8fbfd8"])


@_styled
def components(title: str, curves: Mapping[str, Mapping[str, Sequence[float]]]) -> Plot:
    """Figure 4: held-out and fitted log-likelihood, BIC, and the mean AUC, over the number of Gaussians.

    Args:
        title: title of the whole plot.
        curves: detector -> column (`components`, `fit`, `held_out`, `bic`, `auc`) -> values.
    """
    plot, axes = _canvas(1, 3, height=3.3)
    names = (
        "log-likelihood a photograph, nats",
        "BIC a photograph (lower is better)",
        "mean AUC (not for choosing)",
    )
    for number, (detector, columns) in enumerate(curves.items()):
        style = _style(number, size=5) | {"lw": 1.4}
        k = columns["components"]
        axes[0].plot(k, columns["held_out"], label=f"{detector}, held out", **style)
        axes[0].plot(k, columns["fit"], ls=":", label=f"{detector}, fitted", **(style | {"alpha": 0.55}))
        axes[1].plot(k, columns["bic"], **style)
        axes[2].plot(k, columns["auc"], **style)
        best = int(np.argmax(columns["held_out"]))
        axes[0].axvline(k[best], **_DASHED | {"color": style["color"], "alpha": 0.6})
    for panel, name in zip(axes, names, strict=True):
        panel.set_title(name, fontsize=8.5)
        panel.set_xlabel("Gaussians")
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ticks = sorted({value for columns in curves.values() for value in columns["components"]})
        panel.set_xticks(ticks)
        panel.minorticks_off()
    axes[2].axhline(0.5, **_DASHED)
    plot.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    _legend(plot, axes[0], place="outside lower left")
    return plot


@_styled
def embedding(title: str, panels: Mapping[str, tuple[Array, Sequence[str]]]) -> Plot:
    """Figure 5: places [N 2] of pictures by detector, coloured by what made them; photographs in grey, below."""
    kinds = list(
        dict.fromkeys(kind for _, names in panels.values() for kind in names if kind != "photographs")
    )
    columns = min(len(panels), 4)
    rows = math.ceil(len(panels) / columns)
    plot, axes = _canvas(rows, columns, height=1.2 + rows * _WIDTH / max(columns, 2))
    for unused in axes[len(panels) :]:
        unused.remove()
    for panel, (detector, (places, names)) in zip(axes, panels.items(), strict=False):
        of = np.array(names)
        for kind in ("photographs", *kinds):
            here = places[of == kind]
            number = kinds.index(kind) if kind in kinds else -1
            style = {"color": "#aab1b9", "marker": "o"} if number < 0 else _style(number)
            label = kind if panel is axes[0] else ""
            panel.scatter(
                here[:, 0],
                here[:, 1],
                s=16,
                c=style["color"],
                marker=style["marker"],
                alpha=0.75,
                lw=0.3,
                edgecolors="white",
                label=label,
            )
        panel.set_title(detector)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_aspect("equal", adjustable="datalim")
        for side in ("left", "bottom"):
            panel.spines[side].set_visible(False)
    plot.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    _legend(plot, axes[0], place="outside lower left")
    return plot
