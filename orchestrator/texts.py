"""Texts from files that others wrote, made fit to be shown."""

import unicodedata

# Marks that turn the direction of writing: what follows them reads as something else.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HIDDEN = {"Cc", "Cs"}  # control characters, which a terminal obeys; lone surrogates, unwritable


def visible(text: str) -> str:
    """The text with line ends and tabs, and U+FFFD for all else that is not a character."""
    if text.isprintable():  # nearly every text: a report has a hundred thousand
        return text
    return "".join(one if one in "\n\t" else _visible(one) for one in text)


def one_line(text: str) -> str:
    """The same as one line: runs of white space become one blank."""
    joined = " ".join(text.split())
    return joined if joined.isprintable() else "".join(map(_visible, joined))


def _visible(one: str) -> str:
    return "\ufffd" if one in _BIDI or unicodedata.category(one) in _HIDDEN else one
