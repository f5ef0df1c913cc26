"""Writes layout `affectnet-aligned`: numbered faces, and an annotation file for each value.

Numbers have gaps, as in the release. With quirks all lies one folder deeper, some labels are arrays
of one value in place of a bare value, and images and labels miss their partner or are broken.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.labels import EXCLUDED
from datasets.manifest import SplitName
from datasets.synthetic.base import FaceKey, Kept, Progress, Request, Truth, rendered
from datasets.synthetic.encoded import ellipse, jpeg_face, truncated, valence_arousal

_SPLIT_FOLDERS: dict[SplitName, str] = {"train": "train_set", "validation": "val_set"}
_HOME = "AffectNet"
_GAP_EVERY = 7
_FIRST_ODD = 9_000_000
_Label = npt.NDArray[Any] | bytes | None
"""An array to save, the bytes of a file, or no file."""


def write_affectnet_aligned(
    dest: Path, request: Request, progress: Progress | None = None
) -> Truth:
    """Write faces and their annotations; see `WriteLayout`."""
    copy = _Copy(dest, f"{_HOME}/" if request.quirks else "")
    last = b""
    for key, image in rendered(request.keys(), jpeg_face, progress):
        copy.add(key, image, one_value_arrays=request.quirks and key.number % 5 == 3)
        last = image
    if request.quirks:
        copy.add_quirks(last)
    return copy.truth


class _RunsCode:
    """A label that runs code where it is loaded without care."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('a label was run as code')",)


@dataclass
class _Copy:
    dest: Path
    prefix: str
    truth: Truth = field(default_factory=Truth)
    odd: int = _FIRST_ODD
    """Number of the next image that is added as a quirk."""

    def add(self, key: FaceKey, image: bytes, *, one_value_arrays: bool) -> None:
        """Write one face and its four annotations."""
        number = key.number + key.number // _GAP_EVERY
        folder = _SPLIT_FOLDERS[key.split]
        name = f"{folder}/images/{number}.jpg"
        valence, arousal = valence_arousal(key)
        self._write(name, image)
        for kind, value in (("exp", key.label), ("val", valence), ("aro", arousal)):
            text = np.array(str(value))
            self._annotate(folder, number, kind, text.reshape(1) if one_value_arrays else text)
        self._annotate(folder, number, "lnd", ellipse(0, 0, key.size, key.size))
        self.truth.kept[name] = Kept(key.split, key.label)

    def add_quirks(self, image: bytes) -> None:
        """Add pairs that can't be used, and files that belong to none."""
        for label in (np.array("11"), np.array("happy?"), np.array(["1", "2"]), np.array(np.nan)):
            self._reject(image, label)
        self._reject(b"", np.array("1"))
        self._reject(truncated(image), np.array("1"))
        self._reject(image, np.array([_RunsCode()], dtype=object))
        self._reject(image, None)
        self._reject(image, b"")
        self._reject(image, b"\x93NUMPY")
        # Other kinds of a good label, and one that is left out.
        for good in (np.array(3), np.array([b"3"]), np.array("3.0")):
            name = self._pair(image, good)
            self.truth.kept[name] = Kept("train", 3)
        for code, reason in EXCLUDED.items():
            self._pair(image, np.array(str(code)))
            self.truth.excluded[reason] += 1
        annotation = f"train_set/annotations/{self.odd}_exp.npy"
        self._annotate("train_set", self.odd, "exp", np.array("1"))
        self.truth.rejected[f"{self.prefix}{annotation}"] += 1  # without an image
        self._write("train_set/images/notes.txt", b"notes")
        self.truth.rejected[f"{self.prefix}train_set/images/notes.txt"] += 1
        self._write("train_set/images/Thumbs.db", b"not an image")
        self._write("val_set/annotations/.DS_Store", b"not a label")

    def _reject(self, image: bytes, label: _Label) -> None:
        self.truth.rejected[self.prefix + self._pair(image, label)] += 1

    def _pair(self, image: bytes, label: _Label) -> str:
        name = f"train_set/images/{self.odd}.jpg"
        self._write(name, image)
        if isinstance(label, bytes):
            self._write(f"train_set/annotations/{self.odd}_exp.npy", label)
        elif label is not None:
            self._annotate("train_set", self.odd, "exp", label)
        self.odd += 2
        return name

    def _annotate(self, folder: str, number: int, kind: str, value: npt.NDArray[Any]) -> None:
        path = self._path(f"{folder}/annotations/{number}_{kind}.npy")
        np.save(path, value, allow_pickle=value.dtype == object)

    def _write(self, name: str, data: bytes) -> None:
        self._path(name).write_bytes(data)

    def _path(self, name: str) -> Path:
        path = self.dest / f"{self.prefix}{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
