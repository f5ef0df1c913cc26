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

# So many points can all be named; of more only those on the front. `report.js` has it too.
_FEW = 6
_FEWEST_TICKS = 3
_MOST_STEPS = 5
_LEAST_ROOM = 1.25


def front_figures(choices: list[Choice], costs: list[Cost]) -> tuple[Figure, ...]:
    """One figure a cost that has an axis; the page draws the front anew for what is chosen."""
    return tuple(_figure(choices, cost) for cost in costs if cost.axis)


def _figure(choices: list[Choice], cost: Cost) -> Figure:
    best = front(choices, cost)
    figure = new_figure(cost.axis, "Validation accuracy, %")
    figure.add_trace(_front_line(best, cost))
    known = [(value, choice) for choice in choices if (value := cost.of(choice)) is not None]
    low, high = _range([value for value, _ in known])
    for value, choice in known:
        side = _side(value, low, high)
        figure.add_trace(_point(choice, cost, side, named=choice in best or len(known) <= _FEW))
    ticks = _ticks(low, high)
    # Fixed, so that the axes stay where they are while the chooser takes points away.
    figure.update_xaxes(
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=ticks,
        ticktext=[f"{tick:,g}" for tick in ticks],
    )
    figure.update_yaxes(range=_accuracies(choices))
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


def _range(values: list[float]) -> tuple[float, float]:
    """Ends of a logarithmic axis on which some values and their names have room."""
    known = [value for value in values if value > 0] or [1.0]
    room = max(_LEAST_ROOM, (max(known) / min(known)) ** 0.12)
    return min(known) / room, max(known) * room


def _accuracies(choices: list[Choice]) -> list[float]:
    """Ends of the axis of accuracies, in percent; a name stands above its point."""
    known = [100 * choice.accuracy for choice in choices]
    room = max(1.0, 0.15 * (max(known) - min(known)))
    return [min(known) - room, max(known) + 1.5 * room]


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between the ends, as few as tell the scale: plotly's own are too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    found = [tick for tick in ticks if low <= tick <= high]
    if len(found) >= _FEWEST_TICKS:
        return found
    # Within less than a decade even steps tell more.
    size = 10.0 ** math.floor(math.log10((high - low) / _MOST_STEPS))
    step = next(one * size for one in (1, 2, 5, 10) if one * size >= (high - low) / _MOST_STEPS)
    steps = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [float(f"{step * number:.6g}") for number in steps]


def _side(value: float, low: float, high: float) -> str:
    """Where a name stands at its point: those near an end of the axis point away from it."""
    place = math.log(max(value, low) / low) / math.log(high / low)
    return "top left" if place > 2 / 3 else "top right" if place < 1 / 3 else "top center"


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


def _point(choice: Choice, cost: Cost, side: str, *, named: bool) -> go.Scatter:
    series, symbol = architecture_style(choice.architecture)
    name = plain(choice.title)
    return go.Scatter(
        x=[cost.of(choice)],
        y=[100 * choice.accuracy],
        name=name,
        mode="markers+text",
        text=[name if named else ""],
        textposition=side,
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
