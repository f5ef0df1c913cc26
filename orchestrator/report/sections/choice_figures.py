"""Accuracy against each cost, with the front of those that no other beats."""

import math

import plotly.graph_objects as go

from orchestrator.report.blocks import Figure
from orchestrator.report.formats import percent, plural
from orchestrator.report.scores.choice import Choice, Cost, front
from orchestrator.report.sections.figures import architecture_style, new_figure, plain

TABLE_ID = "choice-table"
CHOOSER_ID = "chooser"
FRONT = "front"


def front_figures(choices: list[Choice], costs: list[Cost]) -> tuple[Figure, ...]:
    """One figure a cost that has an axis; the page draws the front anew for what is chosen."""
    return tuple(_figure(choices, cost) for cost in costs if cost.axis)


def _figure(choices: list[Choice], cost: Cost) -> Figure:
    best = front(choices, cost)
    figure = new_figure(cost.axis, "Validation accuracy, %")
    figure.add_trace(_front_line(best, cost))
    known = [(value, choice) for choice in choices if (value := cost.of(choice)) is not None]
    for _, choice in known:
        figure.add_trace(_point(choice, cost, choice in best))
    ticks = _ticks([value for value, _ in known if value > 0])
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:,g}" for tick in ticks])
    named = ", ".join(f"{choice.title} ({percent(choice.accuracy)} %)" for choice in best)
    return Figure(
        id=f"{cost.key.replace('_', '-')}-front",
        caption=f"Accuracy against {cost.axis[0].lower()}{cost.axis[1:]}",
        alternative=f"Scatter plot of {plural(len(known), 'architecture')}. On the front, the "
        f"cheapest first: {named}. The table after the figures gives all.",
        plotly_json=figure.to_json(engine="json"),
        table_id=TABLE_ID,
        chooser_id=CHOOSER_ID,
    )


def _ticks(values: list[float]) -> list[float]:
    """1, 2 and 5 times the powers of ten around some values: plotly's own are too many."""
    if not values:
        return []
    powers = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    return [factor * 10.0**power for power in powers for factor in (1, 2, 5)]


def _front_line(best: list[Choice], cost: Cost) -> go.Scatter:
    return go.Scatter(
        x=[cost.of(choice) for choice in best],
        y=[100 * choice.accuracy for choice in best],
        name="Front",
        mode="lines",
        line={"shape": "hv", "width": 1.5, "dash": "dash"},
        marker={},
        hoverinfo="skip",
        hovertemplate="",
        meta={"series": 6, "trial": FRONT, "label": "Front", "stage": FRONT},
    )


def _point(choice: Choice, cost: Cost, on_front: bool) -> go.Scatter:
    series, symbol = architecture_style(choice.architecture)
    name = plain(choice.title)
    return go.Scatter(
        x=[cost.of(choice)],
        y=[100 * choice.accuracy],
        name=name,
        mode="markers+text",
        text=[name if on_front else ""],
        textposition="top center",
        cliponaxis=False,
        marker={"symbol": symbol, "size": 10},
        meta={
            "series": series,
            "trial": choice.title,
            "label": choice.title,
            "stage": "validation",
        },
        hovertemplate=f"{name}<br>{plain(cost.axis)}: %{{x:.4g}}<br>%{{y:.2f}} %<extra></extra>",
    )
