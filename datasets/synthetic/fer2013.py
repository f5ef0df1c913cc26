"""Writes layout `fer2013`: one CSV of 48 by 48 grey pixels, whatever the size asked for.

FER2013 has no Contempt: without quirks those faces are skipped. With quirks the CSV of FER+ lies
beside it, which has Contempt, corrects some labels, and drops some images; there is a test split,
and lines are broken in either CSV.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from datasets.labels import EXPRESSIONS
from datasets.manifest import SplitName
from datasets.sources.fer2013 import DISAGREE, EDGE, EMOTIONS
from datasets.sources.ferplus import DROPPED, FERPLUS_NAME, VOTE_COLUMNS
from datasets.sources.split_names import TEST_SPLIT
from datasets.synthetic.base import FaceKey, Kept, Progress, Request, Truth, rendered

FER2013_NAME = "fer2013.csv"
_USAGES: dict[SplitName, str] = {"train": "Training", "validation": "PublicTest"}
_CONTEMPT = EXPRESSIONS.index("Contempt")
_HEADER = (
    "Usage",
    "Image name",
    *(name.upper() if name == "nf" else name for name in VOTE_COLUMNS),
)
_TAGGERS = 10
_CORRECTED_EVERY = 9


def write_fer2013(dest: Path, request: Request, progress: Progress | None = None) -> Truth:
    """Write `fer2013.csv`, with quirks FER+'s CSV as well; see `WriteLayout`."""
    keys = request.keys()
    if not request.quirks:
        keys = [key for key in keys if key.label != _CONTEMPT]
    last = b""
    with (dest / FER2013_NAME).open("w", newline="") as stream:
        write_row = csv.writer(stream, lineterminator="\n").writerow
        write_row(("emotion", "pixels", "Usage"))
        copy = _Copy(write_row, request.quirks)
        for key, grey in rendered(keys, _grey, progress):
            copy.add_face(key, grey)
            last = grey
        if request.quirks:
            copy.add_quirks(last)
    if request.quirks:
        with (dest / FERPLUS_NAME).open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([_HEADER, *copy.votes])
    return copy.truth


def _grey(key: FaceKey) -> bytes:
    face = Image.fromarray(key._replace(size=EDGE).draw())
    return face.convert("L").tobytes()


@dataclass
class _Copy:
    write_row: Callable[[Sequence[str]], object]
    """To `fer2013.csv`."""
    ferplus: bool
    truth: Truth = field(default_factory=Truth)
    votes: list[tuple[str, ...]] = field(default_factory=list)
    """Lines of FER+."""
    number: int = 0
    """Rows written."""
    named: int = 0
    """Images that FER+ numbered; some of those that it dropped it did not."""

    def add_face(self, key: FaceKey, grey: bytes) -> None:
        """Write one good image; every ninth with an emotion that FER+ corrects."""
        shown = key.label
        if self.ferplus and (shown == _CONTEMPT or self.number % _CORRECTED_EVERY == 4):
            shown = EMOTIONS[(self.number // _CORRECTED_EVERY) % len(EMOTIONS)]
        if shown != key.label:
            self.truth.remarks[DISAGREE] += 1
        name = self._add(
            str(EMOTIONS.index(shown)), _pixels(grey), _USAGES[key.split], clear_votes(key)
        )
        self.truth.kept[name] = Kept(key.split, key.label)

    def add_quirks(self, grey: bytes) -> None:
        """Write rows that are left out, and rows that can't be used."""
        pixels, happy = _pixels(grey), {"happiness": 9, "neutral": 1}
        self._add("3", pixels, "PrivateTest", happy)
        self._add("3", pixels, "PrivateTest", happy)
        self._leave_out(TEST_SPLIT, 2)
        self._add("0", _pixels(bytes(EDGE * EDGE)), "Training", {"nf": 10}, dropped=True)
        self._leave_out(DROPPED)
        self._add("3", pixels, "Training", {"happiness": 5, "neutral": 5})
        self._add("3", pixels, "Training", {"unknown": 6, "sadness": 4})
        self._leave_out("Uncertain", 2)
        self._add("3", pixels, "PublicTest", {"nf": 7, "surprise": 3})
        self._leave_out("No-Face")
        for bad in (pixels.rsplit(" ", 1)[0], pixels + " 7", "256" + pixels[pixels.index(" ") :]):
            self._add("3", bad, "Training", happy)
        self._add("3", pixels.replace(" ", ",", 1), "Training", happy)
        self._add("3", "", "Training", happy)
        self._add("3", pixels, "Test", happy)
        self._add("3", "1 " * 100_000, "Training", happy)
        self.truth.rejected[FER2013_NAME] += 7
        # Of FER+'s own lines: another row's usage, votes that are no numbers, a line cut short.
        self._add("3", pixels, "Training", happy, ferplus_usage="PublicTest")
        self._add("3", pixels, "Training", happy)
        self.votes[-1] = (*self.votes[-1][:-1], "many")
        self._add("3", pixels, "Training", happy)
        self.votes[-1] = self.votes[-1][:5]
        self.truth.rejected[FERPLUS_NAME] += 3

    def _leave_out(self, reason: str, count: int = 1) -> None:
        self.truth.excluded[reason] += count

    def _add(
        self,
        emotion: str,
        pixels: str,
        usage: str,
        votes: dict[str, int],
        *,
        ferplus_usage: str | None = None,
        dropped: bool = False,
    ) -> str:
        """Write a row to both CSVs; return the name of its image."""
        self.write_row((emotion, pixels, usage))
        counts = (str(votes.get(name, 0)) for name in VOTE_COLUMNS)
        name = f"fer{self.named if self.ferplus else self.number:07d}.png"
        self.votes.append((ferplus_usage or usage, "" if dropped else name, *counts))
        self.number += 1
        self.named += 0 if dropped else 1
        return name


def _pixels(grey: bytes) -> str:
    return " ".join(map(str, grey))


def clear_votes(key: FaceKey) -> dict[str, int]:
    """Return ten votes with a majority for the face's label."""
    names = {code: name for name, code in VOTE_COLUMNS.items()}
    dice = key.dice()
    most = int(dice.integers(6, _TAGGERS, endpoint=True))
    other = names[(key.label + 1 + int(dice.integers(len(EXPRESSIONS) - 1))) % len(EXPRESSIONS)]
    return {names[key.label]: most, other: _TAGGERS - most}
