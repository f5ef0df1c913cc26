"""Groups of architectures that can't be told apart: a compact letter display.

The rule is Piepho, "An Algorithm for a Letter-Based Representation of All-Pairwise Comparisons"
(J. Comput. Graph. Stat. 13, 2004), its steps insert and absorb: each letter stands for a largest
set of architectures of which no two differ, so two share a letter exactly where they don't differ.
"""

from collections.abc import Collection, Sequence
from itertools import combinations
from string import ascii_lowercase


def groups_of(
    names: Sequence[str], different: Collection[frozenset[str]]
) -> tuple[tuple[str, ...], ...]:
    """The largest sets of `names` that hold no pair of `different`.

    Members keep the order of `names`; sets are ordered by their first members. Every name is in
    one at least. Pairs are frozensets of two names.
    """
    place = {name: index for index, name in enumerate(names)}
    columns = [frozenset(names)] if names else []
    for first, second in combinations(names, 2):
        if frozenset((first, second)) not in different:
            continue
        split: list[frozenset[str]] = []
        for column in columns:
            both = first in column and second in column
            split += [column - {first}, column - {second}] if both else [column]
        columns = _absorbed(split)
    members = [tuple(sorted(column, key=place.__getitem__)) for column in columns]
    return tuple(sorted(members, key=lambda column: [place[name] for name in column]))


def _absorbed(columns: list[frozenset[str]]) -> list[frozenset[str]]:
    """Without those that another one holds whole."""
    distinct = list(dict.fromkeys(columns))
    return [one for one in distinct if not any(one < other for other in distinct)]


def letter(number: int) -> str:
    """The group's letter: a to z, then a2 to z2, and so on. Numbers from 0."""
    turn, place = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[place] + (str(turn + 1) if turn else "")


def letters_by_name(groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """The letters of each name, in the order of the groups, with a blank between several."""
    letters: dict[str, list[str]] = {}
    for number, members in enumerate(groups):
        for name in members:
            letters.setdefault(name, []).append(letter(number))
    return {name: " ".join(own) for name, own in letters.items()}
