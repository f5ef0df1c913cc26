"""Source `fer2013`: FER2013 as one CSV of pixels, with the labels of FER+ if its CSV lies beside.

`fer2013.csv` (or `icml_face_data.csv`) has the columns `emotion`, `pixels` (48 by 48 grey values,
joined by blanks) and `Usage`: Training and PublicTest become training and validation; PrivateTest
is left out and counted, as a set that no model may be chosen on. FER2013 has no Contempt.

`fer2013new.csv` holds the votes of ten people on each image, row by row in the same order
(Barsoum, Zhang, Canton Ferrer and Zhang, Training Deep Networks for Facial Expression Recognition
with Crowd-Sourced Label Distribution, ICMI 2016). Where it is present it decides: the label is the
one with the most votes. Left out and counted are the images that FER+ dropped (a blank name), those
without a majority (`Uncertain`: a tie, or most votes for `unknown`) and those that most people
found to be no face (`No-Face`).

`image_id` is FER+'s name of the image, else `fer` and the number of the row from 0; FER+ does not
count some of the images that it dropped, so its numbers and the rows' differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from datasets.errors import DataError
from datasets.label_orders import FER2013
from datasets.manifest import SplitName
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Origin,
    Rejected,
    Remark,
    SourceOptions,
    SourceRow,
)
from datasets.sources.csv_lines import csv_lines, first_fields
from datasets.sources.ferplus import BadVotesError, Votes, read_votes
from datasets.sources.paths import clean_text
from datasets.sources.split_names import TEST_SPLIT

EDGE: Final = 48
"""Height and width of every image, pixels."""
EMOTIONS: Final = tuple(FER2013.values())
"""Codes of FER2013's emotions 0 to 6: Angry, Disgust, Fear, Happy, Sad, Surprise, Neutral."""
DISAGREE = "fer2013.csv and FER+ disagree: the votes of FER+ are taken"

_FILES = ("fer2013.csv", "fer2013/fer2013.csv", "icml_face_data.csv")
_USAGES: Final[dict[str, SplitName | None]] = {
    "training": "train",
    "publictest": "validation",
    "privatetest": None,
}
_EMOTIONS: Final = {str(emotion): code for emotion, code in enumerate(EMOTIONS)}
_SHADES: Final = {str(shade): shade for shade in range(256)}


@dataclass(frozen=True, slots=True)
class GreyImage:
    """The pixels of one image, row by row, 48 times 48 bytes."""

    grey: bytes

    def __call__(self) -> npt.NDArray[np.uint8]:
        """Return uint8 [48, 48, 3] RGB."""
        image_HW = np.frombuffer(self.grey, np.uint8).reshape(EDGE, EDGE)
        return np.repeat(image_HW[..., None], 3, axis=-1)


class Fer2013:
    """FER2013's CSV, with or without FER+."""

    def detect(self, path: Path) -> bool:
        """Say whether there is a CSV with the columns `emotion` and `pixels`."""
        return _find_csv(path) is not None

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per line, and the remark of a line on which FER+ has another view.

        Raises `DataError` if the CSV or a column is missing, or if FER+ has more or fewer rows.
        """
        file = path / options.csv if options.csv is not None else _find_csv(path)
        if file is None or not file.is_file():
            raise DataError(f"{path} has no fer2013.csv with the columns emotion, pixels and Usage")
        inside = path.is_dir() and file.is_relative_to(path)
        name = clean_text(file.relative_to(path).as_posix() if inside else file.name)
        all_votes = read_votes(file.parent)
        lines = csv_lines(file)
        header = next(lines, None)
        at = _columns(file, [] if header is None else header.fields)
        votes = None
        for index, (line, votes) in enumerate(zip_longest(lines, all_votes or ())):
            if line is None or (votes is None and all_votes is not None):
                rows = index + sum(1 for _ in lines) + (line is not None)
                raise DataError(
                    f"{file} has {rows} rows and the FER+ CSV beside it {len(all_votes or ())}: "
                    "they belong together row by row, so download both again or remove that of FER+"
                )
            yield from _line_rows(Origin(name, line.number), index, line.fields, at, votes)


@dataclass(frozen=True)
class _Columns:
    emotion: int
    pixels: int
    usage: int


def _find_csv(path: Path) -> Path | None:
    files = [path] if path.is_file() else [path / name for name in _FILES]
    return next((file for file in files if file.is_file() and _has_columns(file)), None)


def _has_columns(file: Path) -> bool:
    return file.suffix.casefold() == ".csv" and {"emotion", "pixels"} <= set(
        _folded(first_fields(file))
    )


def _folded(header: Sequence[str]) -> list[str]:
    # icml_face_data.csv writes " Usage" and " pixels".
    return [name.strip().casefold() for name in header]


def _columns(file: Path, header: list[str] | str) -> _Columns:
    names = _folded(header) if isinstance(header, list) else []
    missing = [name for name in ("emotion", "pixels", "usage") if name not in names]
    if missing:
        raise DataError(
            f"{file} has no column {' and no column '.join(missing)}: "
            "fer2013.csv has emotion, pixels and Usage"
        )
    return _Columns(*(names.index(name) for name in ("emotion", "pixels", "usage")))


def _line_rows(
    origin: Origin, index: int, fields: list[str] | str, at: _Columns, votes: Votes | None
) -> Iterator[AnyRow]:
    if isinstance(fields, str):
        yield Rejected(origin, fields)
        return
    if len(fields) <= max(at.emotion, at.pixels, at.usage):
        yield Rejected(origin, f"the line has {len(fields)} column(s) only")
        return
    emotion = fields[at.emotion].strip()
    try:
        split = _split(fields[at.usage])
        if votes is not None:
            votes.check_usage(fields[at.usage])
        label = _label(emotion) if votes is None else votes.label
        image = _image(fields[at.pixels])
    except BadVotesError as error:
        yield Rejected(error.origin, str(error))
        return
    except _BadFieldError as error:
        yield Rejected(origin, str(error))
        return
    left_out = None if votes is None else votes.left_out
    if split is None or left_out is not None:
        yield Excluded(origin, TEST_SPLIT if split is None else str(left_out))
        return
    if _EMOTIONS.get(emotion, label) != label:
        yield Remark(DISAGREE)
    name = f"fer{index:07d}.png" if votes is None else votes.name
    yield SourceRow(name, label, split, image, origin)


class _BadFieldError(ValueError):
    """A field that can't be used; the text says why."""


def _split(usage: str) -> SplitName | None:
    try:
        return _USAGES[usage.strip().casefold()]
    except KeyError:
        raise _BadFieldError(f"unknown Usage {clean_text(usage)[:60]!r}") from None


def _label(emotion: str) -> int:
    try:
        return _EMOTIONS[emotion]
    except KeyError:
        shown = clean_text(emotion)[:60]
        raise _BadFieldError(f"emotion {shown!r} is none of 0 to 6") from None


def _image(text: str) -> GreyImage:
    shades = text.split()
    if len(shades) != EDGE * EDGE:
        raise _BadFieldError(f"{len(shades)} pixels, expected {EDGE * EDGE}")
    try:
        return GreyImage(bytes(map(_SHADES.__getitem__, shades)))
    except KeyError as error:
        shade = clean_text(str(error.args[0]))[:60]
        raise _BadFieldError(f"pixel {shade!r} is no number from 0 to 255") from None
