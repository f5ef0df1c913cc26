"""Numbered labels and the names that say what the numbers mean."""

from collections.abc import Mapping

from datasets.errors import ConfigError
from datasets.labels import EXPRESSIONS, UnknownLabelError, parse_label

LabelNames = Mapping[int, str]
"""The name of each number."""


def names_by_option(label_names: str) -> LabelNames:
    """Return the names of `--label-names`, in order from 0.

    Raises `ConfigError` for one that names no expression.
    """
    names = dict(enumerate(name.strip() for name in label_names.split(",")))
    for name in names.values():
        try:
            parse_label(name)
        except UnknownLabelError as error:
            raise ConfigError(
                f"label names {label_names!r}: {name!r} names no expression; give the names of "
                f"the labels 0, 1, ... in order, such as {','.join(EXPRESSIONS)}"
            ) from error
    return names


def named_code(number: int, names: LabelNames) -> int:
    """Return the code 0 to 10 that label `number` means.

    Raises `UnnamedLabelError`, whose text is the reason, if it has no name or an unknown one.
    """
    name = names.get(number)
    if name is None:
        raise UnnamedLabelError(f"label {number} is none of the {len(names)} classes")
    try:
        return parse_label(name)
    except UnknownLabelError as error:
        raise UnnamedLabelError(
            f"label {number} is {name[:60]!r}, which names no expression"
        ) from error


class UnnamedLabelError(ValueError):
    """A number that is no label; the text says why."""
