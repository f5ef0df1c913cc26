"""Which rows are of training and which of validation, and what is to be told of that."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from datasets.errors import DataError
from datasets.group_splits import validation_by_groups
from datasets.groups import Groups
from datasets.labels import EXPRESSIONS
from datasets.manifest import SPLITS, SplitName
from datasets.sources import SourceRow
from datasets.splits import validation_rows


@dataclass(frozen=True)
class Division:
    """Rows divided into training and validation."""

    by_split: dict[SplitName, list[int]]
    """Places of the rows, in the order of the source; no split is without."""
    told: str
    """Whose division it is; for people."""
    remarks: dict[str, int]
    """What else is to be told, with the images that it is of."""


def divide(
    rows: Sequence[SourceRow], groups: Groups | None, fraction: float, seed: int
) -> Division:
    """Divide the rows as their source does; of those of no split, hold out a part.

    That part is `fraction` of each class, drawn by `seed`; whole groups only, if there are groups.
    What the source has divided is not moved. Raises `DataError` if a split would have no row.
    """
    splits = _splits(rows, groups, fraction, seed)
    by_split: dict[SplitName, list[int]] = {split: [] for split in SPLITS}
    for place, split in enumerate(splits):
        by_split[split].append(place)
    for one, places in by_split.items():
        if not places:
            raise _without(one, rows, groups)
    loose = sum(row.split is None for row in rows)
    remarks = _one_sided(rows, groups, splits) if groups is not None and loose else {}
    return Division(by_split, _told(rows, groups, splits, fraction, seed), remarks)


def _splits(
    rows: Sequence[SourceRow], groups: Groups | None, fraction: float, seed: int
) -> list[SplitName]:
    """Return the split of each row."""
    loose = [place for place, row in enumerate(rows) if row.split is None]
    known: dict[int, SplitName] = {}
    if groups is not None:
        known = _with_their_group(rows, groups)
        loose = [place for place in loose if place not in known]
    labels = [rows[place].label for place in loose]
    if groups is None:
        chosen = validation_rows(labels, fraction, seed)
    else:
        keys = [groups.keys[place] for place in loose]
        chosen = validation_by_groups(labels, keys, fraction, seed)
    validation = {loose[place] for place in chosen}
    return [
        row.split or known.get(place, "validation" if place in validation else "train")
        for place, row in enumerate(rows)
    ]


def _with_their_group(rows: Sequence[SourceRow], groups: Groups) -> dict[int, SplitName]:
    """Return the split of rows without one, of whose group the source has others in a split."""
    pairs = zip(rows, groups.keys, strict=True)
    given = [(key, row.split) for row, key in pairs if row.split is not None]
    of_train = {key for key, split in given if split == "train"}
    of_validation = {key for key, split in given if split == "validation"}
    return {
        place: "train" if key in of_train else "validation"
        for place, (row, key) in enumerate(zip(rows, groups.keys, strict=True))
        if row.split is None and key in of_train | of_validation
    }


def _told(
    rows: Sequence[SourceRow],
    groups: Groups | None,
    splits: Sequence[SplitName],
    fraction: float,
    seed: int,
) -> str:
    loose = sum(row.split is None for row in rows)
    held_out = f"{fraction} of each class held out, seed {seed}"
    if not loose:
        told = "the source's own"
    elif loose == len(rows):
        told = held_out
    else:
        told = f"the source's own; of {loose:,} images {held_out}"
    return told if groups is None else f"{told}; {_groups_told(groups, splits, bool(loose))}"


def _groups_told(groups: Groups, splits: Sequence[SplitName], divided: bool) -> str:
    names = groups.names
    where: dict[SplitName, set[tuple[str, str]]] = {split: set() for split in SPLITS}
    for key, split in zip(groups.keys, splits, strict=True):
        where[split].add(key)
    both = len(where["train"] & where["validation"] & names)
    held_out = len(where["validation"] & names)
    parts = [f"{held_out:,} whole ones held out"] if divided and not both else []
    parts += [f"{both:,} are in both splits"] if both or not divided else []
    return f"of {len(names):,} groups ({groups.told}) {', '.join(parts)}"


def _one_sided(
    rows: Sequence[SourceRow], groups: Groups, splits: Sequence[SplitName]
) -> dict[str, int]:
    """Name the classes of which a split has no image because of the groups, with their images."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[row.label].append(place)
    remarks = {}
    for label, found in sorted(places.items()):
        there = {splits[place] for place in found}
        if len(there) == 1 and len(found) > 1:
            (lacking,) = set(SPLITS) - there
            one = len({groups.keys[place] for place in found}) == 1
            why = "all its images are of one group" if one else "because of the groups"
            remarks[f"{EXPRESSIONS[label]} has no image in {lacking}: {why}"] = len(found)
    return remarks


def _without(split: SplitName, rows: Sequence[SourceRow], groups: Groups | None) -> DataError:
    text = f"the source has no image for {split}: {len(rows)} image(s) can be used in all"
    if groups is None or len(rows) < 2:
        return DataError(text)
    return DataError(
        f"{text}, and no split may part their {len(set(groups.keys)):,} group(s) ({groups.told}), "
        "of which no two have an expression in common: give another --group-by, or --group-by none"
    )
