"""Writes layout `affectnet-2017`: photographs, and two lists with the box of the face in each.

The face is smaller than its photograph and its box says where it is, so a reader that forgets to
crop, or crops by other columns, gives other pixels. With quirks the training list calls its first
column `#subDirectory_filePath` and the validation list has no header, the images lie in a doubled
folder and have any extension, boxes reach past the image, and rows can't be used.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from datasets.labels import EXCLUDED
from datasets.manifest import SplitName
from datasets.sources.base import Box
from datasets.synthetic.base import FaceKey, Kept, Progress, Request, Truth, rendered
from datasets.synthetic.encoded import NUM_LANDMARKS, ellipse, truncated, valence_arousal

_LIST_FOLDER = "Manually_Annotated_file_lists"
_LISTS: dict[SplitName, str] = {"train": "training.csv", "validation": "validation.csv"}
_IMAGES = "Manually_Annotated_Images"
_HEADER = (
    "subDirectory_filePath",
    *("face_x", "face_y", "face_width", "face_height"),
    *("facial_landmarks", "expression", "valence", "arousal"),
)
_PER_FOLDER = 300
_ODD_EXTENSIONS = ("JPG", "jpeg", "JPEG", "Jpeg", "png", "PNG", "bmp", "BMP", "tif", "TIF")
# Of each 500 images 2 % have an odd extension, and the first 51 have them all.
_ODD_PERIOD, _ODD_STEP = 500, 5
_KINDS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "bmp": "BMP", "tif": "TIFF"}
_PAST_EDGE_EVERY = 9
_ANY_BOX = Box(0, 0, 8, 8)


def write_affectnet_2017(dest: Path, request: Request, progress: Progress | None = None) -> Truth:
    """Write photographs and their lists; see `WriteLayout`."""
    folder = dest / _IMAGES / _IMAGES if request.quirks else dest / _IMAGES
    copy = _Copy(folder)
    last = b""
    photograph = partial(_photograph, quirks=request.quirks)
    for key, image in rendered(request.keys(), photograph, progress):
        copy.add(key, image, request.quirks)
        last = image if _extension(key, request.quirks) == "jpg" else last
    if request.quirks:
        copy.add_quirks(last)
    for split in _LISTS:
        _write_list(dest / _LIST_FOLDER, split, copy.lines[split], request.quirks)
    return copy.truth


class _Photograph(NamedTuple):
    """Where a face lies in its photograph, pixels."""

    width: int
    height: int
    left: int
    top: int

    @classmethod
    def of(cls, key: FaceKey, quirks: bool) -> "_Photograph":
        dice = key.dice()
        across, down = dice.integers(key.size // 8, key.size // 2, size=2, endpoint=True)
        left, top = dice.integers(0, across, endpoint=True), dice.integers(0, down, endpoint=True)
        if quirks and key.number % _PAST_EDGE_EVERY == 4:
            left, top = across, 0  # at the edge that the box of such a face passes
        return cls(key.size + int(across), key.size + int(down), int(left), int(top))


def _photograph(key: FaceKey, *, quirks: bool) -> bytes:
    """Return an image file: the face before a plain wall with some grain."""
    place = _Photograph.of(key, quirks)
    dice = key.dice(1)
    wall = dice.integers(40, 216, size=3) + np.linspace(-20, 20, place.height)[:, None, None]
    grain = dice.integers(-6, 6, size=(place.height, place.width, 1))
    pixels_HWC = np.clip(wall + grain, 0, 255).astype(np.uint8)
    rows, columns = slice(place.top, None), slice(place.left, None)
    pixels_HWC[rows, columns][: key.size, : key.size] = key.draw()
    stream = io.BytesIO()
    kind = _KINDS[_extension(key, quirks).lower()]
    options = {"quality": 92} if kind == "JPEG" else {}
    Image.fromarray(pixels_HWC).save(stream, kind, **options)
    return stream.getvalue()


def _extension(key: FaceKey, quirks: bool) -> str:
    step, rest = divmod(key.number % _ODD_PERIOD, _ODD_STEP)
    odd = quirks and rest == 0 and 0 < step <= len(_ODD_EXTENSIONS)
    return _ODD_EXTENSIONS[step - 1] if odd else "jpg"


@dataclass
class _Copy:
    folder: Path
    """Of the images."""
    truth: Truth = field(default_factory=Truth)
    lines: dict[SplitName, list[Sequence[object]]] = field(
        default_factory=lambda: {split: [] for split in _LISTS}
    )

    def add(self, key: FaceKey, image: bytes, quirks: bool) -> None:
        """Write one photograph and its line."""
        digest = hashlib.sha224(repr((key.seed, key.split, key.number)).encode()).hexdigest()
        name = f"{key.number // _PER_FOLDER + 1}/{digest}.{_extension(key, quirks)}"
        self._write(name, image)
        self.lines[key.split].append(_line(name, key.label, _box(key, quirks), key))
        self.truth.kept[name] = Kept(key.split, key.label)

    def add_quirks(self, image: bytes) -> None:
        """Add rows that are excluded or can't be used, and files that belong to no row."""
        self._write("1/Thumbs.db", b"not an image")
        (self.folder / ".DS_Store").write_bytes(b"not an image")
        for code, reason in EXCLUDED.items():
            for split in _LISTS:
                self._write(f"2/excluded{code}{split}.jpg", image)
                self._list(f"2/excluded{code}{split}.jpg", split, code, Box(-5, -5, -5, -5))
                self.truth.excluded[reason] += 1
        for name, data in (("empty", b""), ("cut", truncated(image)), ("text", b"<html>404")):
            self._write(f"2/{name}.jpg", data)
            self._reject(f"2/{name}.jpg")
        for name, box in (("negative", (-5, -5, -5, -5)), ("outside", (9000, 0, 10, 10))):
            self._write(f"2/{name}.jpg", image)
            self._reject(f"2/{name}.jpg", box=Box(*box))
        for label in (11, "", "happy?"):
            self._write(f"2/label{label}.jpg", image)
            self._reject(f"2/label{label}.jpg", label=label)
        for name in ("2/gone.jpg", "../../etc/passwd", "/etc/passwd"):
            self._reject(name)
        self._reject(next(iter(self.truth.kept)))  # a second time
        self._write("2/short.jpg", image)
        self.lines["train"].append(("2/short.jpg", 10, 10))
        self.truth.rejected["2/short.jpg"] += 1
        # The list spells an extension otherwise than the file.
        self._write("2/spelled.jpg", image)
        self._list("2/spelled.JPG", "train", 1, _ANY_BOX)
        self.truth.kept["2/spelled.JPG"] = Kept("train", 1)

    def _reject(self, name: str, *, label: object = 1, box: Box = _ANY_BOX) -> None:
        self._list(name, "train", label, box)
        self.truth.rejected[name] += 1

    def _list(self, name: str, split: SplitName, label: object, box: Box) -> None:
        line = (name, *box, ";".join(["-5"] * 2 * NUM_LANDMARKS), label, -2, -2)
        self.lines[split].append(line)

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _box(key: FaceKey, quirks: bool) -> Box:
    place = _Photograph.of(key, quirks)
    if quirks and key.number % _PAST_EDGE_EVERY == 4:
        # What is left of it inside the image is the face.
        past = key.size // 4
        return Box(place.left, -past, key.size + past, key.size + past)
    return Box(place.left, place.top, key.size, key.size)


def _line(name: str, label: int, box: Box, key: FaceKey) -> Sequence[object]:
    as_floats = key.number % 4 == 3  # what some software makes of whole numbers
    shown = [f"{value:.1f}" if as_floats else f"{value:.0f}" for value in box]
    landmarks = ";".join(f"{value:.2f}" for value in ellipse(*box).tolist())
    return (name, *shown, landmarks, label, *valence_arousal(key))


def _write_list(
    folder: Path, split: SplitName, lines: Sequence[Sequence[object]], quirks: bool
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LISTS[split]).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\r\n" if quirks else "\n")
        if split == "train":
            writer.writerow((f"#{_HEADER[0]}" if quirks else _HEADER[0], *_HEADER[1:]))
        elif not quirks:
            writer.writerow(_HEADER)
        writer.writerows(lines)
