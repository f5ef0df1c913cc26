"""Drawn faces as a source: what `synth` writes to shards. It has no folder to be detected in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.drawn import draw_face, drawn_labels, face_index
from datasets.errors import ConfigError
from datasets.manifest import SplitName
from datasets.sources.base import Origin, SourceOptions, SourceRow

DRAWN_SOURCE = "drawn faces"
"""What the manifest of such shards names as their source."""


@dataclass(frozen=True)
class DrawnFace:
    """One face, drawn when it is called for."""

    label: int
    seed: int
    index: int
    size: int

    def __call__(self) -> npt.NDArray[np.uint8]:
        """Return uint8 [size, size, 3] RGB."""
        return draw_face(self.label, seed=self.seed, index=self.index, size=self.size)


@dataclass(frozen=True)
class DrawnFaces:
    """`train` and `validation` faces of `size` by `size` pixels, keyed by `seed`."""

    train: int
    validation: int
    size: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("train", "validation"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: draw at least one face")

    def detect(self, path: Path) -> bool:
        """Say no: there is no folder of drawn faces."""
        return False

    def rows(self, path: Path, options: SourceOptions) -> Iterator[SourceRow]:
        """Yield the faces of training, then of validation; `path` and `options` don't enter."""
        counts: tuple[tuple[SplitName, int], ...] = (
            ("train", self.train),
            ("validation", self.validation),
        )
        for split, count in counts:
            for number, label in enumerate(drawn_labels(split, count, self.seed).tolist()):
                name = f"drawn/{split}/{number:06d}"
                index = face_index(split, number)
                image = DrawnFace(label, self.seed, index, self.size)
                yield SourceRow(name, label, split, image, Origin(name))
