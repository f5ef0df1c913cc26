"""Labels: every public spelling reaches its code, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.errors import DataError
from datasets.labels import (
    EXCLUDED,
    EXPRESSIONS,
    NUM_CLASSES,
    UnknownLabelError,
    is_excluded,
    parse_label,
)


def test_order_is_affectnets() -> None:
    assert EXPRESSIONS == (
        "Neutral",
        "Happiness",
        "Sadness",
        "Surprise",
        "Fear",
        "Disgust",
        "Anger",
        "Contempt",
    )
    assert NUM_CLASSES == 8
    assert EXCLUDED == {8: "None", 9: "Uncertain", 10: "No-Face"}


@pytest.mark.parametrize("code", range(11))
def test_name_digits_and_code_agree(code: int) -> None:
    name = {**dict(enumerate(EXPRESSIONS)), **EXCLUDED}[code]
    for spelling in (code, str(code), f" {code}\n", name, name.upper(), f"  {name.lower()} "):
        assert parse_label(spelling) == code
    assert is_excluded(code) == (code >= NUM_CLASSES)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("happy", "Happiness"),
        ("sad", "Sadness"),
        ("Surprised", "Surprise"),
        ("fearful", "Fear"),
        ("afraid", "Fear"),
        ("disgusted", "Disgust"),
        ("ANGRY", "Anger"),
        ("contemptuous", "Contempt"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert parse_label(alias) == EXPRESSIONS.index(name)


@pytest.mark.parametrize("spelling", ["No-Face", "no_face", "No Face", "noface", "non-face"])
def test_separators_do_not_matter(spelling: str) -> None:
    assert parse_label(spelling) == 10


def test_numpy_codes_are_codes() -> None:
    assert parse_label(np.int8(3)) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", ["", "hapy", "11", "-1", "+3", "1_0", "3.0", "٣", 11, -1, True, "nan"]
)
def test_unknown_is_refused_with_the_valid_names(value: str | int) -> None:
    with pytest.raises(UnknownLabelError) as caught:
        parse_label(value)
    assert isinstance(caught.value, DataError)
    message = str(caught.value)
    assert repr(value) in message
    assert all(name in message for name in EXPRESSIONS)
