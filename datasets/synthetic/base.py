"""What is drawn, and what a reader of it must find: the parts that all layouts share."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from datasets.dealing import Deal
from datasets.drawn import draw_face, drawn_labels, face_index
from datasets.errors import ConfigError
from datasets.group_splits import validation_by_groups
from datasets.manifest import SPLITS, SplitName
from datasets.parallel import num_cores, ordered_map, process_pool


class FaceKey(NamedTuple):
    """One face, not drawn yet; picklable."""

    split: SplitName
    number: int
    """Position within its split."""
    label: int
    """Code 0 to 7."""
    size: int
    """Height and width, pixels."""
    seed: int

    def draw(self) -> npt.NDArray[np.uint8]:
        """Return the face, uint8 [size, size, 3] RGB: the same for equal keys."""
        index = face_index(self.split, self.number)
        return draw_face(self.label, seed=self.seed, index=index, size=self.size)

    def dice(self, what: int = 0) -> np.random.Generator:
        """Return random numbers of this face's own; `what` keeps several uses apart."""
        split = SPLITS.index(self.split)
        return np.random.default_rng((self.seed, split, self.number, what))


@dataclass(frozen=True)
class Request:
    """How many faces of which kind, and whether with what goes wrong in the wild."""

    train: int
    validation: int
    size: int
    """Height and width of a face, pixels."""
    seed: int = 0
    quirks: bool = True
    """Broken and missing files, odd spellings, stray files: all that copies of this layout have."""

    def __post_init__(self) -> None:
        for name in ("train", "validation"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: draw at least one face")

    def keys(self) -> list[FaceKey]:
        """Return all faces, training first, in AffectNet's imbalance; validation is balanced."""
        counts: tuple[tuple[SplitName, int], ...] = (
            ("train", self.train),
            ("validation", self.validation),
        )
        return [
            FaceKey(split, number, label, self.size, self.seed)
            for split, count in counts
            for number, label in enumerate(drawn_labels(split, count, self.seed).tolist())
        ]


class Kept(NamedTuple):
    """What `prepare` must make of a good image."""

    split: SplitName
    label: int


@dataclass
class Truth:
    """What `prepare` must find in what was written; a test compares it row by row."""

    kept: dict[str, Kept] = field(default_factory=dict)
    """By `image_id`."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Rows by the file that `rejected.csv` must name."""
    excluded: Counter[str] = field(default_factory=Counter)
    """Rows by reason, as in the manifest."""
    remarks: Counter[str] = field(default_factory=Counter)
    """Rows by remark, as in the manifest."""


def divided(labels: Mapping[str, int], group_of: Callable[[str], str]) -> dict[str, Kept]:
    """Return what `prepare` makes, unless told otherwise, of images whose source has no split.

    `labels` has the code of each image by `image_id`, in the order of the source; of images that
    turn out to be broken too, since they are dealt before they are read. `group_of` names the
    group of an `image_id`.
    """
    usual = Deal()
    groups = [("group", group_of(name)) for name in labels]
    chosen = validation_by_groups(
        list(labels.values()), groups, usual.validation_fraction, usual.seed
    )
    return {
        name: Kept("validation" if place in chosen else "train", label)
        for place, (name, label) in enumerate(labels.items())
    }


Progress = Callable[[int, int], None]
"""Called with (faces done, faces in all)."""


class WriteLayout(Protocol):
    """Writes the requested faces to an empty `dest` as one public layout has them."""

    def __call__(self, dest: Path, request: Request, progress: Progress | None = None) -> Truth:
        """Write; the same request gives the same bytes. Raises `OSError`."""


def rendered(
    keys: list[FaceKey], render: Callable[[FaceKey], bytes], progress: Progress | None = None
) -> Iterator[tuple[FaceKey, bytes]]:
    """Yield each key with `render(key)`, in order, drawn by all cores.

    `render` is picklable: a function of a module, or a `partial` of one.
    """
    workers = num_cores()
    if workers == 1 or len(keys) < _WORTH_PROCESSES:
        for done, key in enumerate(keys, start=1):
            yield key, render(key)
            _tell(progress, done, len(keys))
        return
    blocks = [keys[start : start + _BLOCK] for start in range(0, len(keys), _BLOCK)]
    done = 0
    with process_pool(workers) as pool:
        images = ordered_map(_Block(render), blocks, pool, workers, ahead=2)
        for block, encoded in zip(blocks, images, strict=True):
            yield from zip(block, encoded, strict=True)
            done += len(block)
            _tell(progress, done, len(keys))


_BLOCK = 64
# Below it, starting processes takes longer than drawing.
_WORTH_PROCESSES = 1000


@dataclass(frozen=True)
class _Block:
    render: Callable[[FaceKey], bytes]

    def __call__(self, keys: list[FaceKey]) -> list[bytes]:
        return [self.render(key) for key in keys]


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
