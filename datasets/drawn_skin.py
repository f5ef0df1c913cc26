"""Skin: smooth light and shadow over the face, computed small and enlarged.

All that has soft edges (the ball of the head, sockets, cheeks, folds, stubble) is a sum of a few
Gaussian spots on a coarse grid; crisp features are painted over it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from datasets.drawn_actions import Actions
from datasets.drawn_canvas import Canvas, enlarged
from datasets.drawn_geometry import Points, chin_y, head_outline, nose_tip_y
from datasets.drawn_parameters import Person, View, shade

_GRID = 36

# One spot: x, y, half width, half height, all in face units, and its strength.
Spot = tuple[float, float, float, float, float]


@lru_cache(maxsize=1)
def _grid() -> Points:
    """Return the middles of the cells as fractions of the frame, [_GRID * _GRID, 2]."""
    middles = (np.arange(_GRID) + 0.5) / _GRID
    x, y = np.meshgrid(middles, middles)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _pair(x: float, y: float, half_x: float, half_y: float, strength: float) -> list[Spot]:
    return [(-x, y, half_x, half_y, strength), (x, y, half_x, half_y, strength)]


def _light_spots(person: Person, actions: Actions, view: View) -> list[Spot]:
    a, nose = actions, nose_tip_y(person, actions)
    shadow_side = -1.0 if view.light_x > 0 else 1.0
    mouth_bottom = person.mouth_y + 0.25 + 0.30 * a.jaw_drop
    folds = 0.05 + 0.16 * a.corner_pull + 0.20 * a.nose_wrinkle + 0.08 * person.age
    spots = [
        *_pair(0.42, -0.10, 0.30, 0.13, -0.13),
        *_pair(0.42, 0.17, 0.20, 0.06, -0.05 - 0.10 * person.age - 0.05 * a.lid_droop),
        *_pair(0.58, 0.36 - 0.05 * a.cheek_raise, 0.22, 0.15, 0.05 + 0.16 * a.cheek_raise),
        *_pair(0.47 + 0.1 * a.corner_pull, 0.70, 0.07, 0.17, -folds),
        (shadow_side * 0.15, 0.22, 0.07, 0.26, -0.16),
        (0.0, nose + 0.09, 0.20, 0.05, -0.20),
        (0.0, 0.15, 0.05, 0.25, 0.10),
        (0.0, nose - 0.06, 0.08, 0.06, 0.14),
        (0.0, mouth_bottom, 0.22, 0.05, -0.14 - 0.14 * a.chin_raise),
        (0.0, chin_y(person, a) - 0.14, 0.20, 0.10, 0.07 + 0.05 * a.chin_raise),
        (0.0, -0.68, 0.45, 0.16, 0.08),
        (0.0, -0.22, 0.11, 0.13, -0.20 * a.brow_lower - 0.16 * a.nose_wrinkle),
        (a.side * 0.54, 0.80, 0.09, 0.11, -0.24 * a.one_sided_pull),
        (a.side * 0.62, 0.55, 0.18, 0.13, 0.12 * a.one_sided_pull),
    ]
    if person.beard == "stubble":
        spots += [(0.0, 1.08, 0.62, 0.30, -0.20), (0.0, 0.74, 0.40, 0.08, -0.14)]
    return spots


def _red_spots(person: Person, actions: Actions) -> list[Spot]:
    nose = nose_tip_y(person, actions)
    cheeks = 0.10 + 0.10 * actions.cheek_raise
    return [*_pair(0.58, 0.42, 0.26, 0.18, cheeks), (0.0, nose - 0.02, 0.13, 0.10, 0.08)]


def _sum_spots(canvas: Canvas, lights: list[Spot], reds: list[Spot], where: Points) -> Points:
    """Return the sums of the spots of light and of red at ``where`` [N, 2], as [2, N].

    ``where`` is in turned face units. Single precision is plenty for 8 bits, and twice as fast.
    """
    table = np.array([*lights, *reds])
    centres = canvas.projection.turn(table[:, :2])
    scale = (1.0 / table[:, 2:4]).astype(np.float32)
    shift = (centres / table[:, 2:4]).astype(np.float32)
    coarse = where.astype(np.float32)
    x = scale[:, :1] * coarse[:, 0] - shift[:, :1]
    y = scale[:, 1:] * coarse[:, 1] - shift[:, 1:]
    x *= x
    y *= y
    x += y
    spots = np.exp(np.negative(x, out=x), out=x)
    strengths = np.zeros((2, len(table)), dtype=np.float32)
    strengths[0, : len(lights)] = table[: len(lights), 4]
    strengths[1, len(lights) :] = table[len(lights) :, 4]
    sums: Points = strengths @ spots
    return sums


_REDDEN = np.array([0.35, -0.75, -0.65])  # what a blush does to red, green and blue


def _skin_picture(canvas: Canvas, person: Person, actions: Actions, view: View) -> Image.Image:
    where = canvas.projection.unframe(_grid() * canvas.side)
    lights, reds = _light_spots(person, actions, view), _red_spots(person, actions)
    light, red = _sum_spots(canvas, lights, reds, where)
    # The head as a ball: darker towards its edge, lighter towards the lamp.
    ball = canvas.projection.turn(np.array([[0.0, 0.12]]))[0] * [0.35, 1.0]
    x, y = (where[:, 0] - ball[0]) / 1.05, (where[:, 1] - ball[1]) / 1.42
    edge = x * x + y * y
    light = light + 1.0 - 0.20 * edge * edge + view.light * (view.light_x * x + view.light_y * y)
    light = np.clip(light, 0.25, 1.3)
    pixels = light[:, None] * (1.0 + red[:, None] * _REDDEN) * np.array(person.skin, dtype=float)
    square = np.clip(pixels, 0.0, 255.0).astype(np.uint8).reshape(_GRID, _GRID, 3)
    return enlarged(Image.fromarray(square), canvas.side)


def paint_skin(canvas: Canvas, person: Person, actions: Actions, view: View) -> None:
    """Paint neck, ears and the shaded face."""
    picture = _skin_picture(canvas, person, actions, view)
    neck = np.array([[-0.56, 0.7], [0.56, 0.7], [0.60, 1.5], [0.9, 2.6], [-0.9, 2.6], [-0.6, 1.5]])
    canvas.outline(neck, shade(person.skin, 0.70))
    collar = np.array([[-2.2, 1.85], [-0.7, 1.52], [0.0, 1.72], [0.7, 1.52], [2.2, 1.85]])
    clothes = np.concatenate([collar, np.array([[2.2, 3.2], [-2.2, 3.2]])])
    canvas.polygon(canvas.projection.frame(clothes), person.clothes)
    _paint_ears(canvas, person, view)
    canvas.paste_inside(picture, canvas.projection.outline(head_outline(person, actions)))


_EAR = np.array(
    [[0.0, -0.20], [0.10, -0.22], [0.15, -0.12], [0.13, 0.06], [0.08, 0.20], [0.0, 0.24]]
)


def _paint_ears(canvas: Canvas, person: Person, view: View) -> None:
    for side in (-1.0, 1.0):
        # The ear on the side to which the head turns is hidden behind the cheek.
        hidden = 0.35 * max(0.0, side * view.yaw)
        width = person.cheek_width - 0.04 - hidden
        ear = _EAR * [side, 1.0] + [side * width, 0.10]
        canvas.outline(ear, shade(person.skin, 0.82))
        canvas.outline(ear * [1.0, 0.7] + [-side * 0.01, 0.03], shade(person.skin, 0.68))
