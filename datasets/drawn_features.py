"""The features that carry the expression: eyes, brows, nose, mouth and the lines of the skin."""

from __future__ import annotations

import numpy as np

from datasets.drawn_actions import Actions
from datasets.drawn_canvas import Canvas, Line
from datasets.drawn_geometry import (
    Mouth,
    Points,
    brow_line,
    curve,
    eye_lids,
    nose_tip_y,
    ribbon,
    shifted,
)
from datasets.drawn_parameters import Colour, Person, View, line_colour, mix, shade

_DARK: Colour = (28, 18, 18)
_SCLERA: Colour = (240, 237, 232)
_TEETH: Colour = (246, 242, 228)
_INSIDE: Colour = (62, 18, 22)
_TONGUE: Colour = (176, 82, 84)
_IRIS_RADIUS = 0.098


def paint_features(canvas: Canvas, person: Person, actions: Actions, view: View) -> None:
    """Paint lines, nose, mouth, eyes and brows over the skin."""
    mouth = Mouth(person, actions)
    _paint_lines(canvas, person, actions, mouth)
    _paint_nose(canvas, person, actions, view)
    _paint_mouth(canvas, person, actions, mouth)
    for side in (-1, 1):
        _paint_eye(canvas, person, actions, view, side)
        _paint_brow(canvas, person, actions, side)


def _paint_eye(canvas: Canvas, person: Person, a: Actions, view: View, side: int) -> None:
    upper, lower = eye_lids(person, a, side)
    opening = np.concatenate([upper, lower[::-1]])
    canvas.surface(opening, _SCLERA)
    # The iris is cut by the lids: its outline is kept between them.
    middle = np.array(
        [
            side * person.eye_distance + 0.07 * view.gaze_x,
            -0.022 + 0.05 * view.gaze_y + 0.022 * a.lid_droop - 0.01 * a.lid_raise,
        ]
    )
    radius = _IRIS_RADIUS * (1.0 - 0.06 * a.lid_raise)
    colours = (shade(person.iris, 0.55), person.iris, _DARK)
    discs = canvas.projection.surface(_iris_between(middle, radius, upper, lower))
    for disc, colour in zip(discs.reshape(3, -1, 2), colours, strict=True):
        canvas.polygon(disc, colour)
    # The upper lid throws a shadow on the eyeball.
    canvas.surface(np.concatenate([upper, shifted(upper, 0.0, 0.022)[::-1]]), _DARK, 0.30)
    glint = shifted(middle, 0.035 * (1 if view.light_x > 0 else -1), -0.03)
    if (lower[5, 1] - upper[5, 1]) > 0.07:
        canvas.disc(canvas.projection.surface(glint[None])[0], 0.020, (255, 255, 255), 0.9)
    canvas.stroke(upper, 0.038, _DARK, 0.92)
    canvas.stroke(lower, 0.016, shade(person.skin, 0.45), 0.75)
    _paint_lids(canvas, person, a, upper, lower)


def _paint_lids(canvas: Canvas, person: Person, a: Actions, upper: Points, lower: Points) -> None:
    crease = shifted(upper, 0.0, -0.048 - 0.02 * a.lid_droop + 0.012 * a.lid_raise)
    canvas.stroke(crease, 0.018, shade(person.skin, 0.50), 0.65)
    bag = 0.25 + 0.35 * person.age + 0.55 * a.cheek_raise + 0.3 * a.lid_tighten
    canvas.stroke(
        lower[2:-1] * [1.0, 1.35] + [0.0, 0.075], 0.018, shade(person.skin, 0.55), min(0.8, bag)
    )


_CIRCLE = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 21)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 21)[:-1])], axis=1
)


_IRIS = np.concatenate([_CIRCLE, 0.84 * _CIRCLE, 0.45 * _CIRCLE])  # rim, iris, pupil


def _iris_between(middle: Points, radius: float, upper: Points, lower: Points) -> Points:
    """Return rim, iris and pupil, 20 points each, with what the lids cover cut off."""
    discs = middle + radius * _IRIS
    order = slice(None) if upper[0, 0] < upper[-1, 0] else slice(None, None, -1)
    top = np.interp(discs[:, 0], upper[order, 0], upper[order, 1])
    bottom = np.interp(discs[:, 0], lower[order, 0], lower[order, 1])
    discs[:, 1] = np.minimum(np.maximum(discs[:, 1], top), bottom)
    return discs


_BROW_TAPER = np.array([0.80, 1.0, 1.08, 1.08, 1.0, 0.92, 0.80, 0.64, 0.44, 0.18])


def _paint_brow(canvas: Canvas, person: Person, a: Actions, side: int) -> None:
    line = canvas.projection.surface(brow_line(person, a, side), 0.03)
    half = 0.5 * person.brow_thickness * canvas.projection.unit * _BROW_TAPER
    canvas.polygon(ribbon(line, half), person.brow, 0.93)


