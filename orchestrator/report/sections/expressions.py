"""The section “Expressions”: recall with its intervals, precision, correct counts."""

from datasets.labels import EXPRESSIONS
from orchestrator.report.blocks import Cell, Header, Section, Table
from orchestrator.report.collect import RunReport
from orchestrator.report.formats import percent_interval
from orchestrator.report.sections.paper_tables import expression_tables


def expressions_section(run: RunReport) -> Section | None:
    """None where no trial has predictions."""
    tables = expression_tables(run)
    intervals = recall_intervals_table(run)
    if intervals is None:
        return None
    return Section("expressions", "Expressions", tables=(*tables, intervals))


def recall_intervals_table(run: RunReport) -> Table | None:
    """One row a trial with predictions, best first; None where there is none."""
    scored = [(run.name_of(trial), scores) for trial, scores in run.scored]
    if not scored:
        return None
    rows = tuple(
        (
            Cell(name, name),
            *(
                Cell(percent_interval(one.recall_interval.low, one.recall_interval.high))
                for one in scores.classes
            ),
        )
        for name, scores in scored
    )
    return Table(
        id="recall-intervals-table",
        caption="Recall: Wilson 95 % intervals, percent",
        headers=(Header("Architecture", numeric=False), *(Header(name) for name in EXPRESSIONS)),
        rows=rows,
        folded=True,
    )
