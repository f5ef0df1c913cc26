"""Pictures of matrices: recall and precision by expression, confusions of every trial."""

import math
from typing import TYPE_CHECKING

import numpy as np

from datasets.labels import EXPRESSIONS
from orchestrator.report.collect import RunReport
from orchestrator.report.formats import MISSING, fixed, percent
from orchestrator.report.paper import Rate
from orchestrator.report.pictures.curves import new_figure, short
from orchestrator.report.pictures.palette import INK, TINT
from orchestrator.report.scores.statistics import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# More panels than these hold no numbers: they would be too small to read, and slow to draw.
_NUMBERED_PANELS = 20
_PANEL_IN = 1.75
# The tint from which white letters have more contrast than dark ones.
_LIGHT_FROM = 0.78


def recall_map(run: RunReport) -> "Figure | None":
    """Recall of each expression, trials best first."""
    return _rate_map(run, "recall")


def precision_map(run: RunReport) -> "Figure | None":
    """Precision of each expression, trials best first."""
    return _rate_map(run, "precision")


def _tints() -> "Colormap":
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("tint", ["#ffffff", TINT])


def _rate_map(run: RunReport, rate: Rate) -> "Figure | None":
    scored = run.scored
    if not scored:
        return None
    values = np.array(
        [
            [*(getattr(one, rate) for one in scores.classes), getattr(scores, f"macro_{rate}")]
            for _, scores in scored
        ]
    )
    figure = new_figure(8.0, 1.0 + 0.27 * len(scored))
    axes = figure.add_subplot()
    axes.imshow(values, cmap=_tints(), vmin=0, vmax=1, aspect="auto")
    best = np.nanmax(np.where(np.isnan(values), -1, values), axis=0)
    for row, column in np.ndindex(*values.shape):
        value = float(values[row, column])
        top = value == best[column] > 0
        text = MISSING if math.isnan(value) else fixed(100 * value, 1) + ("★" if top else "")
        _write(axes, row, column, text, value, 8, bold=top)
    _name_axes(axes, [short(run.name_of(trial)) for trial, _ in scored], [*EXPRESSIONS, "Macro"])
    axes.set_title(f"{rate.capitalize()}, %; ★ the best of each column", loc="left", fontsize=9)
    axes.axvline(len(EXPRESSIONS) - 0.5, color="white", linewidth=3)
    return figure


def _name_axes(axes: "Axes", rows: list[str], columns: list[str]) -> None:
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns)
    _bare(axes)


def _bare(axes: "Axes") -> None:
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write(  # noqa: PLR0917
    axes: "Axes", row: int, column: int, text: str, share: float, size: float, bold: bool = False
) -> None:
    """A number in a tinted cell, light on dark."""
    axes.text(
        column,
        row,
        text,
        ha="center",
        va="center",
        fontsize=size,
        color="white" if share > _LIGHT_FROM else INK,
        fontweight="bold" if bold else "normal",
    ).set_in_layout(False)  # it lies within its cell


def confusions(run: RunReport) -> "Figure | None":
    """Every trial's confusion matrix, rows as shares of the images with that label."""
    scored = [(run.name_of(trial), scores) for trial, scores in run.scored]
    if not scored:
        return None
    columns = min(len(scored), 5 if len(scored) <= _NUMBERED_PANELS else 7)
    rows = -(-len(scored) // columns)
    figure = new_figure(1.2 + _PANEL_IN * columns, 1.1 + (_PANEL_IN + 0.25) * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(panels.flat):
        if place >= len(scored):
            axes.set_axis_off()
            continue
        below = place + columns >= len(scored)
        _panel(axes, *scored[place], len(scored) <= _NUMBERED_PANELS)
        _label_panel(axes, left=place % columns == 0, below=below)
    figure.supxlabel("Predicted", fontsize=8)
    figure.supylabel("Labelled (a row adds up to 100 %)", fontsize=8)
    return figure


def _panel(axes: "Axes", name: str, scores: Scores, numbered: bool) -> None:
    counts = np.array(scores.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=_tints(), vmin=0, vmax=1)
    for row, column in np.ndindex(*shares.shape) if numbered else ():
        share = float(shares[row, column])
        _write(axes, row, column, fixed(100 * share, 0), share, 5)
    axes.set_title(f"{short(name)}\n{percent(scores.accuracy)} %", fontsize=7)


def _label_panel(axes: "Axes", left: bool, below: bool) -> None:
    """Names of the expressions at the outer sides of the sheet."""
    codes = range(len(EXPRESSIONS))
    axes.set_yticks(codes if left else [], EXPRESSIONS if left else [], fontsize=6)
    axes.set_xticks(codes if below else [], EXPRESSIONS if below else [], fontsize=6)
    axes.tick_params(axis="x", labelrotation=90)
    _bare(axes)
