"""What a report is made of, form aside: the page, its sections, tables and figures.

Texts are plain: each form (HTML, Markdown) escapes them itself.
"""

import base64
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Cell:
    """One table cell. `sort` orders it; None sorts last. `share` (0 to 1) tints it."""

    text: str
    sort: float | str | None = None
    detail: str = ""
    best: bool = False
    share: float | None = None
    state: str = ""


@dataclass(frozen=True)
class Header:
    """A column's header; `unit` is printed smaller beneath it. A chooser finds it by its `key`."""

    text: str
    unit: str = ""
    numeric: bool = True
    key: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first cell of each row heads the row. `folded`: the page opens it on demand."""

    id: str
    caption: str
    headers: tuple[Header, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    sortable: bool = False
    sorted_by: int | None = None
    folded: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headers):
                raise ValueError(f"table {self.id}: {len(row)} cells, {len(self.headers)} headers")


@dataclass(frozen=True)
class Figure:
    """A plotly figure. `alternative` says in words what it shows; `table_id` holds its figures.

    With `choices`, pairs of a trace's `meta.trial` and what readers call it, only the traces of the
    chosen one are drawn (the first at the start), and those whose `meta.trial` is null.
    """

    id: str
    caption: str
    alternative: str
    plotly_json: str
    table_id: str
    has_training: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    chooser_id: str = ""
    """It shows only what this chooser leaves; such figures stand side by side."""


@dataclass(frozen=True)
class Limit:
    """A largest value that a reader may set for the column of this key."""

    key: str
    label: str
    unit: str
    largest: float
    """What the table holds at most."""


@dataclass(frozen=True)
class Chooser:
    """Limits that the rows of a table must keep; the table's rows are named in its first column."""

    id: str
    table_id: str
    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class Picture:
    """A picture within the page: `png` is the file's bytes, `alternative` says what it shows."""

    png: bytes
    caption: str
    alternative: str

    @property
    def address(self) -> str:
        """The picture as a `data:` address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side."""

    id: str
    caption: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Section:
    """A heading; paragraphs, bullets, a chooser, figures, tables, galleries in this order."""

    id: str
    title: str
    paragraphs: tuple[str, ...] = ()
    bullets: tuple[str, ...] = ()
    chooser: Chooser | None = None
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    galleries: tuple[Gallery, ...] = ()


@dataclass(frozen=True)
class Card:
    """A key figure."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Notice:
    """What a reader must know before the figures."""

    kind: Literal["warning", "note"]
    text: str


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    lead: tuple[str, ...]
    cards: tuple[Card, ...]
    notices: tuple[Notice, ...]
    sections: tuple[Section, ...]
    files: tuple[str, ...] = (
        *(
            "results.csv",
            "per_class.csv",
            "comparisons.csv",
            "results.json",
            "report.md",
            "tables.tex",
        ),
    )
    """The same as data: paths from the report's directory."""
