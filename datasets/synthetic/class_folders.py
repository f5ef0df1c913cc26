"""Writes layout `class-folders`: `train/` and `val/` with a folder per expression.

Without quirks the folders have AffectNet's names and say all. With quirks there is Kaggle's
`labels.csv`, which disagrees with some folders, misses some images and has broken lines; the
folders' spellings differ, and files lie about that belong to nothing.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from datasets.labels import EXPRESSIONS
from datasets.manifest import SplitName
from datasets.sources.class_folders import UNLISTED
from datasets.sources.kaggle_csv import DISAGREE, LABELS_NAME
from datasets.sources.split_names import TEST_SPLIT
from datasets.synthetic.base import FaceKey, Kept, Progress, Request, Truth, rendered
from datasets.synthetic.encoded import jpeg_face, truncated

_SPLIT_FOLDERS: dict[SplitName, str] = {"train": "train", "validation": "val"}
# By code; what is met in copies of the data set, and not in the order of the alphabet.
_ODD_FOLDERS: dict[SplitName, tuple[str, ...]] = {
    "train": ("neutral", "Happy", "SAD", "surprised", "4", "disgust", "angry", "Contempt"),
    "validation": ("0", "1", "2", "3", "4", "5", "6", "7"),
}
_CSV_NAMES = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
_WRONG_FOLDER_EVERY = 7


def write_class_folders(dest: Path, request: Request, progress: Progress | None = None) -> Truth:
    """Write a folder per expression; see `WriteLayout`."""
    copy = _Copy(dest, request.quirks)
    last = b""
    for key, image in rendered(request.keys(), jpeg_face, progress):
        copy.add(key, image, request)
        last = image
    if request.quirks:
        copy.add_strays(last)
        copy.add_lines()
        copy.write_csv()
    return copy.truth


@dataclass
class _Copy:
    dest: Path
    quirks: bool
    truth: Truth = field(default_factory=Truth)
    lines: list[tuple[str, str, str]] = field(default_factory=list)
    """`pth`, `label` and `relFCs` of each line of `labels.csv`."""

    def add(self, key: FaceKey, image: bytes, request: Request) -> None:
        """Write one face, and its line if there is a CSV."""
        # Numbered through both splits: `pth` does not say in which one an image lies.
        number = key.number + (0 if key.split == "train" else request.train)
        wrong = self.quirks and number % _WRONG_FOLDER_EVERY == 3
        shown = (key.label + 1) % len(EXPRESSIONS) if wrong else key.label
        names = _ODD_FOLDERS[key.split] if self.quirks else EXPRESSIONS
        below = f"{names[shown]}/image{number:07d}.jpg"
        name = self._write(f"{_SPLIT_FOLDERS[key.split]}/{below}", image)
        self.truth.kept[name] = Kept(key.split, key.label)
        if not self.quirks:
            return
        if wrong and not names[shown].isdigit():  # what a number means, no folder says
            self.truth.remarks[DISAGREE] += 1
        relfcs = f"{key.dice().uniform(0.3, 1.0):.6f}"
        self.lines.append((below, _CSV_NAMES[key.label], relfcs))

    def add_strays(self, image: bytes) -> None:
        """Write files that no line of the CSV names."""
        name = self._write("train/Happy/unlisted.JPG", image)
        self.truth.kept[name] = Kept("train", EXPRESSIONS.index("Happiness"))
        self.truth.remarks[UNLISTED] += 1
        self._write("train/Happy/Thumbs.db", b"not an image")
        self.truth.rejected[self._write("train/Happy/notes.txt", b"notes")] += 1
        self.truth.rejected[self._write("train/misc/x.jpg", image)] += 1
        self._write("test/happy/image9000001.jpg", image)
        self._write("test/sad/image9000002.jpg", image)
        self.truth.excluded[TEST_SPLIT] += 2
        # A broken image of a kept class, named by a line: found out when it is decoded.
        for stem, data in (("truncated", truncated(image)), ("empty", b"")):
            self._write(f"train/SAD/{stem}.jpg", data)
            self._add_rejected(f"SAD/{stem}.jpg", "sad", "0.9")
        # Good images with lines that can't be used: they must not come back by their folder.
        for stem, label, relfcs in (("a", "happy", "n/a"), ("b", "joyless", "0.8")):
            self._write(f"train/Happy/line_{stem}.jpg", image)
            self._add_rejected(f"Happy/line_{stem}.jpg", label, relfcs)
        self._write("train/Happy/line_c.jpg", image)
        self.lines.append(("Happy/line_c.jpg", "none", "0.5"))
        self.truth.excluded["None"] += 1

    def add_lines(self) -> None:
        """Add lines that stand for no image of their own."""
        self._add_rejected("pth", "label", "relFCs")
        self._add_rejected("happy/image8000000.jpg", "happy", "0.7")
        self._add_rejected("../../etc/passwd", "happy", "0.7")
        self._add_rejected("/etc/passwd", "happy", "0.7")
        self._add_rejected(self.lines[0][0], self.lines[0][1], "0.7")
        first = self.lines[1]
        # Case differs between folder and CSV.
        self.lines[1] = (first[0].swapcase(), first[1].upper(), first[2])

    def write_csv(self) -> None:
        """Write `labels.csv` with a byte order mark, CRLF and a first column without name."""
        path = self.dest / LABELS_NAME
        with path.open("w", newline="", encoding="utf-8-sig") as stream:
            writer = csv.writer(stream)
            writer.writerow(("", "pth", "label", "relFCs"))
            writer.writerows((number, *line) for number, line in enumerate(self.lines))

    def _add_rejected(self, pth: str, label: str, relfcs: str) -> None:
        self.lines.append((pth, label, relfcs))
        self.truth.rejected[pth] += 1

    def _write(self, name: str, data: bytes) -> str:
        path = self.dest / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return name
