"""Folders and files named after a split, as public copies spell it, and what each is used for."""

from collections.abc import Iterable
from typing import Final, Literal

from datasets.manifest import SplitName

TEST_SPLIT: Final = "test split"
"""Why a row is left out that lies in a test set: no model may be chosen on it."""

Role = SplitName | Literal["test split"] | None
"""What a split of the source becomes; None: the source has only this one, `prepare` divides it."""

_KINDS: Final[dict[str, str]] = {
    **dict.fromkeys(("train", "training", "train_set"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "val_set"), "validation"),
    **dict.fromkeys(("test", "testing", "test_set"), "test"),
}


def kind_of(name: str) -> str | None:
    """Return `train`, `validation` or `test` for a usual name of it in any case, or None."""
    return _KINDS.get(name.casefold())


def roles(names: Iterable[str]) -> dict[str, Role]:
    """Return the role of each name that is a split's.

    A test set is the validation set where there is no other, and is left out where there is one.
    """
    kinds = {name: kind for name in names if (kind := kind_of(name)) is not None}
    present = set(kinds.values())
    test_left_out = {"validation", "test"} <= present
    alone = len(present - {"test"} if test_left_out else present) == 1

    def role(kind: str) -> Role:
        if kind == "test" and test_left_out:
            return TEST_SPLIT
        if alone:
            return None
        return "train" if kind == "train" else "validation"

    return {name: role(kind) for name, kind in kinds.items()}
