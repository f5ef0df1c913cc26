"""What the report says, in order: summary, accuracy, expressions, curves, data, how it was run."""

from collections.abc import Sequence

from orchestrator.report.blocks import Page, Section
from orchestrator.report.calibration_section import calibration_section
from orchestrator.report.choice_page import choice_section
from orchestrator.report.collect import RunReport
from orchestrator.report.columns import accuracy_table
from orchestrator.report.comparison import (
    EPOCH_WARNING,
)
from orchestrator.report.confusion_section import confusion_section
from orchestrator.report.differences_section import differences_section
from orchestrator.report.expressions_section import expressions_section
from orchestrator.report.figures import curves, intervals
from orchestrator.report.formats import (
    one_line,
)
from orchestrator.report.how_section import how_section
from orchestrator.report.interruptions import interruptions_section
from orchestrator.report.notices import notices
from orchestrator.report.paper_differences import paper_section
from orchestrator.report.paper_tables import (
    bests_table,
    printed_section,
    sizes_section,
)
from orchestrator.report.poses import poses_section
from orchestrator.report.run_tables import data_section
from orchestrator.report.summary import cards, lead
from orchestrator.report.tables import epochs_table


def build_page(run: RunReport, more: Sequence[Section] = ()) -> Page:
    """The whole report of a run; `more` sections go behind the curves."""
    sections = (
        _accuracy_section(run),
        differences_section(run),
        choice_section(run),
        expressions_section(run),
        confusion_section(run),
        calibration_section(run),
        _curves_section(run),
        *more,
        poses_section(run),
        sizes_section(run),
        paper_section(),
        interruptions_section(run),
        printed_section(run),
        data_section(run),
        how_section(run),
    )
    return Page(
        title=f"Facial-expression benchmark: {one_line(run.document.name)}",
        lead=lead(run),
        cards=cards(run),
        notices=notices(run),
        sections=tuple(section for section in sections if section),
    )


def _accuracy_section(run: RunReport) -> Section:
    figure = intervals(run)
    return Section(
        "accuracy",
        "Accuracy",
        figures=(figure,) if figure else (),
        tables=(accuracy_table(run),),
    )


def _curves_section(run: RunReport) -> Section | None:
    figures = [curves(run, "accuracy"), curves(run, "loss")]
    tables = tuple(table for table in (epochs_table(run), bests_table(run)) if table)
    if not tables:
        return None
    found = tuple(figure for figure in figures if figure)
    return Section(
        "curves",
        "Training and validation curves",
        (EPOCH_WARNING,),
        figures=found,
        tables=tables,
    )
