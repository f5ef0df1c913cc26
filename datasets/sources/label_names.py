"""Numbered labels whose names stand in the source itself."""

from collections.abc import Mapping

from datasets.labels import Number, UnknownLabelError, parse_free_label

LabelNames = Mapping[int, str]
"""The name of each number."""


def named_code(number: int, names: LabelNames) -> int | Number:
    """Return the code 0 to 10 that label `number` means, or the number that is its name.

    Tools that name classes after folders call them `0`, `1`, ... where the folders are numbered.
    Raises `UnnamedLabelError`, whose text is the reason, if it has no name or an unknown one.
    """
    name = names.get(number)
    if name is None:
        raise UnnamedLabelError(f"label {number} is none of the {len(names)} classes")
    try:
        return parse_free_label(name)
    except UnknownLabelError as error:
        raise UnnamedLabelError(
            f"label {number} is {name[:60]!r}, which names no expression"
        ) from error


class UnnamedLabelError(ValueError):
    """A number that is no label; the text says why."""
