"""Colours and markers of the figures: one colour a family, one marker a member of it.

Distinct for colour-blind readers, 3:1 or more on white (the page's light theme in `report.css` has
the same eight). Nothing is told by colour alone.
"""

from trainers.architectures import ARCHITECTURES

SERIES = ("#0072b2", "#c75300", "#00795c", "#b0468a", "#7d5a00", "#2b8cc4", "#3f444c", "#b3212b")
MARKERS = ("o", "s", "D", "^", "X", "*")
OTHER_MARKER = "P"
INK = "#1a1f26"
MUTED = "#56606d"
RULE = "#dde1e7"
TINT = "#0a5c9e"

_FAMILIES = tuple(dict.fromkeys(row.family for row in ARCHITECTURES.values()))


def style(architecture: str) -> tuple[str, str]:
    """Colour and matplotlib marker of an architecture id; an unknown one has its own marker."""
    row = ARCHITECTURES.get(architecture)
    if row is None:
        return SERIES[0], OTHER_MARKER
    members = [other.id for other in ARCHITECTURES.values() if other.family == row.family]
    return SERIES[_FAMILIES.index(row.family)], MARKERS[members.index(row.id)]
