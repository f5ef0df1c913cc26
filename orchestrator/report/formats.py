"""Figures as text. A missing or undefined figure prints as an en dash, never as 0."""

import math
from decimal import ROUND_HALF_UP, Decimal

from orchestrator.texts import one_line

__all__ = [
    "EN_DASH",
    "MISSING",
    "duration",
    "fixed",
    "integer",
    "one_line",
    "percent",
    "percent_interval",
    "plural",
]

EN_DASH = "\u2013"
MISSING = EN_DASH


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def fixed(value: float | None, digits: int) -> str:
    """A number with a fixed number of decimals, halves up as in the paper, and thousands marks."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    # Python rounds halves to even; nine decimals first, or 100 * 0.49625 need not be a half.
    exact = Decimal(repr(round(float(value), 9)))
    return f"{exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):,}"


def percent(value: float | None) -> str:
    """A fraction of 1 as a percentage with two decimals, without the sign: its column names it."""
    return fixed(None if value is None else 100 * value, 2)


def percent_interval(low: float | None, high: float | None) -> str:
    """Two fractions of 1 as percentages with a dash between them, such as 48.08 to 51.17."""
    if _is_missing(low) or _is_missing(high):
        return MISSING
    return f"{percent(low)} {EN_DASH} {percent(high)}"


def integer(value: float | None) -> str:
    """A count with thousands separators."""
    return fixed(value, 0)


def duration(seconds: float | None) -> str:
    """Seconds as `41 s`, `12 min 05 s` or `3 h 07 min`."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def plural(count: int, noun: str) -> str:
    """`1 trial`, `14 trials`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def points(value: float | None) -> str:
    """A difference of two fractions of 1 as signed percentage points, such as +1.25."""
    text = percent(value)
    return f"+{text}" if value is not None and value > 0 else text


def points_interval(low: float, high: float) -> str:
    """Two differences as signed percentage points with `to` between them: a dash reads as minus."""
    if _is_missing(low) or _is_missing(high):
        return MISSING
    return f"{points(low)} to {points(high)}"


def p_value(p: float | None) -> str:
    """Four decimals; smaller ones as `< 0.0001`."""
    if p is not None and 0 <= p < 0.0001:
        return "< 0.0001"
    return fixed(p, 4)
