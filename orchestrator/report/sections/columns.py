"""The accuracy table, once: each column is (header, key, formatter) over a `TrialRow`."""

from collections.abc import Callable
from dataclasses import dataclass

from datasets.labels import EXPRESSIONS
from orchestrator.report.blocks import Cell, Header, Table
from orchestrator.report.collect import RunReport, TrialReport
from orchestrator.report.comparison import why_not_comparable
from orchestrator.report.formats import (
    MISSING,
    duration,
    fixed,
    integer,
    one_line,
    percent,
    percent_interval,
)
from orchestrator.report.results import TrialRow, trial_row
from orchestrator.report.scores.oddities import is_below_chance, oddities
from trainers.result import TrialState


@dataclass(frozen=True)
class Column:
    """`key` names the field of `TrialRow` that orders the column; `show` prints a row's cell."""

    header: Header
    key: str
    show: Callable[[TrialRow], str]


OURS = (
    Column(Header("Accuracy", "%"), "accuracy", lambda row: percent(row.accuracy)),
    Column(
        Header("95 % interval", "%, Wilson"),
        "accuracy_low",
        lambda row: percent_interval(row.accuracy_low, row.accuracy_high),
    ),
    Column(Header("Loss", "nats"), "loss", lambda row: fixed(row.loss, 3)),
    Column(
        Header("Macro precision", "%"), "macro_precision", lambda row: percent(row.macro_precision)
    ),
    Column(Header("Macro recall", "%"), "macro_recall", lambda row: percent(row.macro_recall)),
    Column(Header("Macro F1", "%"), "macro_f1", lambda row: percent(row.macro_f1)),
    Column(Header("Parameters"), "parameters", lambda row: integer(row.parameters)),
    Column(Header("Size", "MiB"), "size_mb", lambda row: fixed(row.size_mb, 1)),
    Column(
        Header("Training speed", "images/s"),
        "train_images_per_s",
        lambda row: fixed(row.train_images_per_s, 1),
    ),
    Column(Header("Training time"), "train_seconds", lambda row: duration(row.train_seconds)),
    Column(Header("Restarts"), "restarts", lambda row: integer(row.restarts)),
    Column(Header("Steps repeated"), "steps_repeated", lambda row: integer(row.steps_repeated)),
)
PAPER = (
    Column(
        Header("Paper: accuracy", "%"), "paper_accuracy", lambda row: percent(row.paper_accuracy)
    ),
    Column(
        Header("Paper: 95 % interval", "%, Wilson"),
        "paper_accuracy_low",
        lambda row: percent_interval(row.paper_accuracy_low, row.paper_accuracy_high),
    ),
)


def _paper_columns(comparable: bool) -> tuple[Column, ...]:
    if comparable:
        return PAPER
    return tuple(
        Column(
            Header(column.header.text, "%, AffectNet, not comparable"),
            column.key,
            column.show,
        )
        for column in PAPER
    )


def accuracy_table(run: RunReport) -> Table:
    """Every trial, best first, then those without a result in plan order."""
    reason = why_not_comparable(run)
    # The state stands third: on a phone the first columns are what one sees.
    before, after = OURS[:2], (*_paper_columns(reason is None), *OURS[2:])
    unfinished = [trial for trial in run.trials if trial.result is None]
    first = run.finished[0] if run.finished and run.same_data else None
    none_best = first is None or (first.scores is not None and is_below_chance(first.scores))
    best = None if first is None or none_best else first.accuracy
    rows = tuple(
        (
            Cell(run.name_of(trial), run.name_of(trial), _data_mark(run, trial)),
            *_cells(trial_row(trial), before, best),
            state_cell(trial),
            *_cells(trial_row(trial), after, best),
        )
        for trial in (*run.finished, *unfinished)
    )
    return Table(
        id="accuracy-table",
        caption="Validation accuracy of the final epoch, and what it cost",
        headers=(
            Header("Architecture", numeric=False),
            *(column.header for column in before),
            Header("State", numeric=False),
            *(column.header for column in after),
        ),
        rows=rows,
        note=_note(run, reason),
        sortable=True,
        sorted_by=1 if run.same_data else None,
    )


def _data_mark(run: RunReport, trial: TrialReport) -> str:
    """The data of a trial, where not all are of the same."""
    if run.same_data:
        return ""
    named = "" if trial.variant else f"run {trial.run}, "  # its title has it then
    return f"{named}data {trial.data_fingerprint[:12]}"


def _cells(row: TrialRow, columns: tuple[Column, ...], best: float | None) -> tuple[Cell, ...]:
    return tuple(
        Cell(
            column.show(row),
            getattr(row, column.key),
            best=column.key == "accuracy" and row.accuracy is not None and row.accuracy == best,
        )
        for column in columns
    )


def _expressions(run: RunReport) -> str:
    """Over which expressions the macro figures are means."""
    if not run.same_data:
        return "the expressions that each one's validation images have"
    counts = run.document.data.classes.get("validation", {})
    absent = [name for name in EXPRESSIONS if counts and not counts.get(name)]
    if not absent:
        return "the eight expressions"
    number = len(EXPRESSIONS) - len(absent)
    return f"the {number} expressions that the validation images have (none: {', '.join(absent)})"


def _note(run: RunReport, reason: str | None) -> str:
    note = (
        f"Macro figures are unweighted means over {_expressions(run)}. The paper's accuracies are "
        "its Table 3, recomputed from the counts of its Figure 12, with the interval that 4,000 "
        "images give."
    )
    if reason:
        note += f" They were measured on AffectNet and are not comparable here: {reason}."
    return note


def state_cell(trial: TrialReport) -> Cell:
    """A trial's state: why it went wrong, where it is if it runs, what is odd in its answers."""
    record = trial.record
    detail = "; ".join(one.short for one in oddities(trial.scores)) if trial.scores else ""
    if record.failure:
        detail = one_line(record.failure.reason)
        if record.failure.epoch is not None and record.failure.step is not None:
            detail += f" (epoch {record.failure.epoch}, step {record.failure.step})"
    elif record.stopped:
        detail = record.stopped
    elif record.state is TrialState.RUNNING and record.progress:
        progress = record.progress
        detail = (
            f"{progress.phase}, {progress.epoch} of {progress.epochs} epochs done, "
            f"step {progress.step} of {progress.steps_per_epoch}"
        )
        if progress.accuracy is not None:
            detail += f", validation accuracy {percent(progress.accuracy)} % so far"
        if progress.seconds_left is not None:
            detail += f", about {duration(progress.seconds_left)} left"
    return Cell(record.state.value or MISSING, record.state.value, detail, state=record.state.value)
