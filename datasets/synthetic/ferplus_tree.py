"""Writes layout `ferplus-tree`: `FER2013Train/label.csv` and the like, beside 48 by 48 grey PNGs.

Whatever size was asked for, the images are FER2013's. With quirks all lies in `data/`, as in FER+'s
repository, there is a test split, some images have no majority or are no face, and lines and images
are broken, missing, or not of the list.
"""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from datasets.manifest import SplitName
from datasets.sources.fer2013 import EDGE
from datasets.sources.ferplus import VOTE_COLUMNS
from datasets.sources.ferplus_tree import LIST_NAME, UNLISTED
from datasets.sources.split_names import TEST_SPLIT
from datasets.synthetic.base import FaceKey, Kept, Progress, Request, Truth, rendered
from datasets.synthetic.encoded import truncated
from datasets.synthetic.fer2013 import clear_votes

_FOLDERS: dict[SplitName, str] = {"train": "FER2013Train", "validation": "FER2013Valid"}
_TEST = "FER2013Test"
_BOX = f"(0, 0, {EDGE}, {EDGE})"
_FIRST_ODD = 9_000_000


def write_ferplus_tree(dest: Path, request: Request, progress: Progress | None = None) -> Truth:
    """Write images and a list for each split; see `WriteLayout`."""
    copy = _Copy(dest, "data/" if request.quirks else "")
    last = b""
    for number, (key, image) in enumerate(rendered(request.keys(), _png, progress)):
        name = copy.add(_FOLDERS[key.split], number, image, clear_votes(key))
        copy.truth.kept[name] = Kept(key.split, key.label)
        last = image
    if request.quirks:
        copy.add_quirks(last)
    copy.write_lists()
    return copy.truth


def _png(key: FaceKey) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(key._replace(size=EDGE).draw()).convert("L").save(stream, "PNG")
    return stream.getvalue()


@dataclass
class _Copy:
    dest: Path
    prefix: str
    """Of the folders of the splits, relative to `dest`; ends with a slash if there is one."""
    truth: Truth = field(default_factory=Truth)
    lines: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    """Of each folder's list."""
    odd: int = _FIRST_ODD
    """Number of the next image that is added as a quirk."""

    def add(
        self, folder: str, number: int, image: bytes | None, votes: dict[str, int], box: str = _BOX
    ) -> str:
        """Write one image, if there is one, and its line; return its path in `dest`."""
        name = f"fer{number:07d}.png"
        if image is not None:
            self._write(folder, name, image)
        counts = (votes.get(column, 0) for column in VOTE_COLUMNS)
        self.lines.setdefault(folder, []).append((name, box, *counts))
        return f"{self.prefix}{folder}/{name}"

    def add_quirks(self, image: bytes) -> None:
        """Add lines that are left out or can't be used, and images that no line names."""
        train, happy = _FOLDERS["train"], {"happiness": 9, "neutral": 1}
        for votes, reason in (
            ({"happiness": 5, "neutral": 5}, "Uncertain"),
            ({"unknown": 6, "sadness": 4}, "Uncertain"),
            ({"nf": 7, "surprise": 3}, "No-Face"),
        ):
            self._odd(train, image, votes)
            self.truth.excluded[reason] += 1
        for _ in range(2):
            self._odd(_TEST, image, happy)
            self.truth.excluded[TEST_SPLIT] += 1
        for broken in (None, b"", truncated(image)):
            self._reject(self._odd(train, broken, happy))
        for box in ("", "(9, 0, 9, 48)", "48 by 48"):
            self._reject(self._odd(train, image, happy, box))
        name = self._odd(train, image, happy)
        self.lines[train][-1] = (*self.lines[train][-1][:-1], "many")
        self._reject(name)
        self.lines[train].append(self.lines[train][0])
        self._reject(next(iter(self.truth.kept)))
        self.lines[train].append(("short.png", _BOX, 1, 2))
        self.truth.rejected[f"{self.prefix}{train}/{LIST_NAME}"] += 1
        # The part of the image where the face is: none of FER+'s has another box than the whole.
        name = self._odd(train, image, happy, "(8, 4, 40, 44)")
        self.truth.kept[name] = Kept("train", VOTE_COLUMNS["happiness"])
        self._write(train, "unlisted.png", image)
        self.truth.excluded[UNLISTED] += 1
        self._write(train, "Thumbs.db", b"not an image")

    def _odd(self, folder: str, image: bytes | None, votes: dict[str, int], box: str = _BOX) -> str:
        self.odd += 1
        return self.add(folder, self.odd, image, votes, box)

    def _reject(self, name: str) -> None:
        self.truth.rejected[name] += 1

    def _write(self, folder: str, name: str, data: bytes) -> None:
        path = self.dest / f"{self.prefix}{folder}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def write_lists(self) -> None:
        """Write `label.csv` of every folder: no header, the box in quotes."""
        for folder, lines in self.lines.items():
            path = self.dest / f"{self.prefix}{folder}" / LIST_NAME
            with path.open("w", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows(lines)
