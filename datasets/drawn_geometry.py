"""From a face's own coordinates to pixels, and the outlines of its parts.

A face lives in units of half its width: x to the right of the image, y down, the origin midway
between the eyes. Depth is that of a ball, so a turn of the head shifts and foreshortens every
feature alike.
"""

from __future__ import annotations

from functools import lru_cache
from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from datasets.drawn_actions import Actions
from datasets.drawn_parameters import Person, View

Points = NDArray[np.float64]  # [N, 2], x and y

# The y, in face units, that lies in the middle of the frame: between hairline and chin.
FRAME_MIDDLE_Y = 0.22
_BALL_RADIUS = 1.08
_DEPTH = 0.92


class Projection:
    """Turns the head, then puts it into the frame."""

    def __init__(self, view: View, side: int) -> None:
        self._cos, self._sin = cos(view.yaw), sin(view.yaw)
        self._pitch = view.pitch
        self.unit = view.scale * side  # pixels of one face unit
        self._centre = np.array([view.centre_x * side, view.centre_y * side])
        # Turned features move to one side; the head as a whole stays in the frame.
        self._anchor = np.array([0.30 * self._sin, FRAME_MIDDLE_Y])
        roll_cos, roll_sin = cos(view.roll), sin(view.roll)
        # Row vectors: [x, y] @ frame.
        self._frame = self.unit * np.array([[roll_cos, roll_sin], [-roll_sin, roll_cos]])
        self._offset = self._centre - self._anchor @ self._frame

    def turn(self, points: Points, lift: float = 0.0) -> Points:
        """Turn points on the face's surface, ``lift`` units in front of it; still face units."""
        x, y = points[:, 0], points[:, 1]
        depth = np.sqrt(np.maximum(0.0, 1.0 - (x / _BALL_RADIUS) ** 2)) * _DEPTH + lift
        turned = np.empty_like(points)
        turned[:, 0] = x * self._cos + depth * self._sin
        turned[:, 1] = y + self._pitch * depth
        return turned

    def turn_outline(self, points: Points) -> Points:
        """Turn points of the head's silhouette, which a turn moves little at the top."""
        turned = points.copy()
        drop = np.clip((points[:, 1] + 0.9) / 2.2, 0.0, 1.0)
        turned[:, 0] += self._sin * (0.10 + 0.52 * drop)
        return turned

    def frame(self, points: Points) -> Points:
        """Return pixel coordinates of turned points."""
        return points @ self._frame + self._offset

    def surface(self, points: Points, lift: float = 0.0) -> Points:
        """Return pixel coordinates of points on the face's surface."""
        return self.frame(self.turn(points, lift))

    def outline(self, points: Points) -> Points:
        """Return pixel coordinates of points of the silhouette."""
        return self.frame(self.turn_outline(points))

    def unframe(self, pixels: Points) -> Points:
        """Return the turned face coordinates of pixels (the inverse of `frame`)."""
        inverse: Points = (pixels - self._offset) @ np.linalg.inv(self._frame)
        return inverse


@lru_cache(maxsize=32)
def _spline(knots: int, samples: int, closed: bool) -> Points:
    """Return the matrix [points, knots] that samples a Catmull-Rom curve through its knots."""
    segments = knots if closed else knots - 1
    rows = np.zeros((segments * samples + (0 if closed else 1), knots))
    for row in range(len(rows)):
        segment, step = divmod(row, samples)
        if segment == segments:
            segment, step = segments - 1, samples
        t = step / samples
        weights = (
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        )
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
            knot = segment + offset
            knot = knot % knots if closed else min(max(knot, 0), knots - 1)
            rows[row, knot] += weight
    rows.setflags(write=False)
    return rows


def curve(knots: list[tuple[float, float]], samples: int = 5, *, closed: bool = False) -> Points:
    """Return a smooth curve through ``knots``."""
    smooth: Points = _spline(len(knots), samples, closed) @ np.array(knots)
    return smooth


def ribbon(centre: Points, half_widths: NDArray[np.float64]) -> Points:
    """Return the outlines of strokes: centre lines [..., N, 2] of half width [..., N].

    The result is [..., 2 N, 2]; strokes of equal length are widened at once.
    """
    along = np.empty_like(centre)
    along[..., 1:-1, :] = centre[..., 2:, :] - centre[..., :-2, :]
    along[..., 0, :] = centre[..., 1, :] - centre[..., 0, :]
    along[..., -1, :] = centre[..., -1, :] - centre[..., -2, :]
    x, y = along[..., 0], along[..., 1]
    factor = half_widths / np.maximum(np.hypot(x, y), 1e-9)
    across = np.stack([-y * factor, x * factor], axis=-1)
    return np.concatenate([centre + across, (centre - across)[..., ::-1, :]], axis=-2)