def _paint_nose(canvas: Canvas, person: Person, a: Actions, view: View) -> None:
    y, width = nose_tip_y(person, a), person.nose_width * (1.0 + 0.16 * a.nose_wrinkle)
    line = line_colour(person.skin)
    lift = 0.22  # the tip stands before the face, so a turn moves it further
    shadow_side = -1.0 if view.light_x > 0 else 1.0
    if abs(view.yaw) > 0.3:
        shadow_side = 1.0 if view.yaw > 0 else -1.0
    bridge = curve(
        [
            (shadow_side * 0.10, -0.16),
            (shadow_side * 0.085, 0.05),
            (shadow_side * 0.11, y - 0.20),
            (shadow_side * 0.13, y - 0.10),
        ],
        3,
    )
    canvas.stroke(bridge, 0.022, line, 0.50, 0.12)
    for side in (-1.0, 1.0):
        wing = curve(
            [
                (side * (width - 0.05), y - 0.10 - 0.03 * a.nose_wrinkle),
                (side * (width + 0.01), y - 0.03),
                (side * (width - 0.02), y + 0.045),
                (side * (width - 0.09), y + 0.04),
            ],
            3,
        )
        canvas.stroke(wing, 0.026, line, 0.85, 0.10)
        nostril = _CIRCLE * [0.052, 0.026 + 0.012 * a.nose_wrinkle] + [side * 0.085, y + 0.045]
        canvas.surface(nostril, shade(person.skin, 0.28), 0.9, lift)
    base = curve([(-0.06, y + 0.065), (0.0, y + 0.082), (0.06, y + 0.065)], 3)
    canvas.stroke(base, 0.022, line, 0.7, lift)


def _paint_mouth(canvas: Canvas, person: Person, a: Actions, mouth: Mouth) -> None:
    top, bottom = mouth.inner_top, mouth.inner_bottom
    upper_lip = np.concatenate([mouth.outer_top, top[::-1]])
    lower_lip = np.concatenate([bottom, mouth.outer_bottom[::-1]])
    gap = float((bottom[:, 1] - top[:, 1]).max())
    if gap > 0.02:
        canvas.surface(np.concatenate([top, bottom[::-1]]), _INSIDE)
        _paint_inside(canvas, a, top, bottom, gap)
    canvas.surface(upper_lip, shade(person.lip, 0.88))
    canvas.surface(lower_lip, person.lip)
    shine = bottom * 0.35 + mouth.outer_bottom * 0.65
    canvas.stroke(shine[5:12], 0.028, mix(person.lip, (255, 255, 255), 0.45), 0.5)
    seam = shade(mix(person.lip, _DARK, 0.6), 0.7)
    if gap <= 0.02:
        canvas.stroke(0.5 * (top + bottom), 0.038, seam, 0.95)
    else:
        canvas.stroke(top, 0.018, seam, 0.8)
    for end in (0, -1):
        canvas.disc(canvas.projection.surface(top[[end]])[0], 0.020, seam, 0.7)


def _paint_inside(canvas: Canvas, a: Actions, top: Points, bottom: Points, gap: float) -> None:
    """Paint tongue and teeth between the inner contours of the lips."""
    if gap > 0.20 and a.lip_stretch < 0.4:
        tongue = np.maximum(top, bottom - [0.0, 0.10])
        canvas.surface(np.concatenate([tongue[3:-3], bottom[3:-3][::-1]]), _TONGUE)
    # A smile, a snarl and a raised lip bare the upper teeth; a fallen jaw alone hardly does.
    bared = 0.03 + 0.14 * min(1.0, a.corner_pull + a.upper_lip_raise + a.lip_stretch)
    upper_teeth = np.minimum(shifted(top, 0.0, min(bared, 0.8 * gap)), bottom)
    if bared > 0.05:
        canvas.surface(np.concatenate([top, upper_teeth[::-1]]), _TEETH)
    lower = 0.10 * min(1.0, a.lower_lip_drop + 0.5 * a.lip_stretch)
    if lower > 0.03:
        lower_teeth = np.maximum(bottom - [0.0, min(lower, 0.4 * gap)], top)
        canvas.surface(np.concatenate([lower_teeth, bottom[::-1]]), shade(_TEETH, 0.93))
    if bared > 0.1:
        for t in (5, 7, 9, 11):
            pair = np.stack([top[t], upper_teeth[t]])
            canvas.stroke(pair, 0.010, shade(_TEETH, 0.70), 0.5)


def _paint_lines(canvas: Canvas, person: Person, a: Actions, mouth: Mouth) -> None:
    """Paint the lines that an action folds into the skin; age keeps some of them at rest."""
    lines = (
        *_fold_lines(person, a, mouth),
        *_forehead_lines(a, person.age),
        *_eye_lines(person, a),
        *_nose_lines(a),
    )
    seen = [line._replace(opacity=min(0.9, line.opacity)) for line in lines if line.opacity > 0.08]
    canvas.strokes(seen, line_colour(person.skin))


