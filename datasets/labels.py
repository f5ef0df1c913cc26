"""The eight expressions of AffectNet, their codes and the names by which people call them.

Codes 0 to 7 are the classes that are trained; 8 to 10 are AffectNet's codes for images without
one of the eight expressions. They are counted apart and never trained on
(Mollahosseini, Hasani and Mahoor, AffectNet, IEEE T-AC 10(1), 2019, table 3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from datasets.errors import DataError

EXPRESSIONS: Final[tuple[str, ...]] = (
    "Neutral",
    "Happiness",
    "Sadness",
    "Surprise",
    "Fear",
    "Disgust",
    "Anger",
    "Contempt",
)
NUM_CLASSES: Final[int] = len(EXPRESSIONS)
HAPPINESS: Final[int] = EXPRESSIONS.index("Happiness")
"""Of the paper's four pictures."""
EXCLUDED: Final[dict[int, str]] = {8: "None", 9: "Uncertain", 10: "No-Face"}

# Spellings met in the public copies of AffectNet, FER-2013, RAF-DB and CK+.
_ALIASES: Final[dict[int, tuple[str, ...]]] = {
    0: ("neutrality", "calm"),
    1: ("happy", "joy", "smile"),
    2: ("sad",),
    3: ("surprised", "surprize"),
    4: ("fearful", "afraid", "scared"),
    5: ("disgusted",),
    6: ("angry",),
    7: ("contemptuous", "scorn"),
    8: (),
    9: (),
    10: ("noface", "nonface", "non-face"),
}


class UnknownLabelError(DataError):
    """A label that names none of the expressions and none of the excluded codes."""

    def __init__(self, value: object) -> None:
        valid = ", ".join(f"{code}={name}" for code, name in enumerate(EXPRESSIONS))
        excluded = ", ".join(f"{code}={name}" for code, name in EXCLUDED.items())
        super().__init__(
            f"unknown label {value!r}: use a name or a code of {valid}; "
            f"{excluded} are read and left out"
        )
        self.value = value


def _normalised(name: str) -> str:
    """Return ``name`` without case, surrounding spaces and differences of separator."""
    return "-".join(name.strip().casefold().replace("_", " ").replace("-", " ").split())


def _name_table() -> dict[str, int]:
    names = {**dict(enumerate(EXPRESSIONS)), **EXCLUDED}
    return {
        _normalised(spelling): code
        for code, name in names.items()
        for spelling in (name, *_ALIASES[code])
    }


_CODE_BY_NAME: Final[dict[str, int]] = _name_table()
_NUMBER_BEFORE: Final = re.compile(r"^[0-9]+[-.)]+(?=[a-z])")
_WHOLE: Final = re.compile(r"[0-9]{1,4}(\.0+)?")


@dataclass(frozen=True, slots=True)
class Number:
    """A label that is a number, whose meaning is not told where it stands."""

    value: int


def parse_name(text: str) -> int:
    """Return the code 0 to 10 of a name (``Surprise``) or an alias (``surprised``).

    Case, surrounding spaces and the separators ``_``, ``-`` and space do not matter, nor does a
    number before the name (``3_surprise``). Raises `UnknownLabelError` for anything else.
    """
    name = _normalised(text)
    for spelling in (name, _NUMBER_BEFORE.sub("", name)):
        if spelling in _CODE_BY_NAME:
            return _CODE_BY_NAME[spelling]
    raise UnknownLabelError(text)


def parse_number(text: str) -> int | None:
    """Return the whole number from 0 to 9999 that a text is, also as ``3.0``; else None."""
    # Only plain ASCII digits: int() would also take "1_0" and "+3".
    return int(text.strip().partition(".")[0]) if _WHOLE.fullmatch(text.strip()) else None


def parse_free_label(text: str) -> int | Number:
    """Return the code of a name, or a number as it stands, for data that may have either.

    Raises `UnknownLabelError` for what is neither.
    """
    number = parse_number(text)
    return parse_name(text) if number is None else Number(number)


def parse_label(value: str | int) -> int:
    """Return the code 0 to 10 that ``value`` means in AffectNet's own lists.

    ``value`` is a code (``3``), a code in digits (``"3"``) or what `parse_name` takes. Raises
    `UnknownLabelError`, which lists the valid names, for anything else.
    """
    if isinstance(value, str):
        text = value.strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 2):
            return parse_name(value)
        code = int(text)
    else:
        if isinstance(value, bool):
            raise UnknownLabelError(value)
        code = int(value)
    if not 0 <= code < NUM_CLASSES + len(EXCLUDED):
        raise UnknownLabelError(value)
    return code


def is_excluded(code: int) -> bool:
    """Say whether ``code`` is one of AffectNet's codes without a trained expression."""
    return code in EXCLUDED
