"""The section that helps to choose: limits to set, fronts, and the table of costs."""

from orchestrator.report.blocks import Cell, Chooser, Header, Limit, Section, Table
from orchestrator.report.collect import RunReport, RunSource
from orchestrator.report.comparison import NO_BEST, told_by_run
from orchestrator.report.formats import fixed, one_line, percent
from orchestrator.report.scores.choice import (
    Choice,
    Cost,
    choices_of,
    currency,
    front,
    is_repeated,
    known_costs,
    one_currency,
    price_per_hour,
)
from orchestrator.report.sections.choice_figures import CHOOSER_ID, TABLE_ID, front_figures

_LIMITS = (
    ("parameters", "Parameters, at most", "millions"),
    ("size_mb", "Size, at most", "MiB"),
    ("latency_ms", "Latency, at most", "ms"),
)


def choice_section(run: RunReport) -> Section | None:
    """Chooser, fronts and table; None where no trial has finished."""
    choices = choices_of(run)
    if not choices:
        return None
    costs = known_costs(choices)
    limits = tuple(
        Limit(key, label, unit, max(values))
        for key, label, unit in _LIMITS
        for cost in costs
        if cost.key == key
        and (values := [value for choice in choices if (value := cost.of(choice)) is not None])
    )
    return Section(
        "choice",
        "Which one to take",
        paragraphs=(_sentence(choices, costs) if run.same_data else NO_BEST,),
        chooser=Chooser(CHOOSER_ID, TABLE_ID, limits),
        figures=front_figures(choices, costs) if run.same_data else (),
        tables=(_table(run, choices, costs),),
    )


def _sentence(choices: list[Choice], costs: list[Cost]) -> str:
    never = [
        choice.title
        for choice in choices
        if not any(choice in front(choices, cost) for cost in costs if cost.has_front)
    ]
    text = (
        "An architecture is on the front of a cost where no other is at least as accurate and as "
        "cheap, and better in one of both. Accuracies closer than their intervals may stand in "
        "another order with other images."
    )
    if never and len(choices) > 1:
        text += f" On no front: {', '.join(never)}."
    return text


def _table(run: RunReport, choices: list[Choice], costs: list[Cost]) -> Table:
    ranked = choices if run.same_data else []
    fronts = {cost.key: front(ranked, cost) if cost.has_front else [] for cost in costs}
    rows = tuple(
        (
            Cell(choice.title, choice.title),
            Cell(percent(choice.accuracy), choice.accuracy, best=choice in ranked[:1]),
            Cell(choice.spread),
            *(
                Cell(cost.show(value), value, best=choice in fronts[cost.key])
                for cost in costs
                for value in [cost.of(choice)]
            ),
        )
        for choice in choices
    )
    repeated = is_repeated(run)
    spread = Header("± SD over seeds", "points") if repeated else Header("95 % interval", "%")
    return Table(
        id=TABLE_ID,
        caption="Accuracy and what it costs",
        headers=(
            Header("Architecture", numeric=False),
            Header("Accuracy", "%", key="accuracy"),
            spread,
            *(cost.header for cost in costs),
        ),
        rows=rows,
        note=_note(run),
        sortable=True,
        sorted_by=1 if run.same_data else None,
    )


def _note(run: RunReport) -> str:
    devices = sorted({trial.result.device for trial in run.finished if trial.result})
    note = f"Latency, throughput and memory were measured on: {', '.join(devices)}. "
    note += (
        "Other trials may have worked beside it: small differences in latency and throughput are "
        f"noise. A dash: not measured.{_price_note(run)}"
    )
    if run.same_data:
        note = f"★ marks the best accuracy and, for each cost, those on its front. {note}"
    if is_repeated(run):
        note += " Every figure is a mean over an architecture's seeds."
    return note


def _price_note(run: RunReport) -> str:
    """What an hour costs, in each run where that differs."""
    if not one_currency(run):
        return " The runs' prices are in different currencies and are left out."
    stated = told_by_run(run, _price_sentence)
    return " ".join(("", *stated)).rstrip()


def _price_sentence(source: RunSource) -> str:
    price = price_per_hour(source)
    if price is None:
        return ""
    return f"Price: training time at {fixed(price, 2)} {one_line(currency(source))} an hour."
