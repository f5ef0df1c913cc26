"""Pictures of accuracies with their intervals, and of the curves of training and validation."""

import textwrap
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.report import paper
from orchestrator.report.collect import RunReport, TrialReport
from orchestrator.report.comparison import why_not_comparable
from orchestrator.report.formats import one_line
from orchestrator.report.pictures.palette import MUTED, SERIES, style
from orchestrator.report.scores.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN = 0.25
_LONGEST_NAME = 32
# So many times the loss that nine tenths stay below is off the scale.
_OUTLIER = 5


def short(text: str) -> str:
    """A name as a label: one line of bounded length."""
    return textwrap.shorten(one_line(text), _LONGEST_NAME, placeholder="…") or text[:_LONGEST_NAME]


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def accuracy_intervals(run: RunReport) -> "Figure | None":
    """Accuracy with its Wilson interval, best on top, and the paper's where comparable."""
    scored = run.scored
    if not scored:
        return None
    figure = new_figure(7.0, 1.0 + _ROW_IN * len(scored))
    axes = figure.add_subplot()
    beside = why_not_comparable(run) is None
    for row, (trial, scores) in enumerate(scored):
        colour, _ = style(trial.record.architecture)
        _interval(axes, scores.accuracy, scores.interval, row, colour, "o", "This run")
        printed = paper.accuracies().get(trial.record.architecture)
        if beside and printed:
            _interval(axes, printed.accuracy, printed.interval, row + 0.33, MUTED, "D", "Paper")
    axes.set_yticks(range(len(scored)), [short(run.name_of(trial)) for trial, _ in scored])
    axes.set_ylim(len(scored) - 0.4, -0.6)
    axes.set_xlabel("Validation accuracy, %, with Wilson 95 % interval")
    if beside:
        _legend_of_kinds(axes)
    return figure


def _interval(  # noqa: PLR0917
    axes: "Axes",
    value: float,
    interval: Interval,
    row: float,
    colour: str,
    marker: str,
    label: str,
) -> None:
    """One point with its bar; the paper's is hollow."""
    sides = [[100 * (value - interval.low)], [100 * (interval.high - value)]]
    face = "white" if label == "Paper" else colour
    axes.errorbar(
        100 * value,
        row,
        xerr=sides,
        fmt=marker,
        color=colour,
        mfc=face,
        ms=4.5,
        capsize=2.5,
        lw=1.3,
    )


def _legend_of_kinds(axes: "Axes") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=SERIES[0], marker="o", ms=4.5, label="this run"),
        Line2D([], [], color=MUTED, marker="D", mfc="white", ms=4.5, label="paper"),
    ]
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def accuracy_curves(run: RunReport) -> "Figure | None":
    """Accuracy over the epochs, training and validation apart."""
    return _curves(run, "accuracy", "Accuracy, %", 100)


def loss_curves(run: RunReport) -> "Figure | None":
    """Loss over the epochs, training and validation apart."""
    return _curves(run, "loss", "Loss, nats", 1)


def _curves(run: RunReport, metric: str, label: str, scale: float) -> "Figure | None":
    from matplotlib.ticker import MaxNLocator

    groups: dict[str, list[TrialReport]] = defaultdict(list)
    for trial in run.trials:
        if trial.history:
            groups[trial.title].append(trial)
    if not groups:
        return None
    figure = new_figure(10.5, 4.6)
    panels: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
    columns = ((metric, "Training"), (f"val_{metric}", "Validation"))
    for axes, (column, title) in zip(panels, columns, strict=True):
        for trials in groups.values():
            _architecture(axes, trials, column, scale)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _cut_outliers(panels)
    panels[0].set_ylabel(label)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def _architecture(axes: "Axes", trials: list[TrialReport], column: str, scale: float) -> None:
    """One line; with several trials their mean, over the epochs that all have, and each thin."""
    curves = [np.array([scale * getattr(row, column) for row in one.history]) for one in trials]
    colour, marker = style(trials[0].record.architecture)
    label = short(trials[0].title)
    if len(curves) > 1:
        for curve in curves:
            axes.plot(range(1, len(curve) + 1), _finite(curve), color=colour, lw=0.5, alpha=0.4)
        label += f", mean of {len(curves)}"
    common = min(map(len, curves))
    mean = np.mean([curve[:common] for curve in curves], axis=0)
    # Few markers: they tell the members of a family apart.
    axes.plot(
        range(1, common + 1),
        _finite(mean),
        color=colour,
        marker=marker,
        markevery=max(1, common // 8),
        ms=4.5,
        lw=1.3,
        label=label,
    )


def _finite(values: np.ndarray) -> np.ndarray:
    """Gaps where a value is not finite."""
    return np.where(np.isfinite(values), values, np.nan)


def _cut_outliers(panels: "Sequence[Axes]") -> None:
    """Keep a trial that diverged from pressing all others flat; say so."""
    values = np.concatenate([line.get_ydata() for axes in panels for line in axes.get_lines()])
    known = values[np.isfinite(values)]
    if not known.size:
        return
    usual = float(np.percentile(known, 90))
    if known.max() > _OUTLIER * usual > 0:
        panels[0].set_ylim(top=2 * usual)
        panels[1].set_title(f"values above {2 * usual:.3g} are cut off", loc="right", fontsize=8)
