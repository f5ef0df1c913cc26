"""The report as a page: `build_page` lists its sections in their order."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.report.blocks import Page, Section
from orchestrator.report.collect import RunReport
from orchestrator.report.comparison import EPOCH_WARNING
from orchestrator.report.formats import one_line
from orchestrator.report.sections.calibration import calibration_section
from orchestrator.report.sections.choice import choice_section
from orchestrator.report.sections.columns import accuracy_table
from orchestrator.report.sections.confusion import confusion_section
from orchestrator.report.sections.differences import differences_section
from orchestrator.report.sections.expressions import expressions_section
from orchestrator.report.sections.figures import curves, intervals
from orchestrator.report.sections.how_it_was_run import how_section
from orchestrator.report.sections.interruptions import interruptions_section
from orchestrator.report.sections.notices import notices
from orchestrator.report.sections.paper_differences import paper_section
from orchestrator.report.sections.paper_tables import (
    bests_table,
    printed_section,
    sizes_section,
)
from orchestrator.report.sections.poses import poses_section
from orchestrator.report.sections.run_tables import data_section
from orchestrator.report.sections.summary import cards, lead
from orchestrator.report.sections.tables import epochs_table

_IN_THE_PAPER = {
    "accuracy": "Table 3",
    "expressions": "Figure 10 (recall), Figure 11 (precision) and the counts of Figure 12",
    "confusion": "Figure 12 has the diagonals, the right answers",
    "curves": "Figure 8 (accuracy) and Figure 9 (loss)",
    "poses": "Table 4, Figure 13 (the four poses) and Figures 14 to 21 (first feature maps)",
    "sizes": "Table 2",
    "data": "Table 1",
}
"""What of the paper a section stands for, by the section's id; Figure 7's names it itself."""


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
        sections=tuple(_named_by_paper(section) for section in sections if section),
    )


def _named_by_paper(section: Section) -> Section:
    """The section with a line by which a reader of the paper finds it."""
    where = _IN_THE_PAPER.get(section.id)
    if where is None:
        return section
    return replace(section, paragraphs=(*section.paragraphs, f"In the paper: {where}."))


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
