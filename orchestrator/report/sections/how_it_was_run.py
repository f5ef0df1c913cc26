"""The section “How it was run”: configuration, provenance, devices, choices."""

import math
from collections import defaultdict

from orchestrator.report import paper
from orchestrator.report.blocks import Section, Table
from orchestrator.report.collect import RunReport
from orchestrator.report.comparison import choices
from orchestrator.report.formats import (
    percent,
    plural,
)
from orchestrator.report.sections.run_tables import run_tables
from orchestrator.report.sections.tables import mapping_table


def how_section(run: RunReport) -> Section:
    """Never empty: what the paper leaves open is always told."""
    tables: list[Table | None] = [
        *run_tables(run),
        mapping_table("device-table", "Trained on", _devices(run)),
    ]
    return Section(
        "how",
        "How it was run",
        paragraphs=("What the paper leaves open, and what was done here:",),
        bullets=(*choices(run), *_paper_notes()),
        tables=tuple(table for table in tables if table),
    )


def _devices(run: RunReport) -> dict[str, object]:
    """Device and threads of the finished trials: one line where all agree."""
    used: dict[str, list[str]] = defaultdict(list)
    for trial in run.trials:
        if trial.result:
            named = trial.result.device_name
            device = f"{trial.result.device} ({named})" if named else trial.result.device
            place = f"{device}, {plural(trial.result.threads, 'thread')}"
            used[place].append(run.key_of(trial))
    if len(used) == 1:
        return {"every finished trial": next(iter(used))}
    return dict(used.items())


def _paper_notes() -> tuple[str, ...]:
    wrong = ", ".join(
        f"{name} {percent(printed)} for {percent(counted)} %"
        for name, (printed, counted) in paper.misprinted_accuracies().items()
        if not math.isclose(printed, counted)
    )
    return (
        f"The paper is {paper.CITATION}. Its accuracies here are counted from its Figure 12 and "
        "equal its Table 3; the accuracy column printed beside Figure 12 is in another order "
        f"({wrong}).",
    )
