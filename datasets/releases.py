"""Releases of public data sets, known by how many images of each expression they hold."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from datasets.drawn import AFFECTNET_TRAIN_COUNTS
from datasets.label_orders import LabelOrder, fitting_orders
from datasets.labels import EXPRESSIONS
from datasets.manifest import SPLITS, SplitName

Counts = tuple[int, ...]
"""Images by expression code."""

_VALIDATION_500: Final[Counts] = (500,) * len(EXPRESSIONS)

PAPER_TABLE_1: Final[Counts] = tuple(count + 500 for count in AFFECTNET_TRAIN_COUNTS)
"""Images of each expression in table 1 of Mostafa, El-Sayed and Belal, "Benchmarking of
convolutional neural networks for facial expressions recognition": training and validation (500
of each) together, 291,651 in all."""

# What a copy may lack and still be recognised: files that are broken or missing.
_MAX_LACKING = 0.01
_MAX_LACKING_OF_CLASS = 0.05


class Release(NamedTuple):
    """A published data set."""

    name: str
    train: Counts
    validation: Counts

    @property
    def label(self) -> str:
        """The name and the number of images of each split."""
        return f"{self.name}: {sum(self.train):,} + {sum(self.validation):,}"


def _without_contempt(counts: Counts) -> Counts:
    return (*counts[:-1], 0)


# AffectNet: Mollahosseini, Hasani and Mahoor, IEEE T-AC 10(1), 2019. Copies without one image of
# contempt in validation are as common as whole ones.
# FER2013: the columns of `Usage` in fer2013.csv. RAF-DB: the basic set's list_patition_label.txt.
_FER2013_TRAIN: Final[Counts] = (4965, 7215, 4830, 3171, 4097, 436, 3995, 0)
_FER2013_PUBLIC: Final[Counts] = (607, 895, 653, 415, 496, 56, 467, 0)
_FER2013_PRIVATE: Final[Counts] = (626, 879, 594, 416, 528, 55, 491, 0)
_FER2013_BOTH: Final[Counts] = tuple(
    public + private for public, private in zip(_FER2013_PUBLIC, _FER2013_PRIVATE, strict=True)
)

RELEASES: Final[tuple[Release, ...]] = (
    Release("AffectNet 2017, 8 classes", AFFECTNET_TRAIN_COUNTS, _VALIDATION_500),
    Release("AffectNet 2017, 8 classes", AFFECTNET_TRAIN_COUNTS, (*_VALIDATION_500[:-1], 499)),
    Release(
        "AffectNet 2017, 7 classes",
        _without_contempt(AFFECTNET_TRAIN_COUNTS),
        _without_contempt(_VALIDATION_500),
    ),
    Release("FER2013, public test", _FER2013_TRAIN, _FER2013_PUBLIC),
    Release("FER2013, private test", _FER2013_TRAIN, _FER2013_PRIVATE),
    Release("FER2013, both tests", _FER2013_TRAIN, _FER2013_BOTH),
    Release(
        "RAF-DB, basic",
        (2524, 4772, 1982, 1290, 281, 717, 705, 0),
        (680, 1185, 478, 329, 74, 160, 162, 0),
    ),
)


def recognise(classes_by_split: Mapping[SplitName, Mapping[str, int]]) -> str | None:
    """Name the release whose counts these are, or None.

    `classes_by_split` has the rows per expression for each split, as the manifest. Up to 1 % of
    the images may be lacking, and 5 % of any one class; the text says how many are.
    """
    found = {split: _counts(classes_by_split.get(split, {})) for split in SPLITS}
    lacking = {release: _lacking(release, found) for release in RELEASES}
    known = {release: number for release, number in lacking.items() if number is not None}
    if not known:
        return None
    release = min(known, key=lambda one: known[one])
    missing = known[release]
    return release.label if not missing else f"{release.label}, {missing:,} of them lacking"


def order_by_counts(images_by_number: Mapping[int, int]) -> tuple[LabelOrder, str] | None:
    """Return what numbers mean by how many images each has, and the release that says so.

    The counts are those of a release's training or validation part, or of both: all of them and
    each another one, in any order; or in a known order (`label_orders`) with as many lacking as
    `recognise` allows. None where no release says it, or two say different things.
    """
    found = {number: count for number, count in images_by_number.items() if count}
    said: dict[tuple[tuple[int, int], ...], str] = {}
    for release in RELEASES:
        both = tuple(map(sum, zip(release.train, release.validation, strict=True)))
        for part in (release.train, release.validation, both):
            for order in _orders_of(part, found):
                said.setdefault(tuple(sorted(order.items())), release.name)
    if len(said) != 1:
        return None
    ((order_items, name),) = said.items()
    return dict(order_items), name


def _orders_of(part: Counts, found: Mapping[int, int]) -> Iterator[LabelOrder]:
    """Yield what the numbers can mean, if their images are this part of a release."""
    codes = {count: code for code, count in enumerate(part) if count}
    if len(codes) == sum(count > 0 for count in part) and sorted(codes) == sorted(found.values()):
        yield {number: codes[count] for number, count in found.items()}
        return
    for order in fitting_orders(found).values():
        if _fits(part, order, found) and not _fits_otherwise(part, order, found):
            yield {number: order[number] for number in found}


def _fits(part: Counts, order: LabelOrder, found: Mapping[int, int]) -> bool:
    counts = [0] * len(EXPRESSIONS)
    for number, count in found.items():
        if order[number] < len(counts):
            counts[order[number]] += count
    return _lacking_of(part, counts) is not None


def _fits_otherwise(part: Counts, order: LabelOrder, found: Mapping[int, int]) -> bool:
    """Whether two numbers could be exchanged: counts that are alike tell nothing.

    AffectNet's validation part has 500 of each, and so has any balanced set.
    """
    return any(
        _fits(part, {**order, one: order[other], other: order[one]}, found)
        for one, other in combinations(found, 2)
    )


def _counts(classes: Mapping[str, int]) -> Counts:
    return tuple(classes.get(name, 0) for name in EXPRESSIONS)


def _lacking(release: Release, found: Mapping[SplitName, Counts]) -> int | None:
    """Return how many images of a release are not there, or None if it is another data set."""
    expected = (*release.train, *release.validation)
    return _lacking_of(expected, (*found["train"], *found["validation"]))


def _lacking_of(expected: Counts, actual: Sequence[int]) -> int | None:
    total = 0
    for want, have in zip(expected, actual, strict=True):
        if not want * (1 - _MAX_LACKING_OF_CLASS) <= have <= want:
            return None
        total += want - have
    return total if total <= _MAX_LACKING * sum(expected) else None
