"""Rows whose labels are numbers, and what these numbers mean: told, known by the counts, or asked.

The one place where a number of the user's data becomes a label. See `label_orders`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from datasets.errors import ConfigError, DataError
from datasets.label_orders import (
    LabelOrder,
    fitting_orders,
    name_of,
    order_given,
    order_named,
    shown_numbers,
    shown_order,
)
from datasets.releases import order_by_counts
from datasets.sources.base import (
    AnyRow,
    Numbered,
    Rejected,
    Remark,
    SourceOptions,
    SourceRow,
    labelled,
)

_NUMBERS_SHOWN = 24


class Named(NamedTuple):
    """The rows of a source with what their numbers mean."""

    rows: list[AnyRow]
    """None of them is `Numbered`."""
    told: str | None
    """What the numbers were taken for and why; None where there was no number."""


def named(rows: Iterable[AnyRow], options: SourceOptions, source: str) -> Named:
    """Give the numbers of a source their meaning.

    Raises `DataError` with the counts and the orders that could be meant where nothing tells it,
    `ConfigError` for an option that does not fit.
    """
    found = list(rows)
    images = Counter(row.row.label for row in found if isinstance(row, Numbered))
    if not images:
        # Where no row is left, that is what has to be told, not that none has a number.
        if not any(isinstance(row, Rejected) for row in found) or any(
            isinstance(row, SourceRow) for row in found
        ):
            _refuse_unused(options, source)
        return Named(found, None)
    order, why = _meaning(images, options, source)
    told = f"numbers {why}: {shown_order(order, images)}"
    return Named([one for row in found for one in _named(row, order)], told)


def _refuse_unused(options: SourceOptions, source: str) -> None:
    for name in ("label_names", "label_order"):
        if getattr(options, name) is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')} says what numbers mean, and {source} has none among "
                "its labels: leave it out"
            )


def _meaning(images: Counter[int], options: SourceOptions, source: str) -> tuple[LabelOrder, str]:
    if options.label_names is not None:
        return order_given(options.label_names), "as --label-names says"
    if options.label_order is not None:
        name = options.label_order
        return order_named(name, images), f"in the order {name}, as --label-order says"
    known = order_by_counts(images)
    if known is not None:
        return known[0], f"whose counts are those of {known[1]}"
    raise _unknown(images, source)


def _named(one: AnyRow, order: LabelOrder) -> tuple[AnyRow, ...]:
    if not isinstance(one, Numbered):
        return (one,)
    row = one.row
    if row.label not in order:
        known = shown_numbers(order)
        return (Rejected(row.origin, f"label {row.label} is none of the numbers {known}"),)
    named_row = labelled(row, order[row.label])
    differs = one.elsewhere is not None and one.elsewhere != order[row.label]
    return (Remark(one.if_other), named_row) if differs else (named_row,)


def _unknown(images: Counter[int], source: str) -> DataError:
    numbers = sorted(images)
    fits = fitting_orders(numbers)
    shown = "\n".join(_lines(images, fits))
    begin = (
        f"the labels of {source} are numbers ({shown_numbers(numbers)}), and nothing says what "
        f"they mean:\n{shown}\n"
    )
    if not fits:
        return DataError(
            f"{begin}No order that is known has just these numbers. If they are labels, name "
            f"each: --label-names {numbers[0]}=Neutral,...; if not, give the folder or the column "
            "that has the labels"
        )
    names = ",".join(f"{one}=..." for one in numbers[:3])
    return DataError(
        f"{begin}Say what they mean with --label-order {'|'.join(fits)}, or name each: "
        f"--label-names {names}"
    )


def _lines(images: Counter[int], fits: dict[str, LabelOrder]) -> list[str]:
    """A table: each number, its images, and what it would be in each order."""
    header = ["number", "images", *fits]
    numbers = sorted(images)[:_NUMBERS_SHOWN]
    rows = [
        [str(one), f"{images[one]:,}", *(name_of(order[one]) for order in fits.values())]
        for one in numbers
    ]
    table: Sequence[list[str]] = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    return lines if len(numbers) == len(images) else [*lines, "  …"]
