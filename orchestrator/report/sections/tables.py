"""The tables beside the accuracy table: expressions, curves, data, configuration, provenance."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from datasets.labels import EXPRESSIONS
from orchestrator.report import paper
from orchestrator.report.blocks import Cell, Header, Table
from orchestrator.report.collect import EpochRow, RunReport, TrialReport
from orchestrator.report.comparison import class_counts
from orchestrator.report.formats import MISSING, fixed, integer, one_line, percent
from orchestrator.report.scores.statistics import ClassScores, Scores

Rate = paper.Rate


def number_cell(value: float | None, text: str) -> Cell:
    """A numeric cell; a missing or undefined value sorts last."""
    finite = value is not None and math.isfinite(value)
    return Cell(text if value is not None else MISSING, value if finite else None)


def best_marked(
    values: Sequence[float], show: Callable[[float], str], lowest: bool = False, marked: bool = True
) -> list[Cell]:
    """A column of cells with its best marked: the highest, or the lowest. NaN is never best.

    Without `marked` none is: the trials are of different data.
    """
    known = [value for value in values if not math.isnan(value)]
    best = (min if lowest else max)(known, default=math.nan)
    return [
        Cell(show(value), None if math.isnan(value) else value, best=marked and value == best)
        for value in values
    ]


def per_class_table(run: RunReport, rate: Rate) -> Table | None:
    """Recall or precision of each expression; None where no trial has predictions."""
    scored = run.scored
    if not scored:
        return None
    columns = [[_rate(scores.classes[code], rate) for _, scores in scored] for code in range(8)]
    columns.append([_macro(scores, rate) for _, scores in scored])
    cells = [_rate_cells(column, run.same_data) for column in columns]
    rows = tuple(
        (Cell(run.name_of(trial), run.name_of(trial)), *(column[index] for column in cells))
        for index, (trial, _) in enumerate(scored)
    )
    supports = [scores.classes for _, scores in scored[: 1 if run.same_data else 0]]
    units = [f"n = {one.support:,}" for classes in supports for one in classes] or [""] * 8
    headers: tuple[Header, ...] = (
        Header("Architecture", numeric=False),
        *(Header(name, unit) for name, unit in zip(EXPRESSIONS, units, strict=True)),
        Header("Macro mean"),
    )
    return Table(
        id=f"{rate}-table",
        caption=_CAPTIONS[rate],
        headers=headers,
        rows=rows,
        note=_rate_note(rate, run.same_data),
        sortable=True,
        sorted_by=None,
    )


_CAPTIONS: dict[Rate, str] = {
    "recall": "Recall, percent: of the images with an expression, how many were given it",
    "precision": "Precision, percent: of the images given an expression, how many have it",
}


def _rate_note(rate: Rate, marked: bool) -> str:
    best = "★ marks the best of each column. n: validation images with the expression."
    never = "An expression that was never predicted has precision 0."
    return " ".join((best,) * marked + (never,) * (rate == "precision"))


def _rate(scores: ClassScores, rate: Rate) -> float:
    return scores.recall if rate == "recall" else scores.precision


def _macro(scores: Scores, rate: Rate) -> float:
    return scores.macro_recall if rate == "recall" else scores.macro_precision


def _rate_cells(values: list[float], marked: bool) -> list[Cell]:
    best = max((value for value in values if not math.isnan(value)), default=math.nan)
    return [
        Cell(
            percent(value),
            None if math.isnan(value) else value,
            best=marked and value == best and best > 0,
            share=None if math.isnan(value) else value,
        )
        for value in values
    ]


def epochs_table(run: RunReport) -> Table | None:
    """The ends of the curves as figures; None where no trial finished an epoch."""
    trials = [trial for trial in (*run.finished, *_unfinished(run)) if trial.history]
    if not trials:
        return None
    headers: tuple[Header, ...] = (
        Header("Architecture", numeric=False),
        Header("Epochs"),
        Header("Training accuracy", "%, last"),
        Header("Validation accuracy", "%, last"),
        Header("Best validation accuracy", "%"),
        Header("Best epoch"),
        Header("Training loss", "last"),
        Header("Validation loss", "last"),
        Header("Lowest validation loss"),
    )
    rows = tuple(_epochs_row(run, trial) for trial in trials)
    note = (
        "Training figures are running means over an epoch while the weights change; "
        "validation figures are of the epoch's last weights. The best epoch was chosen on the "
        "validation images themselves: it flatters."
    )
    if any(trial.result and trial.result.selected_epoch is not None for trial in trials):
        headers = (*headers, Header("Selected epoch"), Header("Its validation accuracy", "%"))
        rows = tuple(
            (*row, *_selected_cells(trial)) for row, trial in zip(rows, trials, strict=True)
        )
        note += " The selected epoch was chosen on a part held out of training."
    return Table("epochs-table", "The curves in figures", headers, rows, note, sortable=True)


def _selected_cells(trial: TrialReport) -> tuple[Cell, Cell]:
    epoch = trial.result.selected_epoch if trial.result else None
    accuracy = trial.result.selected_accuracy if trial.result else None
    return number_cell(epoch, integer(epoch)), number_cell(accuracy, percent(accuracy))


def _unfinished(run: RunReport) -> Iterator[TrialReport]:
    return (trial for trial in run.trials if trial.result is None)


def _epochs_row(run: RunReport, trial: TrialReport) -> tuple[Cell, ...]:
    last = trial.history[-1]
    best = max(trial.history, key=lambda row: _or_lowest(row.val_accuracy))
    lowest = min(
        (row.val_loss for row in trial.history if math.isfinite(row.val_loss)), default=None
    )
    return (
        Cell(run.name_of(trial), run.name_of(trial)),
        number_cell(last.epoch, integer(last.epoch)),
        number_cell(last.accuracy, percent(last.accuracy)),
        number_cell(last.val_accuracy, percent(last.val_accuracy)),
        number_cell(best.val_accuracy, percent(best.val_accuracy)),
        _best_epoch_cell(best),
        number_cell(last.loss, fixed(last.loss, 3)),
        number_cell(last.val_loss, fixed(last.val_loss, 3)),
        number_cell(lowest, fixed(lowest, 3)),
    )


def _best_epoch_cell(best: EpochRow) -> Cell:
    known = None if math.isnan(best.val_accuracy) else best.epoch
    return number_cell(known, integer(known))


def _or_lowest(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def data_table(run: RunReport) -> Table:
    """Images per expression in both splits, and the paper's Table 1."""
    train, validation = class_counts(run, "train"), class_counts(run, "validation")
    printed = paper.class_counts()
    named = zip(EXPRESSIONS, train, validation, printed, strict=True)
    rows = [_count_row(name, counts, train, validation, printed) for name, *counts in named]
    total = [sum(train), sum(validation), sum(printed)]
    rows.append(_count_row("All", total, train, validation, printed))
    return Table(
        id="data-table",
        caption="Images per expression",
        headers=(
            Header("Expression", numeric=False),
            Header("Training"),
            Header("Training", "%"),
            Header("Validation"),
            Header("Validation", "%"),
            Header("Paper's Table 1", "AffectNet"),
            Header("Paper's Table 1", "%"),
        ),
        rows=tuple(rows),
        note="The paper calls its Table 1 the training set; it holds the 500 validation images of "
        "each expression too.",
    )


def _count_row(name: str, counts: list[int], *columns: tuple[int, ...]) -> tuple[Cell, ...]:
    cells = [Cell(name, name)]
    for count, column in zip(counts, columns, strict=True):
        whole = sum(column)
        share = count / whole if whole else None
        cells += [number_cell(count, integer(count)), number_cell(share, percent(share))]
    return tuple(cells)


def mapping_table(id_: str, caption: str, content: Mapping[str, object]) -> Table | None:
    """Nested keys and values as two columns (`recipe.epochs`, `100`); None where there are none."""
    rows = tuple((Cell(key), Cell(value)) for key, value in _flatten(content, ""))
    if not rows:
        return None
    headers = (Header("Key", numeric=False), Header("Value", numeric=False))
    return Table(id=id_, caption=caption, headers=headers, rows=rows)


def _flatten(content: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{name}.")
        else:
            yield name, _plain(value)


def _plain(value: object) -> str:
    if value is None:
        return MISSING
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(str(item) for item in value) or MISSING
    return json.dumps(value, ensure_ascii=False, default=str)
