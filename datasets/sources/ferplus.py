"""FER+'s `fer2013new.csv`: ten people's votes on each image of FER2013 (see `fer2013`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from datasets.errors import DataError
from datasets.labels import EXCLUDED
from datasets.sources.base import Origin
from datasets.sources.csv_lines import csv_lines
from datasets.sources.paths import clean_text

FERPLUS_NAME = "fer2013new.csv"
DROPPED = "dropped by FER+"

UNCERTAIN: Final = 9
# Codes of its columns, in its order; 9 and 10 are AffectNet's for what is left out.
VOTE_COLUMNS: Final[dict[str, int]] = {
    "neutral": 0,
    "happiness": 1,
    "surprise": 3,
    "sadness": 2,
    "anger": 6,
    "disgust": 5,
    "fear": 4,
    "contempt": 7,
    "unknown": UNCERTAIN,
    "nf": 10,
}


class BadVotesError(ValueError):
    """A line of votes that can't be used; the text says why."""

    def __init__(self, origin: Origin, reason: str) -> None:
        super().__init__(reason)
        self.origin = origin


@dataclass(frozen=True)
class Votes:
    """What FER+ says about one image."""

    origin: Origin
    usage: str = ""
    """In small letters."""
    name: str = ""
    """Of the image; empty if FER+ dropped it."""
    label: int = UNCERTAIN
    """Code with the most votes, 0 to 7, 9 or 10; 9 for a tie."""
    problem: str | None = None
    """Why this line can't be used, or None."""

    @property
    def left_out(self) -> str | None:
        """Why the image is left out, or None."""
        return EXCLUDED.get(self.label) if self.name else DROPPED

    def check_usage(self, usage: str) -> None:
        """Raise `BadVotesError` if this line can't be used or belongs to another image's."""
        problem = self.problem
        if problem is None and self.usage != usage.strip().casefold():
            problem = f"Usage {self.usage!r}, but {clean_text(usage.strip())!r} in FER2013's row"
        if problem is not None:
            raise BadVotesError(self.origin, problem)


def read_votes(folder: Path) -> list[Votes] | None:
    """Return FER+'s lines, in order, or None if its CSV is not in `folder`.

    Raises `DataError` if it lacks a column.
    """
    file = folder / FERPLUS_NAME
    if not file.is_file():
        return None
    lines = csv_lines(file)
    header = next(lines, None)
    fields = [] if header is None or isinstance(header.fields, str) else header.fields
    names = [name.strip().casefold() for name in fields]
    wanted = ("usage", "image name", *VOTE_COLUMNS)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(
            f"{file} has no column {', '.join(missing)}: download FER+ again, or remove the file"
        )
    at = [names.index(name) for name in wanted]
    first_line: dict[str, int] = {}
    return [_votes(number, fields, at, first_line) for number, fields in lines]


def _votes(
    number: int, fields: list[str] | str, at: Sequence[int], first_line: dict[str, int]
) -> Votes:
    origin = Origin(FERPLUS_NAME, number)
    if isinstance(fields, str):
        return Votes(origin, problem=fields)
    if len(fields) <= max(at):
        return Votes(origin, problem=f"the line has {len(fields)} column(s) only")
    usage, name, *counts = (fields[place].strip() for place in at)
    try:
        label = majority(counts)
    except ValueError as error:
        return Votes(origin, problem=str(error))
    name = clean_text(name)[:300]
    first = first_line.setdefault(name, number) if name else number
    if first != number:
        return Votes(origin, problem=f"line {first} has this image name already")
    return Votes(origin, clean_text(usage.casefold())[:60], name, label)


def majority(votes: Sequence[str]) -> int:
    """Return the code 0 to 7, 9 or 10 with the most votes, of those in `VOTE_COLUMNS`' order.

    9, uncertain, where several have as many. Raises `ValueError` for what is no number of votes.
    """
    if not all(vote.isascii() and vote.isdigit() and len(vote) < 4 for vote in votes):
        raise ValueError("the votes are not all whole numbers")
    counts = [int(vote) for vote in votes]
    columns = zip(VOTE_COLUMNS.values(), counts, strict=True)
    winners = [code for code, count in columns if count == max(counts)]
    return winners[0] if len(winners) == 1 else UNCERTAIN
