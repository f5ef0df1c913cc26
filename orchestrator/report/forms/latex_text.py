r"""Any text as LaTeX that prints it: ASCII alone, so that every engine and encoding takes it.

What TeX would read as markup is escaped, what it would join to another glyph (`--`, `?` with a
grave) is kept apart, and a character outside ASCII becomes its command. One that has none is
printed as its code point, `[U+1F600]`: it is never lost, and never stops the compiler.
"""

# ruff: noqa: RUF001  (the letters that look like others are what this table is of)
import re
import unicodedata

from orchestrator.report.formats import one_line

_ASCII = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # `"` is a command in German documents, a grave makes ligatures; groups on both sides stop them.
    '"': r"{}\symbol{34}{}",
    "`": r"{}\symbol{96}{}",
    # After `\\` these two would be read as its arguments.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}
_SYMBOLS = {
    "\u00a0": "~",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "\u2212": "$-$",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "…": r"\ldots{}",
    "•": r"\textbullet{}",
    "§": r"\S{}",
    "©": r"\copyright{}",
    "£": r"\pounds{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "×": r"$\times$",
    "÷": r"$\div$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "°": r"$^\circ$",
    "¹": "$^1$",
    "²": "$^2$",
    "³": "$^3$",
    "½": r"$\frac12$",
    "∞": r"$\infty$",
    "★": r"$\star$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "∼": r"$\sim$",
    "√": r"$\surd$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "⇒": r"$\Rightarrow$",
    "µ": r"$\mu$",
}
_GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "epsilon",
    "η": "eta",
    "θ": "theta",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "φ": "phi",
    "χ": "chi",
    "ω": "omega",
    "Δ": "Delta",
    "Σ": "Sigma",
    "Ω": "Omega",
}
# Accents that every text encoding has, by their combining character.
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
# TeX makes one glyph of -- ,, and ''.
_LIGATURE = re.compile(r"(?<=-)(?=-)|(?<=,)(?=,)|(?<=')(?=')")
_WORD = 24
"""Letters in a row after which a line may break: fingerprints and paths have no blanks."""


def escape(text: str) -> str:
    """Any text as one line of LaTeX."""
    escaped = "".join(_character(one) for one in one_line(text))
    return _LIGATURE.sub("{}", escaped)


def escape_breakable(text: str) -> str:
    """The same, and a line may end within a word that is too long for one."""
    words = one_line(text).split(" ")
    pieces = ([word[at : at + _WORD] for at in range(0, len(word), _WORD)] for word in words)
    return " ".join(r"\allowbreak{}".join(map(escape, word)) for word in pieces)


def _character(one: str) -> str:
    if one in _ASCII:
        return _ASCII[one]
    if " " <= one <= "~":
        return one
    if one in _SYMBOLS:
        return _SYMBOLS[one]
    if one in _GREEK:
        return rf"$\{_GREEK[one]}$"
    return _accented(one) or f"{{[}}U+{ord(one):04X}{{]}}"


def _accented(one: str) -> str:
    base, *marks = list(unicodedata.normalize("NFD", one))
    if len(marks) != 1 or marks[0] not in _ACCENTS or not (base.isascii() and base.isalpha()):
        return ""
    return rf"\{_ACCENTS[marks[0]]}{{{base}}}"
