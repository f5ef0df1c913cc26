"""Drawn faces: labelled pictures of people who do not exist, for tests, demos and benchmarks.

A face is a function of ``(seed, index, expression, size, pose)`` and of nothing else: any process
draws the same bytes. The person and the view depend on ``(seed, index)`` alone, so one person can
be drawn with every expression.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.drawn_actions import draw_actions
from datasets.drawn_canvas import Canvas
from datasets.drawn_features import paint_features
from datasets.drawn_finish import finish
from datasets.drawn_hair import paint_back_hair, paint_beard, paint_front_hair, paint_glasses
from datasets.drawn_occluders import paint_occluder
from datasets.drawn_parameters import Dice, Pose, draw_person, draw_view
from datasets.drawn_skin import paint_skin
from datasets.errors import ConfigError
from datasets.labels import EXPRESSIONS, NUM_CLASSES

__all__ = ["Pose", "draw_face", "drawn_labels", "face_index", "probe_faces"]

SMALLEST_SIZE: Final[int] = 16

# Training images of AffectNet by expression (Mollahosseini et al. 2019, table 3).
AFFECTNET_TRAIN_COUNTS: Final[tuple[int, ...]] = (
    74874,
    134415,
    25459,
    14090,
    6378,
    3803,
    24882,
    3750,
)
_SPLITS: Final[tuple[str, ...]] = ("train", "validation")


def draw_face(
    expression: int, *, seed: int, index: int, size: int, pose: Pose | None = None
) -> NDArray[np.uint8]:
    """Draw one face: uint8 ``[size, size, 3]``, RGB.

    ``expression`` is a code of `datasets.labels.EXPRESSIONS`; ``seed`` and ``index`` (both 0 or
    more) together key the face; ``pose`` overrides the drawn pose and nothing else. Raises
    `ConfigError` for a value outside its range.
    """
    _check_request(expression, seed, index, size)
    dice = Dice(seed, index)
    person, view = draw_person(dice), draw_view(dice, pose)
    actions = draw_actions(expression, dice)
    canvas = Canvas(view, size)
    paint_back_hair(canvas, person)
    paint_skin(canvas, person, actions, view)
    paint_beard(canvas, person, actions)
    paint_features(canvas, person, actions, view)
    paint_glasses(canvas, person)
    paint_front_hair(canvas, person)
    paint_occluder(canvas, person, view)
    return finish(canvas.image, view, size)


def _check_request(expression: int, seed: int, index: int, size: int) -> None:
    if not 0 <= expression < NUM_CLASSES:
        raise ConfigError(
            f"drawn face: expression {expression} is not a code of 0 to {NUM_CLASSES - 1} "
            f"({', '.join(EXPRESSIONS)})"
        )
    if seed < 0 or index < 0:
        raise ConfigError(f"drawn face: seed {seed} and index {index} must be 0 or more")
    if size < SMALLEST_SIZE:
        raise ConfigError(f"drawn face: size {size} is too small, use {SMALLEST_SIZE} or more")


def face_index(split: str, row: int) -> int:
    """Return the index that draws row ``row`` of a split.

    The rows of the two splits take even and odd indices, so with the same seed no person is in
    both, and a split keeps its faces when the other one grows.
    """
    return 2 * row + _split_number(split)


def drawn_labels(split: str, count: int, seed: int) -> NDArray[np.int8]:
    """Return the codes of ``count`` faces of a split in a shuffled order, int8 ``[count]``.

    ``train`` has AffectNet's imbalance, with every expression at least once where ``count``
    allows it; ``validation`` is balanced to within one face.
    """
    number = _split_number(split)
    if count < 0 or seed < 0:
        raise ConfigError(f"drawn labels: count {count} and seed {seed} must be 0 or more")
    shares = AFFECTNET_TRAIN_COUNTS if split == "train" else (1,) * NUM_CLASSES
    labels = np.repeat(np.arange(NUM_CLASSES, dtype=np.int8), _apportioned(shares, count))
    generator = np.random.default_rng(np.random.SeedSequence([seed, number, count]))
    return generator.permutation(labels)


def _split_number(split: str) -> int:
    if split not in _SPLITS:
        raise ConfigError(f"drawn faces: no split {split!r}, use {' or '.join(_SPLITS)}")
    return _SPLITS.index(split)


def _apportioned(shares: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """Share ``count`` out by the largest remainders, one to each share first where it reaches."""
    first = 1 if count >= len(shares) else 0
    exact = np.array(shares) / sum(shares) * count
    counts = np.maximum(np.floor(exact).astype(np.int64), first)
    # Ones given to rare classes may overdraw the count: the largest classes give them back.
    while counts.sum() > count:
        counts[np.argmax(counts)] -= 1
    left = count - int(counts.sum())
    counts[np.argsort(-(exact - counts), kind="stable")[:left]] += 1
    return counts


def probe_faces(size: int, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """Return one happy face in the four poses: name of the pose to uint8 ``[size, size, 3]``."""
    happiness = EXPRESSIONS.index("Happiness")
    return {
        pose.value: draw_face(happiness, seed=seed, index=0, size=size, pose=pose) for pose in Pose
    }
