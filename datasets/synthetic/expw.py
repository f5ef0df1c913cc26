"""Writes layout `expw`: `label/label.lst`, and photographs with one face or several.

Each face lies before a plain wall, in a photograph larger than it, and its box stands in ExpW's
order: top, left, right, bottom. ExpW has no Contempt: those faces are skipped. With quirks every
third photograph has two faces, all lies one folder deeper, and lines and images can't be used.
The faces of training and of validation are one set, which `prepare` divides.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from datasets.labels import EXPRESSIONS
from datasets.sources.expw import LABELS
from datasets.synthetic.base import FaceKey, Progress, Request, Truth, divided, rendered
from datasets.synthetic.encoded import truncated

_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_NUMBERS = {code: number for number, code in LABELS.items()}
_CONTEMPT = EXPRESSIONS.index("Contempt")
_TWO_EVERY = 3


class _Face(NamedTuple):
    """A face with its place in a photograph, pixels."""

    key: FaceKey
    pixels: bytes
    left: int
    top: int


def write_expw(dest: Path, request: Request, progress: Progress | None = None) -> Truth:
    """Write photographs and their list; see `WriteLayout`."""
    copy = _Copy(dest / "ExpW" if request.quirks else dest)
    every = request.keys()
    keys = [key for key in every if key.label != _CONTEMPT]
    last = b""
    for number, faces in enumerate(_photographs(rendered(keys, _pixels, progress), request.quirks)):
        last = copy.add(number, faces)
    if request.quirks:
        copy.add_quirks(last)
    copy.write_list("\r\n" if request.quirks else "\n")
    copy.truth.kept = divided(copy.labels, lambda name: name.rpartition(":")[0])
    for name in copy.broken:
        del copy.truth.kept[name]
    return copy.truth


def _pixels(key: FaceKey) -> bytes:
    return key.draw().tobytes()


def _photographs(faces: Iterator[tuple[FaceKey, bytes]], two: bool) -> Iterator[list[_Face]]:
    """Yield the faces of each photograph, side by side."""
    for number, (key, pixels) in enumerate(faces):
        across, down = key.dice().integers(1, key.size // 2, size=2, endpoint=True).tolist()
        found = [_Face(key, pixels, across, down)]
        second = next(faces, None) if two and number % _TWO_EVERY == 1 else None
        if second is not None:
            found.append(_Face(*second, across + key.size + 3, down // 2))
        yield found


@dataclass
class _Copy:
    home: Path
    truth: Truth = field(default_factory=Truth)
    labels: dict[str, int] = field(default_factory=dict)
    """Of all faces that `prepare` deals, by `image_id`."""
    broken: list[str] = field(default_factory=list)
    """Those of them whose image turns out to be unreadable."""
    lines: list[str] = field(default_factory=list)

    def add(self, number: int, faces: Sequence[_Face]) -> bytes:
        """Write one photograph and a line for each face; return the image file."""
        first = faces[0].key
        name = f"{_NAMES[_NUMBERS[first.label]]}_person_{number}.jpg"
        image = _encoded(faces)
        self._write(name, image)
        for place, face in enumerate(faces):
            size = face.key.size
            box = (face.top, face.left, face.left + size, face.top + size)
            self.labels[self._list(name, place, box, _NUMBERS[face.key.label])] = face.key.label
        return image

    def add_quirks(self, image: bytes) -> None:
        """Add lines and images that can't be used."""
        first = self.lines[0].split()
        self.lines.append(" ".join(first))  # the same face a second time
        self.truth.rejected[first[0]] += 1
        self._write("happy odd name.jpg", image)
        name = self._list("happy odd name.jpg", 0, (1, 1, 9, 9), 3)
        self.labels[name] = LABELS[3]
        for stem, data in (("empty", b""), ("cut", truncated(image))):
            self._write(f"{stem}.jpg", data)
            name = self._list(f"{stem}.jpg", 0, (1, 1, 9, 9), 3)
            self.labels[name] = LABELS[3]
            self.broken.append(name)
            self.truth.rejected[f"{stem}.jpg"] += 1
        self._write("odd.jpg", image)
        for face, (box, label) in enumerate(
            (
                ((1, 1, 9, 9), 7),
                ((1, 1, 9, 9), "happy"),
                ((1, 9, 9, 9), 3),
                ((9, 1, 9, 1), 3),
                ((1, "x", 9, 9), 3),
            )
        ):
            self._list("odd.jpg", face, box, label)
            self.truth.rejected["odd.jpg"] += 1
        for name in ("gone.jpg", "../../etc/passwd", "/etc/passwd"):
            self._list(name, 0, (1, 1, 9, 9), 3)
            self.truth.rejected[name] += 1
        self.lines += ["", "odd.jpg 9 1 1 9"]
        self.truth.rejected["ExpW/label/label.lst"] += 1

    def _list(self, name: str, face: int, box: Sequence[object], label: object) -> str:
        """Add a line; return the `image_id` of the face."""
        top, left, right, bottom = box
        self.lines.append(f"{name} {face} {top} {left} {right} {bottom} 22.5 {label}")
        return f"{name}:{face}"

    def write_list(self, end: str) -> None:
        """Write `label/label.lst`."""
        path = self.home / "label" / "label.lst"
        path.parent.mkdir(parents=True)
        path.write_bytes("".join(line + end for line in self.lines).encode())

    def _write(self, name: str, data: bytes) -> None:
        path = self.home / "image" / "origin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _encoded(faces: Sequence[_Face]) -> bytes:
    size = faces[0].key.size
    width = max(face.left for face in faces) + size + 5
    height = max(face.top for face in faces) + size + 2
    wall = faces[0].key.dice(1).integers(40, 216, size=3)
    pixels_HWC = np.broadcast_to(wall, (height, width, 3)).astype(np.uint8)
    for face in faces:
        drawn = np.frombuffer(face.pixels, np.uint8).reshape(size, size, 3)
        pixels_HWC[face.top : face.top + size, face.left : face.left + size] = drawn
    stream = io.BytesIO()
    Image.fromarray(pixels_HWC).save(stream, "JPEG", quality=92)
    return stream.getvalue()
