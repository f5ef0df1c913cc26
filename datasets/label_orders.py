"""What numbers mean that are labels: the orders in which people count the expressions.

A number alone says nothing: AffectNet's 0 is neutral, FER2013's is anger. So a number becomes a
label where its layout defines it, where the user names the order, or where the counts of a known
release leave no doubt; else the user is asked.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from datasets.errors import ConfigError
from datasets.labels import (
    EXCLUDED,
    EXPRESSIONS,
    NUM_CLASSES,
    UnknownLabelError,
    parse_name,
    parse_number,
)

LabelOrder = Mapping[int, int]
"""The code 0 to 10 of each number."""

ALPHABETICAL: Final = "alphabetical"
_BY_NAME: Final = tuple(sorted(range(NUM_CLASSES), key=lambda code: EXPRESSIONS[code]))
_CONTEMPT: Final = EXPRESSIONS.index("Contempt")
_BY_NAME_OF_SEVEN: Final = tuple(code for code in _BY_NAME if code != _CONTEMPT)

RAF_DB: Final[LabelOrder] = {1: 3, 2: 4, 3: 5, 4: 1, 5: 2, 6: 6, 7: 0}
"""Surprise, Fear, Disgust, Happiness, Sadness, Anger, Neutral (RAF-DB's own page)."""
FER2013: Final[LabelOrder] = dict(enumerate((6, 5, 4, 1, 2, 3, 0)))
"""Angry, Disgust, Fear, Happy, Sad, Surprise, Neutral (fer2013.csv)."""
FERPLUS: Final[LabelOrder] = dict(enumerate((0, 1, 3, 2, 6, 5, 4, 7, 9, 10)))
"""FER+'s columns: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown,
NF (Barsoum et al., ICMI 2016)."""

# An alphabetical order depends on how many expressions there are: see `order_named`.
_FIXED: Final[dict[str, LabelOrder]] = {
    "affectnet": {code: code for code in range(NUM_CLASSES + len(EXCLUDED))},
    "fer2013": FER2013,
    "ferplus": FERPLUS,
    "raf-db": RAF_DB,
}
# Numbers of seven or eight expressions that somebody counted from 1.
_FROM_ONE: Final = (set(range(1, NUM_CLASSES)), set(range(1, NUM_CLASSES + 1)))
ORDERS: Final = (*_FIXED, ALPHABETICAL)
"""What `--label-order` may name."""


def order_named(name: str, numbers: Iterable[int]) -> LabelOrder:
    """Return the order of a name, for data that have these numbers.

    The alphabetical one is of seven expressions, without contempt, for 0 to 6, and of eight where
    there is a 7. Raises `ConfigError` for another name, and where fewer numbers leave both open.
    """
    if name not in ORDERS:
        raise ConfigError(f"unknown label order {name!r}: use one of {', '.join(ORDERS)}")
    found = set(numbers)
    if name != "raf-db" and found in _FROM_ONE:
        raise ConfigError(
            f"label order {name}: it begins with 0, and the labels are {shown_numbers(found)}, so "
            "they may be counted from 1; name each with --label-names 1=...,2=...,..."
        )
    if name in _FIXED:
        return _FIXED[name]
    if max(found, default=0) >= NUM_CLASSES - 1:
        return dict(enumerate(_BY_NAME))
    if found == set(range(NUM_CLASSES - 1)):
        return dict(enumerate(_BY_NAME_OF_SEVEN))
    raise ConfigError(
        f"label order alphabetical: the numbers {shown_numbers(found)} may be of seven expressions "
        "or of eight; name them with --label-names"
    )


def order_given(label_names: str) -> LabelOrder:
    """Return the order of `--label-names`: names from 0 on, or `NUMBER=NAME`, with commas between.

    Raises `ConfigError` for one that names no expression, and for a number that has two names.
    """
    order: dict[int, int] = {}
    for place, part in enumerate(label_names.split(",")):
        left, equals, right = part.rpartition("=")
        number = parse_number(left) if equals else place
        if number is None or number in order:
            raise ConfigError(
                f"label names {label_names!r}: {part.strip()!r} is no NUMBER=NAME of its own; give "
                "all names in order from 0, or 1=Surprise,2=Fear,..."
            )
        try:
            order[number] = parse_name(right)
        except UnknownLabelError as error:
            raise ConfigError(
                f"label names {label_names!r}: {right.strip()!r} names no expression; give the "
                f"names of the labels 0, 1, ... in order, such as {','.join(EXPRESSIONS)}"
            ) from error
    return order


def fitting_orders(numbers: Iterable[int]) -> dict[str, LabelOrder]:
    """Return the known orders that have all of these numbers, by name."""
    found = set(numbers)
    fits = {}
    for name in ORDERS:
        try:
            order = order_named(name, found)
        except ConfigError:
            continue
        if found <= order.keys():
            fits[name] = order
    return fits


def name_of(code: int) -> str:
    """The name of a code 0 to 10."""
    return EXPRESSIONS[code] if code < NUM_CLASSES else EXCLUDED[code]


def shown_order(order: LabelOrder, numbers: Iterable[int]) -> str:
    """What each number means: `0 Anger, 1 Disgust`; a number without a meaning is left out."""
    return ", ".join(f"{one} {name_of(order[one])}" for one in sorted(numbers) if one in order)


def shown_numbers(numbers: Iterable[int]) -> str:
    """Numbers as people write them: `0 to 6`, or `0, 2, 5`; many are cut short."""
    found = sorted(set(numbers))
    if len(found) > 2 and found[-1] - found[0] + 1 == len(found):
        return f"{found[0]} to {found[-1]}"
    more = "" if len(found) <= _SHOWN else f", … ({len(found)} different ones)"
    return ", ".join(map(str, found[:_SHOWN])) + more


_SHOWN = 12
