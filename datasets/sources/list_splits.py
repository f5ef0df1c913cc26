"""The split of each row of a list: by a column that names it, or by the folders of its images."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from datasets.errors import DataError
from datasets.sources.paths import clean_text
from datasets.sources.split_names import Role, kind_of, no_split, roles

SPLIT_COLUMNS: Final = ("split", "usage", "set", "subset", "partition", "phase")
"""Columns that name a split, in any case; the first that does is taken."""
_SURE_COLUMNS: Final = ("split", "usage", "partition")
"""Those that can hardly mean something else: other words in them are not passed over."""

_SHOWN = 5
# A column of so many different values, none of them a split, is something else.
_FEW = 20


@dataclass(frozen=True)
class ListSplits:
    """What became of the words that name splits in a list. `where` is the column, or "paths"."""

    where: str = ""
    by_word: dict[str, Role] | None = None
    """By the word as it stands; None: the list names no split."""
    column: str = ""
    """That has the words; empty where it is no column."""

    def of(self, word: str | None) -> tuple[Role, str | None]:
        """Return what a row with a word is used for, and why it is left out, if it is."""
        if self.by_word is None:
            return None, None
        word = clean_text((word or "").strip())[:60]
        if word in self.by_word:
            return self.by_word[word], None
        return None, no_split(word)


def column_splits(column: str, values: Iterable[str]) -> ListSplits:
    """Return what the values of a column that should name splits are used for.

    A column in which no value does names something else, and is none. Raises `DataError` where
    only some do and the others are many, and for a column `split`, `usage` or `partition` of few
    other words: who gave it that name means a split by them.
    """
    found = Counter(clean_text(value.strip())[:60] for value in values)
    used = roles(found)
    if not used:
        if column.casefold() in _SURE_COLUMNS and 1 < len(found) <= _FEW:
            words = ", ".join(sorted(found)[:_SHOWN])
            raise DataError(
                f"column {column!r} holds {words}, and none of these is a known name of a split: "
                "write train, validation or test there, or call the column otherwise"
            )
        return ListSplits()
    others = [word for word in found if word not in used]
    if len(others) > _FEW:
        raise DataError(
            f"column {column!r} names splits ({', '.join(sorted(used)[:_SHOWN])}) and "
            f"{len(others)} other things ({', '.join(sorted(others)[:_SHOWN])}, ...): mend it"
        )
    return ListSplits(f"column {column!r}", used, column)


def path_splits(names: Iterable[str]) -> ListSplits:
    """Return what the folders of images are used for, where these name more than one split."""
    words = {word for name in names if (word := split_folder(name)) is not None}
    if len({kind_of(word) for word in words}) < 2:
        return ListSplits()
    return ListSplits("paths", roles(words))


def split_folder(name: str) -> str | None:
    """Return the first folder of a relative path that names a split, or None."""
    folders = name.split("/")[:-1]
    return next((one for one in folders if kind_of(one) is not None), None)


def split_columns(names: Sequence[str]) -> list[int]:
    """Return the places of the columns that may name splits, by the names in a header."""
    folded = [name.strip().casefold() for name in names]
    return [folded.index(name) for name in SPLIT_COLUMNS if name in folded]


def first_split_column(
    names: Sequence[str], values: Callable[[int], Iterable[str]]
) -> tuple[int, ListSplits] | None:
    """Return the first column that names splits, with its words; `values` gives a column's.

    Columns of usual names come first; another one is taken if it holds nothing but names of splits,
    and more than one. Raises as `column_splits` does, but only where no other column names splits.
    """
    problem: DataError | None = None
    for place in split_columns(names):
        try:
            found = column_splits(names[place].strip(), values(place))
        except DataError as error:
            problem = problem or error
            continue
        if found.by_word is not None:
            return place, found
    for place, name in enumerate(names):
        if name and _are_splits_alone(values(place)):
            return place, column_splits(name.strip(), values(place))
    if problem is not None:
        raise problem
    return None


def _are_splits_alone(values: Iterable[str]) -> bool:
    words: set[str] = set()
    for value in values:
        words.add(value.strip())
        if len(words) > _FEW or kind_of(value) is None:
            return False
    return len({kind_of(word) for word in words}) > 1
