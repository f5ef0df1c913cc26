"""Drawn faces: labelled pictures of people who do not exist, for tests, demos and benchmarks.

A face is a function of ``(seed, index, expression, size, pose)`` and of nothing else: any process
draws the same bytes. The person and the view depend on ``(seed, index)`` alone, so one person can
be drawn with every expression.
"""

from __future__ import annotations

from dataclasses import replace
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