def _fold_lines(person: Person, a: Actions, mouth: Mouth) -> list[Line]:
    lines: list[Line] = []
    nose_y = nose_tip_y(person, a)
    for side, end in ((-1, 0), (1, -1)):
        corner_x, corner_y = abs(mouth.inner_top[end, 0]), mouth.inner_top[end, 1]
        one_sided = a.one_sided_pull if side == a.side else 0.0
        strength = 0.32 * person.age + 0.75 * a.corner_pull + 0.8 * a.nose_wrinkle
        strength += 0.3 * a.upper_lip_raise + 0.85 * one_sided + 0.25 * a.lip_stretch
        out = 0.10 + 0.05 * a.corner_pull
        fold = curve(
            [
                (side * (person.nose_width + 0.03), nose_y - 0.08),
                (side * (0.5 * (person.nose_width + corner_x) + 0.10), 0.5 * (nose_y + corner_y)),
                (side * (corner_x + out), corner_y - 0.02),
                (side * (corner_x + out - 0.02), corner_y + 0.12),
            ],
            4,
        )
        lines.append(Line(fold, 0.034, strength * 0.75))
        dimple = curve(
            [
                (side * (corner_x + 0.05), corner_y - 0.06),
                (side * (corner_x + 0.085), corner_y),
                (side * (corner_x + 0.05), corner_y + 0.06),
            ],
            3,
        )
        lines.append(Line(dimple, 0.036, 0.9 * one_sided + 0.35 * a.corner_pull))
        sunk = curve(
            [
                (side * (corner_x + 0.01), corner_y + 0.02),
                (side * (corner_x + 0.06), corner_y + 0.10),
                (side * (corner_x + 0.05), corner_y + 0.20),
            ],
            3,
        )
        lines.append(Line(sunk, 0.026, 0.7 * a.corner_drop + 0.2 * person.age))
    chin = curve([(-0.16, 1.14), (0.0, 1.11), (0.16, 1.14)], 4)
    lines.append(Line(shifted(chin, 0.0, 0.1 * a.jaw_drop), 0.028, 0.6 * a.chin_raise))
    return lines


def _forehead_lines(a: Actions, age: float) -> list[Line]:
    raised = 0.5 * (a.inner_brow_raise + a.outer_brow_raise)
    half = 0.30 + 0.20 * min(1.0, a.outer_brow_raise)
    lines: list[Line] = []
    for y in (-0.60, -0.70, -0.80):
        wave = curve([(-half, y + 0.03), (-half / 2, y - 0.01), (0.0, y + 0.01)], 3)
        wave = np.concatenate([wave, wave[-2::-1] * [-1.0, 1.0]])
        lines.append(Line(wave, 0.020, 0.55 * raised + 0.25 * age))
    for side in (-1.0, 1.0):
        frown = curve([(side * 0.05, -0.42), (side * 0.045, -0.33), (side * 0.06, -0.24)], 3)
        lines.append(Line(frown, 0.030, 0.85 * a.brow_lower + 0.15 * age))
        if side == a.side:
            arc = curve([(side * 0.22, -0.60), (side * 0.45, -0.65), (side * 0.68, -0.56)], 3)
            lines.append(Line(arc, 0.022, 0.6 * a.one_sided_brow))
    return lines


def _eye_lines(person: Person, a: Actions) -> list[Line]:
    lines: list[Line] = []
    outer = person.eye_distance + person.eye_half_width + 0.03
    for side in (-1.0, 1.0):
        for rise in (-0.07, 0.0, 0.07):
            foot = np.array(
                [
                    [side * outer, 0.6 * rise],
                    [side * (outer + 0.06), 1.1 * rise],
                    [side * (outer + 0.13), 1.8 * rise],
                ]
            )
            lines.append(Line(foot, 0.018, 0.6 * a.cheek_raise * (0.6 + 0.4 * person.age)))
    return lines


def _nose_lines(a: Actions) -> list[Line]:
    lines: list[Line] = []
    for y in (-0.10, -0.02, 0.06):
        across = curve([(-0.09, y - 0.02), (0.0, y + 0.02), (0.09, y - 0.02)], 3)
        lines.append(Line(across, 0.022, 0.75 * a.nose_wrinkle))
    for side in (-1.0, 1.0):
        for shift in (0.0, 0.075):
            slant = np.array(
                [
                    [side * 0.09, 0.10 + shift],
                    [side * 0.14, 0.15 + shift],
                    [side * 0.17, 0.22 + shift],
                ]
            )
            lines.append(Line(slant, 0.024, 0.75 * a.nose_wrinkle))
    return lines
