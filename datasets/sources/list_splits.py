"""The split of each row of a list: by a column that names it, or by the folders of its images."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from datasets.errors import DataError
from datasets.sources.paths import clean_text
from datasets.sources.split_names import Role, kind_of, no_split, roles

SPLIT_COLUMNS: Final = ("split", "usage", "set", "subset", "partition", "phase")
"""Columns that name a split, in any case; the first that is there is taken."""

_SHOWN = 5
# A column of so many different values, none of them a split, is something else.
_FEW = 20


@dataclass(frozen=True)
class ListSplits:
    """What became of the words that name splits in a list. `where` is the column, or "paths"."""

    where: str = ""
    by_word: dict[str, Role] | None = None
    """By the word as it stands; None: the list names no split."""

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
    only some do and the others are many.
    """
    found = Counter(clean_text(value.strip())[:60] for value in values)
    used = roles(found)
    if not used:
        return ListSplits()
    others = [word for word in found if word not in used]
    if len(others) > _FEW:
        raise DataError(
            f"column {column!r} names splits ({', '.join(sorted(used)[:_SHOWN])}) and "
            f"{len(others)} other things ({', '.join(sorted(others)[:_SHOWN])}, ...): mend it"
        )
    return ListSplits(f"column {column!r}", used)


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


def split_column(names: Sequence[str]) -> int | None:
    """Return the place of the column that names splits, by the names in a header; or None."""
    folded = [name.strip().casefold() for name in names]
    return next((folded.index(name) for name in SPLIT_COLUMNS if name in folded), None)
