r"""The report's tables as LaTeX with booktabs: one `table` environment each.

`tables.tex` is both a document (`pdflatex tables.tex`) and a part of one (`\input{tables}`, with
booktabs and graphicx loaded): it looks whether a document has begun already.
"""

import re
import textwrap

from orchestrator.report.blocks import Cell, Header, Page, Section, Table
from orchestrator.report.formats import one_line
from orchestrator.report.forms.latex_text import escape, escape_breakable

_OPENING = r"""%% The tables of the report. Compile this file, or \input it in a document that loads
%%   \usepackage{booktabs,graphicx}
%% \ref{tab:accuracy-table} and so on refer to them.
\expandafter\ifx\csname @nodocument\endcsname\relax
  \let\ferorchend\relax
\else
  \documentclass{article}
  \usepackage[a4paper,margin=2cm]{geometry}
  \usepackage{booktabs,graphicx}
  \def\ferorchend{\end{document}}
  \begin{document}
\fi
"""
_CLOSING = "\\ferorchend\n"

# Rows that fit on a page, and characters that fit on a line (17 cm of 9 pt, shrunk a little). A
# larger table goes on in the next, its first column repeated.
_ROWS = 40
_LINE = 118.0
_GAP = 2.6
# Characters of a cell beyond which its lines are broken, and of a header likewise.
_WIDE = 40
_TEXT_WIDTH = "6.5cm"
_HEADER = 14
_UNIT = 20


def to_latex(page: Page) -> str:
    """The whole file."""
    parts = [_OPENING]
    for section in page.sections:
        parts += _section(section)
    return "\n".join([*parts, _CLOSING])


def _section(section: Section) -> list[str]:
    tables = [part for table in section.tables for part in _tables(table)]
    return [f"%% {escape(section.title)}", *tables, r"\clearpage", ""] if tables else []


def _tables(table: Table) -> list[str]:
    """The parts of a table: by columns, each by rows."""
    parts = [
        (columns, start)
        for columns in _column_groups(table)
        for start in range(0, max(len(table.rows), 1), _ROWS)
    ]
    return [
        _environment(table, columns, start, number, len(parts))
        for number, (columns, start) in enumerate(parts, start=1)
    ]


def _column_groups(table: Table) -> list[list[int]]:
    """Columns that fit on a line together, about equally many in each group."""
    widths = [_width(table, column) for column in range(len(table.headers))]
    groups, limit = _filled(widths, _LINE), _LINE - 1
    while len(narrower := _filled(widths, limit)) == len(groups) > 1:
        groups, limit = narrower, limit - 1
    return groups


def _filled(widths: list[float], limit: float) -> list[list[int]]:
    """Columns in groups of at most that width, the first of the table in front of each."""
    groups, taken = [[0]], widths[0]
    for column in range(1, len(widths)):
        if taken + widths[column] > limit and groups[-1] != [0]:
            groups.append([0])
            taken = widths[0]
        groups[-1].append(column)
        taken += widths[column]
    return groups


def _width(table: Table, column: int) -> float:
    """Of a column, in characters, about."""
    header = max(map(len, _header_lines(table.headers[column])), default=0)
    cells = (len(row[column].text) + 0.8 * len(row[column].detail) for row in table.rows)
    return max(header, min(_WIDE, max(cells, default=0))) + _GAP


def _environment(table: Table, columns: list[int], start: int, number: int, parts: int) -> str:
    """One part as a `table`; the label stands with the first, the note with the last."""
    caption = rf"\caption{{{escape(table.caption)}}}\label{{tab:{_label(table)}}}"
    if number > 1:
        caption = rf"\addtocounter{{table}}{{-1}}\caption{{{escape(table.caption)} (continued)}}"
    headers = [table.headers[column] for column in columns]
    rows = table.rows[start : start + _ROWS]
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\small",
        caption,
        # What is wider than the line all the same, in a narrow document say, shrinks to it.
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{''.join(map(_alignment, headers))}@{{}}}}",
        r"\toprule",
        _line([_header(header) for header in headers]),
        r"\midrule",
        *(_line([_cell(row[column]) for column in columns]) for row in rows),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    if table.note and number == parts:
        lines.append(rf"\par\smallskip{{\footnotesize\raggedright {escape(table.note)}\par}}")
    return "\n".join([*lines, r"\end{table}", ""])


def _label(table: Table) -> str:
    return re.sub("[^A-Za-z0-9-]", "-", table.id)


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _alignment(header: Header) -> str:
    return "r" if header.numeric else "l"


def _header_lines(header: Header) -> list[str]:
    """The name in short lines."""
    return textwrap.wrap(one_line(header.text), _HEADER, break_long_words=False)


def _header(header: Header) -> str:
    """The name in short lines above its unit, which is printed smaller."""
    lines = [escape(line) for line in _header_lines(header)]
    lines += [_small(line) for line in textwrap.wrap(one_line(header.unit), _UNIT)]
    stacked = r" \\ ".join(lines)
    return rf"\shortstack[{_alignment(header)}]{{{stacked}}}" if len(lines) > 1 else stacked


def _small(text: str) -> str:
    return rf"{{\scriptsize {escape(text)}}}" if text else ""


def _cell(cell: Cell) -> str:
    if max(len(cell.text), len(cell.detail)) > _WIDE:
        text = _starred(escape_breakable(cell.text), cell.best)
        detail = f": {escape_breakable(cell.detail)}" if cell.detail else ""
        return rf"\parbox[t]{{{_TEXT_WIDTH}}}{{\raggedright {text}{detail}\strut}}"
    return f"{_starred(escape(cell.text), cell.best)} {_small(cell.detail)}".rstrip()


def _starred(escaped: str, best: bool) -> str:
    return rf"\textbf{{{escaped}}}$\,\star$" if best else escaped