def shifted(points: Points, x: float, y: float) -> Points:
    """Return ``points`` moved by ``x`` and ``y``."""
    moved: Points = points + np.array([x, y])
    return moved


def mirrored(right_side: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Close a right half, given from the top down, with its mirror image."""
    left = [(-x, y) for x, y in reversed(right_side) if x != 0.0]
    return [*right_side, *left]


def chin_y(person: Person, actions: Actions) -> float:
    """Return where the chin ends; an open jaw lowers it."""
    return person.chin_y + 0.17 * actions.jaw_drop - 0.02 * actions.chin_raise


def head_outline(person: Person, actions: Actions) -> Points:
    """Return the silhouette of skull and jaw."""
    cheek, jaw, chin = person.cheek_width, person.jaw_width, chin_y(person, actions)
    wide = cheek + 0.02 * actions.corner_pull
    half = [
        (0.0, -1.22),
        (0.48, -1.13),
        (0.82, -0.84),
        (0.96 * cheek, -0.40),
        (cheek, 0.0),
        (0.97 * wide, 0.36),
        (0.5 * (0.97 * wide + jaw), 0.70),
        (jaw * 0.92, 0.62 * chin + 0.20),
        (jaw * 0.60, chin - 0.09),
        (jaw * 0.28, chin - 0.01),
        (0.0, chin),
    ]
    return curve(mirrored(half), 4, closed=True)


_BROW_T = np.linspace(0.0, 1.0, 10)
_BROW_INNER = (1.0 - _BROW_T) ** 1.3
_BROW_OUTER = _BROW_T**0.8
_BROW_ARCH = np.sin(np.pi * _BROW_T**1.2)


def brow_line(person: Person, actions: Actions, side: int) -> Points:
    """Return the centre line of a brow from its inner to its outer end."""
    a = actions
    one_sided = a.one_sided_brow * (1.0 if side == a.side else -0.30)
    y = -0.315 - person.brow_arch * (1.0 - 0.7 * min(1.0, a.brow_lower)) * _BROW_ARCH
    y = y + (0.16 * a.brow_lower - 0.21 * a.inner_brow_raise) * _BROW_INNER
    y += 0.045 * a.brow_lower + 0.05 * a.nose_wrinkle - 0.02 * a.cheek_raise
    y -= 0.17 * a.outer_brow_raise * _BROW_OUTER
    y -= one_sided * 0.15 * (0.45 + 0.55 * _BROW_ARCH)
    # Sadness: inner ends up alone; the outer ends sink with the tissue.
    y += 0.07 * max(0.0, a.inner_brow_raise - a.outer_brow_raise) * _BROW_OUTER
    inner_x = 0.155 - 0.065 * a.brow_lower
    x = inner_x + (0.72 - inner_x) * _BROW_T
    return np.stack([side * x, y], axis=1)


_EYE_T = np.linspace(-1.0, 1.0, 11)  # inner to outer corner
_EYE_UPPER = (1.0 - _EYE_T**2) ** 0.62
_EYE_LOWER = (1.0 - _EYE_T**2) ** 0.75
_EYE_OUTWARD = 0.5 * (_EYE_T + 1.0)


def eye_lids(person: Person, actions: Actions, side: int) -> tuple[Points, Points]:
    """Return the upper and the lower lid, each from the inner to the outer corner."""
    a, width = actions, person.eye_half_width
    upper = 0.112 * person.lid_openness
    upper *= 1 + 0.62 * a.lid_raise - 0.30 * a.lid_tighten - 0.22 * a.cheek_raise
    upper -= 0.050 * a.lid_droop + 0.012 * a.nose_wrinkle + 0.010 * a.brow_lower
    lower = 0.068 * (1 + 0.45 * a.lid_raise - 0.60 * a.lid_tighten - 1.05 * a.cheek_raise)
    lower -= 0.022 * a.nose_wrinkle
    # A raised cheek pushes the lower lid into an arch; the eye never shuts wholly.
    lower = max(lower, 0.030 - upper)
    x = side * (person.eye_distance + width * _EYE_T)
    slope = (0.055 * a.lid_droop - person.eye_tilt - 0.03 * a.brow_lower) * _EYE_OUTWARD
    sag = 0.035 * a.lid_droop * _EYE_OUTWARD * _EYE_UPPER
    return (
        np.stack([x, slope + sag - upper * _EYE_UPPER], axis=1),
        np.stack([x, slope + lower * _EYE_LOWER], axis=1),
    )


def nose_tip_y(person: Person, actions: Actions) -> float:
    """Return the height of the nostrils; a wrinkled nose draws them up."""
    return person.nose_length - 0.075 * actions.nose_wrinkle


_MOUTH_T = np.linspace(-1.0, 1.0, 17)  # image left to image right
_MOUTH_DOME = 1.0 - _MOUTH_T**2
_MOUTH_BOW = np.exp(-((np.abs(_MOUTH_T) - 0.22) ** 2) / 0.03) - 0.6 * np.exp(-(_MOUTH_T**2) / 0.01)


class Mouth:
    """The four contours of a mouth, each [17, 2] from image left to image right."""

    def __init__(self, person: Person, actions: Actions) -> None:
        a, t = actions, _MOUTH_T
        self.opening = self._opening(a)
        half = person.mouth_half_width * self._width(a)
        y = person.mouth_y + 0.05 * a.jaw_drop - 0.02 * a.nose_wrinkle - 0.02 * a.chin_raise
        pull = np.full(t.shape, a.corner_pull)
        on_side = np.clip(0.5 + 0.9 * a.side * t, 0.0, 1.0)
        pull += a.one_sided_pull * 1.05 * on_side
        rise = 0.20 * pull - 0.165 * a.corner_drop - 0.03 * a.lip_stretch
        middle = y + 0.045 * a.corner_pull - 0.055 * a.corner_drop - rise * np.abs(t) ** 1.6
        middle -= 0.035 * a.upper_lip_raise + 0.02 * a.chin_raise * _MOUTH_DOME
        x = half * t + 0.07 * a.one_sided_pull * a.side * on_side
        squareness = self._squareness(a)
        gap = _MOUTH_DOME**squareness
        above = 0.20 * a.jaw_drop * (
            1.0 - 0.8 * min(1.0, a.corner_pull)
        ) + 0.085 * a.upper_lip_raise * (1.0 - 0.4 * a.corner_pull)
        below = self.opening - above
        thin = (1.0 - 0.62 * min(1.0, a.lip_press)) * (1.0 - 0.25 * min(1.0, a.lip_stretch))
        lip = person.lip_fullness * thin * (1.0 - 0.20 * min(1.0, a.corner_pull))
        upper_lip = lip * (0.072 * _MOUTH_DOME**0.7 + 0.020 * _MOUTH_BOW * _MOUTH_DOME)
        lower_lip = lip * (0.092 + 0.03 * a.chin_raise) * _MOUTH_DOME**0.62
        inner_top, inner_bottom = middle - above * gap, middle + max(0.0, below) * gap
        if a.chin_raise > 0.2 or a.lip_press > 0.5:
            inner_bottom = np.maximum(inner_bottom, inner_top)
        self.inner_top = np.stack([x, inner_top], axis=1)
        self.inner_bottom = np.stack([x, inner_bottom], axis=1)
        self.outer_top = np.stack([x, inner_top - upper_lip], axis=1)
        self.outer_bottom = np.stack([x, inner_bottom + lower_lip], axis=1)

    @staticmethod
    def _opening(a: Actions) -> float:
        drop = 0.44 * a.jaw_drop + 0.13 * a.lower_lip_drop + 0.11 * a.upper_lip_raise
        return drop if drop > 0.03 else 0.0

    @staticmethod
    def _width(a: Actions) -> float:
        # A jaw that drops without a smile or a stretch rounds the mouth (surprise).
        round_mouth = max(0.0, a.jaw_drop - a.corner_pull - a.lip_stretch)
        width = 1.0 + 0.27 * a.corner_pull + 0.30 * a.lip_stretch - 0.42 * round_mouth
        return width - 0.10 * a.lip_press - 0.08 * a.corner_drop + 0.04 * a.one_sided_pull

    @staticmethod
    def _squareness(a: Actions) -> float:
        # The smaller, the more the open mouth is a box: a stretched or a snarling one.
        return 0.55 - 0.28 * min(1.0, a.lip_stretch) - 0.22 * min(1.0, a.lower_lip_drop)
