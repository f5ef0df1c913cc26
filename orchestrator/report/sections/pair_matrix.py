"""Every two architectures at a glance: a square table of marks and differences."""

from orchestrator.report.blocks import Cell, Header, Table
from orchestrator.report.collect import title_of
from orchestrator.report.formats import MISSING, percent
from orchestrator.report.scores.comparisons import Comparisons

_AHEAD, _BEHIND, _SAME = ">", "<", "≈"


def pair_matrix(found: Comparisons) -> Table:
    """Rows against columns; the mark says it, the tint is only its second channel."""
    names = found.architectures
    return Table(
        id="pairs-table",
        caption="All pairs: row against column, difference in accuracy in points",
        headers=(
            Header("Architecture", numeric=False),
            *(Header(title_of(name)) for name in names),
        ),
        rows=tuple(
            (Cell(title_of(row)), *(_cell(found, row, column) for column in names)) for row in names
        ),
        note=f"{_AHEAD} the row is better than the column, {_BEHIND} it is worse, {_SAME} the two "
        "can't be told apart (exact McNemar, Holm's correction); tinted where they differ.",
    )


def _cell(found: Comparisons, row: str, column: str) -> Cell:
    if row == column:
        return Cell(MISSING)
    pair = found.pair(row, column)
    # Signs would say the mark again.
    size = percent(abs(pair.accuracy_difference))
    if not pair.is_different:
        return Cell(f"{_SAME} {size}", pair.test.holm_p)
    row_is_ahead = (pair.accuracy_difference > 0) == (pair.first == row)
    return Cell(f"{_AHEAD if row_is_ahead else _BEHIND} {size}", pair.test.holm_p, share=1.0)
