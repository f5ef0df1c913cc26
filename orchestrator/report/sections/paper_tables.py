"""The paper's tables beside ours: correct counts, parameters and size, the bests of the curves.

On the paper's own data its figure stands in the same cell as ours. On other data the two would
invite a comparison that means nothing: its tables then stand apart, as it printed them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace

from datasets.labels import EXPRESSIONS
from orchestrator.report import paper
from orchestrator.report.blocks import Cell, Header, Section, Table
from orchestrator.report.collect import EpochRow, RunReport, TrialReport
from orchestrator.report.comparison import why_not_comparable
from orchestrator.report.formats import fixed, integer, percent
from orchestrator.report.sections.tables import number_cell, per_class_table
from trainers.architectures import ARCHITECTURES

_STAR_NOTE = "★ marks the best of each column."


@dataclass(frozen=True)
class _Printed:
    """A figure of the paper by expression: `rows[id]` are eight values and their mean or sum."""

    number: int
    what: str
    last: str
    rows: Mapping[str, tuple[float, ...]]
    digits: int

    def show(self, value: float) -> str:
        """Rates as percentages with the paper's precision, counts as they are."""
        return fixed(value if self.digits == 0 else 100 * value, self.digits)


def _printed(rate: paper.Rate) -> _Printed:
    values = paper.recall() if rate == "recall" else paper.precision()
    means = paper.average(rate)
    rows = {name: (*row, means[name]) for name, row in values.items()}
    return _Printed(10 if rate == "recall" else 11, f"{rate}, percent", "Mean", rows, 1)


def _printed_counts() -> _Printed:
    printed = paper.accuracies().items()
    rows = {name: (*row.correct_by_expression, row.correct) for name, row in printed}
    return _Printed(12, "correctly classified images of 500 each", "All", rows, 0)


def expression_tables(run: RunReport) -> tuple[Table, ...]:
    """Recall, precision and correct counts by expression, the paper's within where comparable."""
    tables = (
        (per_class_table(run, "recall"), _printed("recall")),
        (per_class_table(run, "precision"), _printed("precision")),
        (counts_table(run), _printed_counts()),
    )
    found = [(table, printed) for table, printed in tables if table]
    if why_not_comparable(run) is not None:
        return tuple(table for table, _ in found)
    return tuple(_with_paper(run, table, printed) for table, printed in found)


def _with_paper(run: RunReport, table: Table, printed: _Printed) -> Table:
    """The table with the paper's value as each cell's detail."""
    rows = []
    for (trial, _), (name, *cells) in zip(run.scored, table.rows, strict=True):
        theirs = printed.rows.get(trial.record.architecture)
        details = [f"paper {printed.show(value)}" for value in theirs] if theirs else [""] * 9
        beside = (replace(cell, detail=text) for cell, text in zip(cells, details, strict=True))
        rows.append((name, *beside))
    note = f"{table.note} In each cell also the paper's, from its Figure {printed.number}."
    return replace(table, rows=tuple(rows), note=note.strip())


def counts_table(run: RunReport) -> Table | None:
    """Correct validation images of each expression (Figure 12); None without predictions."""
    scored = run.scored
    if not scored:
        return None
    counts = [(*(one.correct for one in scores.classes), scores.correct) for _, scores in scored]
    supports = [one.support for one in scored[0][1].classes]
    names = (*zip(EXPRESSIONS, supports, strict=True), ("All", sum(supports)))
    return Table(
        id="counts-table",
        caption="Correctly classified validation images of each expression",
        headers=(
            Header("Architecture", numeric=False),
            *(Header(name, f"of {support:,}" if run.same_data else "") for name, support in names),
        ),
        rows=_starred([run.name_of(trial) for trial, _ in scored], counts, integer, run.same_data),
        note=_STAR_NOTE if run.same_data else "",
        sortable=True,
    )


def _starred(
    names: Sequence[str],
    values: Sequence[Sequence[float]],
    show: Callable[[float], str],
    marked: bool = True,
) -> tuple[tuple[Cell, ...], ...]:
    """Rows of figures, the highest of each column marked where asked; none where all are 0."""
    best = [max(column) for column in zip(*values, strict=True)]
    return tuple(
        (
            Cell(name, name),
            *(
                Cell(show(value), value, best=marked and value == top > 0)
                for value, top in zip(row, best, strict=True)
            ),
        )
        for name, row in zip(names, values, strict=True)
    )


def printed_section(run: RunReport) -> Section | None:
    """Figures 10 to 12 as the paper printed them; None where they stand beside ours."""
    reason = why_not_comparable(run)
    if reason is None:
        return None
    figures = (_printed("recall"), _printed("precision"), _printed_counts())
    return Section(
        "paper",
        "The paper's figures by expression",
        (f"Measured on AffectNet, 500 validation images of each expression; {reason}.",),
        tables=tuple(_printed_table(printed) for printed in figures),
    )


