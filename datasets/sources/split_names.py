"""Folders, files and columns named after a split, as public copies spell it, and their use."""

import re
from collections.abc import Iterable
from typing import Final, Literal

from datasets.manifest import SplitName

TEST_SPLIT: Final = "test split"
"""Why a row is left out that lies in a test set: no model may be chosen on it."""

Role = SplitName | Literal["test split"] | None
"""What a split of the source becomes; None: the source has only this one, `prepare` divides it."""

Kind = Literal["train", "validation", "test"]

_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(
        ("validation", "validate", "valid", "val", "dev", "devel", "development"), "validation"
    ),
    **dict.fromkeys(("eval", "evaluation", "publictest"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "privatetest", "holdout"), "test"),
}

# Words that do not tell which split it is: `train_set`, `val_images`, `FER2013Test`.
_FILLERS: Final = frozenset(
    (
        *("set", "data", "dataset", "split", "folder", "list", "csv", "label", "labels"),
        *("image", "images", "img", "imgs", "pictures", "photos", "face", "faces"),
        *("aligned", "cropped", "crops"),
        *("affectnet", "fer", "ferplus", "raf", "rafdb", "db", "ck", "expw"),
    )
)
# The words of a name, also where only a capital letter or a number parts them.
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_GLUED: Final = re.compile(r"(train|training|val|valid|validation|test)(set|data|images|imgs?)")
_PARTS: Final = re.compile(r"[-_. ]")
_OF_TWO: Final = {("public", "test"): "publictest", ("private", "test"): "privatetest"}


def kind_of(name: str) -> Kind | None:
    """Return the kind of split that a name means, or None.

    Any case and separator (`PublicTest`, `val_images`, `TRAIN-set`, `FER2013Valid`). A name of
    several kinds (`train_val`) is of none.
    """
    words = _words(name)
    kinds = {_KINDS[word] for word in words if word in _KINDS}
    rest = [word for word in words if word not in _KINDS and not word.isdigit()]
    if len(kinds) != 1 or not _FILLERS.issuperset(rest):
        return None
    return kinds.pop()


def kind_of_list(stem: str) -> Kind | None:
    """Return the kind of split that the name of a list means (`train_labels`, `val_2`), or None.

    One word that does is enough, where no other means another.
    """
    kinds = {kind for part in _PARTS.split(stem) if (kind := kind_of(part)) is not None}
    return kinds.pop() if len(kinds) == 1 else None


def _words(name: str) -> list[str]:
    words = [word.casefold() for word in _WORD.findall(name)]
    for pair, one in _OF_TWO.items():
        for place in range(len(words) - 1):
            if tuple(words[place : place + 2]) == pair:
                return [*words[:place], one, *words[place + 2 :]]
    return [part for word in words for part in _parts(word)]


def _parts(word: str) -> tuple[str, ...]:
    glued = _GLUED.fullmatch(word)
    return (word,) if glued is None else glued.groups()


def roles(names: Iterable[str]) -> dict[str, Role]:
    """Return the role of each name that is a split's.

    A test set is the validation set where there is no other, and is left out where there is one.
    """
    kinds = {name: kind for name in names if (kind := kind_of(name)) is not None}
    present = set(kinds.values())
    test_left_out = {"validation", "test"} <= present
    alone = len(present - {"test"} if test_left_out else present) == 1

    def role(kind: Kind) -> Role:
        if kind == "test" and test_left_out:
            return TEST_SPLIT
        if alone:
            return None
        return "train" if kind == "train" else "validation"

    return {name: role(kind) for name, kind in kinds.items()}


def no_split(name: str) -> str:
    """Why a row is left out that lies beside the splits, by its folder, file or column value."""
    if not name:
        return "without a split, beside those that have one"
    return f"in {name!r}, which names no split beside those that do"
