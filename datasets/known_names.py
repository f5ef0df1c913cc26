"""What names of image files tell of persons: sets that are known, and names that look like it.

The known sets name each file after its person: CK+ (Lucey et al., CVPR workshops 2010), also as
CK+48, JAFFE (Lyons et al., FG 1998) and KDEF (Lundqvist, Flykt and Öhman, 1998).
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from datasets.labels import NUM_CLASSES

_EMOTION: Final = "(?:AF|AN|DI|FE|HA|NE|SA|SU)"
_SUFFIX: Final = r"(?:\.[A-Z]{2,5}){0,2}"


def _names(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern + _SUFFIX, re.IGNORECASE)


_KNOWN: Final = {
    # Subject, sequence, frame.
    "CK+": _names(r"(S\d{3})_\d{3}_\d{8}"),
    # The model's initials, expression and take, number.
    "JAFFE": _names(rf"([A-Z]{{2}})\.{_EMOTION}\d\.\d{{1,3}}"),
    # Session A or B, then gender and number: the person; expression; angle.
    "KDEF": _names(rf"[AB]([FM]\d\d){_EMOTION}(?:S|[FH][LR])"),
}

# Something with a number in it, a separator, a number that may be called `frame` or `img`.
_SEQUENCE: Final = re.compile(r"(.*\d.*)[-_. ][a-z]{0,6}\d{1,8}", re.IGNORECASE)
_LEAST_OF_THAT_FORM: Final = 0.9
_LEAST_SHARED: Final = 0.8
_LEAST_PREFIXES: Final = 8
# Prefixes with hundreds of images each, on average, are parts of a data set.
_MOST_A_PREFIX: Final = 500
# So few prefixes, of one label each, may be the classes (`3_0001.png`, `train_3_0001.png`).
_MAY_BE_CLASSES: Final = 4 * NUM_CLASSES


class Person(NamedTuple):
    """A person of a known set."""

    data_set: str
    name: str


def known_person(path: str) -> Person | None:
    """Return who the name of an image file shows; None where it is of no known set."""
    name = PurePosixPath(path).name
    for data_set, pattern in _KNOWN.items():
        found = pattern.fullmatch(name)
        if found is not None:
            return Person(data_set, found[1].upper())
    return None


class Alike(NamedTuple):
    """Names that look like several images of one person or sequence."""

    images: int
    examples: tuple[str, str]
    """Two names that share what comes before their last number."""


def alike_names(paths: Sequence[str], labels: Sequence[int]) -> Alike | None:
    """Say whether images are named `PREFIX_NUMBER`, many of them with the same prefixes.

    Rather none too few than one too many: the prefix must have a number in it (`S010_004`, not
    `train`, nor a word that was searched for), nearly all names must be of this form, most must
    share their prefix, and there must be many prefixes, that are not just the labels.
    """
    by_prefix: dict[str, list[int]] = defaultdict(list)
    for place, path in enumerate(paths):
        found = _SEQUENCE.fullmatch(PurePosixPath(path).stem)
        if found is not None:
            by_prefix[found[1]].append(place)
    of_that_form = sum(map(len, by_prefix.values()))
    shared = [places for places in by_prefix.values() if len(places) > 1]
    images = sum(map(len, shared))
    if (
        of_that_form < _LEAST_OF_THAT_FORM * len(paths)
        or images < _LEAST_SHARED * len(paths)
        or len(by_prefix) < _LEAST_PREFIXES
        or images > _MOST_A_PREFIX * len(by_prefix)
    ):
        return None
    if len(by_prefix) <= _MAY_BE_CLASSES and all(
        len({labels[place] for place in places}) == 1 for places in shared
    ):
        return None
    one, other, *_ = shared[0]
    return Alike(images, (PurePosixPath(paths[one]).name, PurePosixPath(paths[other]).name))