def _printed_table(printed: _Printed) -> Table:
    names = [ARCHITECTURES[name].title for name in printed.rows]
    return Table(
        id=f"paper-figure-{printed.number}",
        caption=f"Figure {printed.number} of the paper: {printed.what}",
        headers=(
            Header("Architecture", numeric=False),
            *(Header(name) for name in (*EXPRESSIONS, printed.last)),
        ),
        rows=_starred(names, list(printed.rows.values()), printed.show),
        note=_STAR_NOTE,
        sortable=True,
    )


def sizes_section(run: RunReport) -> Section:
    """Table 2: what each architecture weighs, as printed and as trained here."""
    trained = {trial.record.architecture: trial.result for trial in run.finished}
    asked = dict.fromkeys(trial.record.architecture for trial in run.trials)
    rows = []
    for name in asked:
        row, printed, result = ARCHITECTURES.get(name), paper.sizes().get(name), trained.get(name)
        figures = (
            (printed.parameters if printed else None, 0),
            (printed.size_mb if printed else None, 0),
            (row.parameters_1000 if row else None, 0),
            (result.parameters if result else None, 0),
            (result.size_mb if result else None, 1),
        )
        title = row.title if row else name
        cells = (number_cell(value, fixed(value, digits)) for value, digits in figures)
        rows.append((Cell(title, title), *cells))
    return Section("sizes", "Parameters and size", tables=(_sizes_table(tuple(rows)),))


def _sizes_table(rows: tuple[tuple[Cell, ...], ...]) -> Table:
    return Table(
        id="sizes-table",
        caption="Parameters and size, with 1000 classes and with the eight that were trained",
        headers=(
            Header("Architecture", numeric=False),
            Header("Paper: parameters", "1000 classes"),
            Header("Paper: size", "MB, 1000 classes"),
            Header("Keras: parameters", "1000 classes"),
            Header("Trained: parameters", "8 classes"),
            Header("Trained: size", "MiB, 8 classes"),
        ),
        rows=rows,
        note="The paper's Table 2 prints Keras' models with the head of ImageNet's 1000 classes; "
        "the models trained here have eight. Sizes as trained are of the parameters as float32; "
        "the paper's are those of Keras' weight files.",
        sortable=True,
    )


def bests_table(run: RunReport) -> Table | None:
    """The best epochs beside what section 6.1 of the paper says; None without a finished epoch."""
    trials = [trial for trial in run.trials if trial.history]
    if not trials:
        return None
    where = "paper" if why_not_comparable(run) is None else "paper, not comparable"
    columns = (
        ("Best training accuracy", "%"),
        ("Training loss of that epoch", "nats"),
        ("Best validation accuracy", "%"),
        ("Validation loss of that epoch", "nats"),
    )
    headers = [Header("Architecture", numeric=False)]
    for text, unit in columns:
        headers += [Header(text, unit), Header(text, f"{unit}, {where}")]
    return Table(
        id="bests-table",
        caption="Best epochs, and what the paper's text says of its own",
        headers=tuple(headers),
        rows=tuple(_bests_row(run, trial) for trial in trials),
        note="The paper's are from its section 6.1, which says nothing of the DenseNets; there it "
        "gives each best accuracy “with loss”, here it is the loss of the same epoch. Its training "
        "losses above 1 nat beside training accuracies above 93 % are as printed.",
        sortable=True,
    )


def _bests_row(run: RunReport, trial: TrialReport) -> tuple[Cell, ...]:
    training, validation = _best(trial, "accuracy"), _best(trial, "val_accuracy")
    ours = (training.accuracy, training.loss, validation.val_accuracy, validation.val_loss)
    printed = paper.best_epochs().get(trial.record.architecture)
    theirs = astuple(printed) if printed else (None,) * len(ours)
    name = run.name_of(trial)
    shows = (percent, _loss, percent, _loss)
    cells = [
        number_cell(value, show(value))
        for one, other, show in zip(ours, theirs, shows, strict=True)
        for value in (one, other)
    ]
    return (Cell(name, name), *cells)


def _loss(value: float | None) -> str:
    return fixed(value, 3)


def _best(trial: TrialReport, column: str) -> EpochRow:
    """The first epoch with the highest accuracy of that column; NaN counts as lowest."""

    def rank(row: EpochRow) -> float:
        value: float = getattr(row, column)
        return -math.inf if math.isnan(value) else value

    return max(trial.history, key=rank)
