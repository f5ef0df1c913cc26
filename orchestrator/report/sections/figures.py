"""The interactive figures, as plotly JSON.

Colours, fonts and sizes that depend on the reader's theme are set in the page by `report.js` from
the style sheet's variables: a trace names its colour by `meta.series`, one of eight (one a family
of architectures). Members of a family differ by their marker, training from validation by its dash,
so nothing is told by colour alone.
"""

import math

import plotly.graph_objects as go

from orchestrator.report import paper
from orchestrator.report.blocks import Figure
from orchestrator.report.collect import RunReport, TrialReport
from orchestrator.report.comparison import why_not_comparable
from orchestrator.report.formats import percent, percent_interval, plural
from trainers.architectures import ARCHITECTURES

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")
_FAMILIES = tuple(dict.fromkeys(row.family for row in ARCHITECTURES.values()))


def curves(run: RunReport, metric: str) -> Figure | None:
    """Accuracy or loss of every trial that finished an epoch; None where none did."""
    trials = [trial for trial in run.trials if trial.history]
    if not trials:
        return None
    figure = new_figure("Epoch", "Accuracy, %" if metric == "accuracy" else "Loss, nats")
    for trial in trials:
        for prefix, stage in (("", "training"), ("val_", "validation")):
            figure.add_trace(_curve(run, trial, f"{prefix}{metric}", stage))
    longest = max(trial.history[-1].epoch for trial in trials)
    figure.update_xaxes(range=[0.5, longest + 0.5], rangemode="normal")
    if longest <= 12:
        figure.update_xaxes(dtick=1)
    return Figure(
        id=f"{metric}-curves",
        caption=f"{metric.capitalize()} over the epochs: validation solid, training dotted",
        alternative=f"Line chart of training and validation {metric} over "
        f"{plural(longest, 'epoch')} for {plural(len(trials), 'trial')}. "
        "The table after the figures gives its figures.",
        plotly_json=figure.to_json(engine="json"),
        table_id="epochs-table",
        has_training=True,
    )


def intervals(run: RunReport) -> Figure | None:
    """Accuracy with its interval, best on top, the paper's beside it where that may be compared."""
    scored = [trial for trial, _ in run.scored]
    if not scored:
        return None
    figure = new_figure("Validation accuracy, %", "")
    names = [run.name_of(trial) for trial in scored]
    figure.add_trace(_interval_trace("This run", names, _our_intervals(scored), 0, "circle"))
    if why_not_comparable(run) is None:
        rows = [(run.name_of(trial), trial.record.architecture) for trial in scored]
        known = [(name, paper.accuracies()[id_]) for name, id_ in rows if id_ in paper.accuracies()]
        points = [(p.accuracy, p.interval.low, p.interval.high) for _, p in known]
        trace = _interval_trace("Paper", [name for name, _ in known], points, 1, "diamond-open")
        figure.add_trace(trace)
    figure.update_yaxes(autorange="reversed", type="category")
    best = scored[0]
    assert best.scores is not None
    low, high = best.scores.interval.low, best.scores.interval.high
    return Figure(
        id="accuracy-intervals",
        caption="Validation accuracy with Wilson 95 % intervals",
        alternative=f"Dot plot of {plural(len(scored), 'trial')}, best first: {names[0]} at "
        f"{percent(best.accuracy)} %, interval {percent_interval(low, high)}, to {names[-1]} at "
        f"{percent(scored[-1].accuracy)} %. The accuracy table gives its figures.",
        plotly_json=figure.to_json(engine="json"),
        table_id="accuracy-table",
    )


def new_figure(x_title: str, y_title: str) -> go.Figure:
    """An empty figure with the axes' titles; the page's script styles the rest."""
    figure = go.Figure(layout={"template": "none", "showlegend": False, "hovermode": "closest"})
    figure.update_xaxes(title_text=x_title, zeroline=False)
    figure.update_yaxes(title_text=y_title, zeroline=False, automargin=True)
    return figure


def architecture_style(architecture: str) -> tuple[int, str]:
    """Colour (one of eight) by family, marker by the place in the family."""
    row = ARCHITECTURES.get(architecture)
    if row is None:
        return 0, SYMBOLS[-1]
    members = [other.id for other in ARCHITECTURES.values() if other.family == row.family]
    return _FAMILIES.index(row.family), SYMBOLS[members.index(row.id) % len(SYMBOLS)]


def _curve(run: RunReport, trial: TrialReport, column: str, stage: str) -> go.Scatter:
    series, symbol = architecture_style(trial.record.architecture)
    scale = 100 if "accuracy" in column else 1
    values = [getattr(row, column) for row in trial.history]
    name = plain(run.name_of(trial))
    return go.Scatter(
        x=[row.epoch for row in trial.history],
        y=[scale * value if math.isfinite(value) else None for value in values],
        name=name,
        # A run of one epoch has no line: the markers show it. Long ones show few of them.
        mode="lines+markers",
        line={"dash": "dot" if stage == "training" else "solid", "width": 2},
        marker={"symbol": symbol, "size": 7, "maxdisplayed": 12},
        opacity=0.65 if stage == "training" else 1,
        meta={
            "series": series,
            "trial": run.key_of(trial),
            "label": run.name_of(trial),
            "stage": stage,
        },
        hovertemplate=f"{name}, {stage}<br>epoch %{{x}}: %{{y:.2f}}<extra></extra>",
    )


def _our_intervals(scored: list[TrialReport]) -> list[tuple[float, float, float]]:
    return [
        (trial.scores.accuracy, trial.scores.interval.low, trial.scores.interval.high)
        for trial in scored
        if trial.scores
    ]


def _interval_trace(
    label: str, names: list[str], points: list[tuple[float, float, float]], series: int, symbol: str
) -> go.Scatter:
    return go.Scatter(
        x=[100 * accuracy for accuracy, _, _ in points],
        y=[plain(name) for name in names],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [100 * (high - accuracy) for accuracy, _, high in points],
            "arrayminus": [100 * (accuracy - low) for accuracy, low, _ in points],
        },
        name=label,
        mode="markers",
        marker={"symbol": symbol, "size": 9},
        meta={"series": series, "trial": label, "label": label, "stage": "validation"},
        hovertemplate=f"%{{y}}, {label.lower()}: %{{x:.2f}} %<extra></extra>",
    )


def plain(text: str) -> str:
    """Text that plotly prints as it stands: it would read HTML and `%{...}` patterns in it."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("%{", "% {")
