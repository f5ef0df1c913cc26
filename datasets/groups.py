"""Which images belong together, so that no split may part them: persons, or sequences.

What the user says (`--group-by`, `--group-column`) decides; else the names of a known set do.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from datasets.errors import DataError
from datasets.group_splits import GroupKey
from datasets.known_names import Person, alike_names, known_person
from datasets.sources import SourceOptions, SourceRow
from datasets.sources.base import NO_GROUPS

LEAST_GROUPED_PERCENT: Final = 90
"""Of the images, must have a group; each of the others is a group of its own."""
_NAMED: Final = "group"
_ALONE: Final = "image"


class Groups(NamedTuple):
    """The groups of a source's images."""

    keys: list[GroupKey]
    """Of each row."""
    told: str
    """Where they are from; for people."""

    @property
    def names(self) -> set[GroupKey]:
        """The groups, without images that are groups of their own."""
        return {key for key in self.keys if key[0] == _NAMED}


class FoundGroups(NamedTuple):
    """The groups, if there are any, and what is to be told beside, with how many images."""

    groups: Groups | None
    remarks: dict[str, int]


def find_groups(rows: Sequence[SourceRow], options: SourceOptions, source: str) -> FoundGroups:
    """Return the groups of the rows, by what the user says or by the names of a known set.

    Raises `DataError` where what the user says groups fewer images than
    `LEAST_GROUPED_PERCENT`.
    """
    if options.group_by == NO_GROUPS or not rows:
        return FoundGroups(None, {})
    if options.group_column is not None:
        told = f"--group-column {options.group_column}"
        return _grouped(rows, [row.group for row in rows], told, source)
    if options.group_by is not None:
        pattern = re.compile(options.group_by)
        told = f"--group-by {options.group_by}"
        return _grouped(rows, [_match(pattern, row.path) for row in rows], told, source)
    if any(row.group is not None for row in rows):
        told = "what the layout tells; --group-by none turns it off"
        return _grouped(rows, [row.group for row in rows], told, source)
    return _by_known_names(rows, source)


def _match(pattern: re.Pattern[str], path: str) -> str | None:
    """Return the first capture group of a match, or all of it where the pattern has none."""
    found = pattern.search(path)
    if found is None:
        return None
    return found[1 if pattern.groups else 0] or None


def _grouped(
    rows: Sequence[SourceRow], names: Sequence[str | None], told: str, source: str
) -> FoundGroups:
    alone = names.count(None)
    if _are_too_many(alone, len(rows)):
        example = rows[names.index(None)].path
        raise DataError(
            f"{told} gives {len(rows) - alone:,} of {len(rows):,} images of {source} a group, and "
            f"none to {example!r}, for one: give what groups {LEAST_GROUPED_PERCENT} % of them at "
            "least, or leave it out"
        )
    keys = [
        (_ALONE, row.image_id) if name is None else (_NAMED, name)
        for row, name in zip(rows, names, strict=True)
    ]
    remark = f"without a group by {told}, so each a group of its own"
    return FoundGroups(Groups(keys, told), {remark: alone} if alone else {})


def _by_known_names(rows: Sequence[SourceRow], source: str) -> FoundGroups:
    persons = _known_persons(rows)
    if persons is not None:
        sets = " and ".join(sorted({one.data_set for one in persons if one is not None}))
        told = f"persons of {sets}, by the names of the images; --group-by none turns it off"
        names = [None if one is None else " ".join(one) for one in persons]
        return _grouped(rows, names, told, source)
    loose = [row for row in rows if row.split is None]
    alike = alike_names([row.path for row in loose], [row.label for row in loose])
    if alike is None:
        return FoundGroups(None, {})
    remark = (
        f"names look like several images of one person or sequence (such as "
        f"{' and '.join(alike.examples)}): give --group-by to keep them in one split"
    )
    return FoundGroups(None, {remark: alike.images})


def _known_persons(rows: Sequence[SourceRow]) -> list[Person | None] | None:
    """Return who each row shows, if nearly all are named as in known sets; None: they are not."""
    persons: list[Person | None] = []
    lacking = 0
    for row in rows:
        persons.append(known_person(row.path))
        lacking += persons[-1] is None
        if _are_too_many(lacking, len(rows)):
            return None
    return persons


def _are_too_many(alone: int, rows: int) -> bool:
    return 100 * (rows - alone) < LEAST_GROUPED_PERCENT * rows
