"""Hair, beards, scarves and glasses: what varies between people and says nothing of expression."""

from __future__ import annotations

import numpy as np

from datasets.drawn_actions import Actions
from datasets.drawn_canvas import Canvas
from datasets.drawn_geometry import Mouth, Points, chin_y, curve, mirrored, ribbon, shifted
from datasets.drawn_parameters import Colour, Person, mix, shade

_LONG = ("long", "side_long", "curly_long")
_CURLY = ("curly", "afro", "curly_long")


def paint_back_hair(canvas: Canvas, person: Person) -> None:
    """Paint what hangs behind the head; comes before the skin."""
    style, colour = person.hair_style, shade(person.hair, 0.72)
    if style in _LONG:
        half = [(0.0, -1.38), (0.75, -1.22), (1.12, -0.6), (1.18, 0.2), (1.20, 1.0), (1.28, 2.6)]
        shape = curve(mirrored(half), 4, closed=True)
        canvas.outline(_curled(shape) if style in _CURLY else shape, colour)
    elif style == "afro":
        half = [(0.0, -1.75), (0.8, -1.55), (1.32, -0.9), (1.42, -0.2), (1.15, 0.45), (0.6, 0.5)]
        canvas.outline(_curled(curve(mirrored(half), 6, closed=True)), colour)
    elif style == "scarf":
        half = [(0.0, -1.42), (0.8, -1.22), (1.16, -0.5), (1.18, 0.4), (1.0, 1.3), (1.5, 2.6)]
        canvas.outline(curve(mirrored(half), 4, closed=True), shade(person.clothes, 0.8))


def _curled(shape: Points) -> Points:
    """Return a finer outline with bumps, as curls have."""
    steps = np.arange(0, len(shape), 0.34)
    nodes = np.arange(len(shape) + 1)
    closed = np.concatenate([shape, shape[:1]])
    fine = np.stack([np.interp(steps, nodes, closed[:, axis]) for axis in (0, 1)], axis=1)
    middle = fine.mean(axis=0)
    result: Points = middle + (fine - middle) * (1.0 + 0.035 * np.sin(steps * 4.1))[:, None]
    return result


def _hairline(person: Person) -> list[tuple[float, float]]:
    """Return the inner edge of the front hair, from image right to image left."""
    low = -0.86 + 0.22 * person.fringe
    lines: dict[str, list[tuple[float, float]]] = {
        "short": [(0.97, 0.12), (0.90, -0.34), (0.74, low + 0.16), (0.36, low), (0.0, low + 0.03)],
        "curly": [(0.98, 0.15), (0.90, -0.38), (0.68, low + 0.16), (0.34, low + 0.05), (0.0, low)],
        "receding": [(0.99, 0.10), (0.94, -0.30), (0.84, -0.72), (0.52, -1.02), (0.0, -0.98)],
        "bun": [(0.99, 0.02), (0.92, -0.36), (0.72, -0.74), (0.38, -0.92), (0.0, -0.96)],
        "afro": [(1.0, 0.10), (0.90, -0.40), (0.70, -0.72), (0.36, -0.84), (0.0, -0.86)],
        "long": [(0.98, 1.0), (0.90, 0.0), (0.78, -0.55), (0.42, -0.88), (0.0, -1.02)],
        "curly_long": [(0.98, 0.9), (0.88, 0.1), (0.76, -0.52), (0.40, -0.80), (0.0, -0.86)],
    }
    if person.hair_style in ("side", "side_long"):
        drop = 1.0 if person.hair_style == "side_long" else 0.12
        part = 0.30 + 0.2 * person.fringe
        right = [(0.97, drop), (0.90, -0.30), (0.76, -0.72), (part, -1.0)]
        return [*right, (-0.05, -0.80), (-0.5, low + 0.12), (-0.85, -0.34), (-0.97, drop)]
    right = lines[person.hair_style]
    return [*right, *[(-x, y) for x, y in reversed(right[:-1])]]


def paint_front_hair(canvas: Canvas, person: Person) -> None:
    """Paint the hair over forehead and temples; comes after the skin."""
    style = person.hair_style
    if style == "bald":
        return
    if style == "scarf":
        _paint_scarf(canvas, person)
        return
    line = _hairline(person)
    height = 1.50 if style in _CURLY else 1.30 + 0.10 * person.fringe
    bottom = line[0][1]
    left = [(-1.04, bottom), (-1.06, -0.35), (-0.94, -0.92), (-0.52, -height + 0.08)]
    outer = curve([*left, (0.0, -height), *[(-x, y) for x, y in reversed(left)]], 4)
    shape = np.concatenate([outer, curve(line, 4)])
    canvas.outline(_curled(shape) if style in _CURLY else shape, person.hair)
    _paint_strands(canvas, person, line, height)


def _paint_strands(
    canvas: Canvas, person: Person, line: list[tuple[float, float]], height: float
) -> None:
    light, dark = mix(person.hair, (255, 240, 220), 0.22), shade(person.hair, 0.6)
    tips = shifted(curve(line, 4)[3:-3:3], 0.0, -0.04)
    roots = np.stack([tips[:, 0] * 0.75, 0.2 * tips[:, 0] ** 2 - height + 0.10], axis=1)
    bends = 0.5 * (roots + tips) + np.stack([0.10 * tips[:, 0], np.full(len(tips), -0.03)], axis=1)
    strands = np.stack([roots, bends, tips], axis=1)
    pixels = canvas.projection.outline(strands.reshape(-1, 2)).reshape(strands.shape)
    half = np.array([0.2, 1.0, 0.3]) * 0.016 * canvas.projection.unit
    for number, strand in enumerate(ribbon(pixels, half)):
        canvas.polygon(strand, dark if number % 2 else light, 0.55)


def _paint_scarf(canvas: Canvas, person: Person) -> None:
    outer = [(0.0, -1.44), (0.8, -1.24), (1.16, -0.5), (1.16, 0.4), (0.98, 1.1), (0.6, 1.75)]
    inner = [(0.0, -0.80), (0.5, -0.72), (0.80, -0.40), (0.88, 0.1), (0.80, 0.66), (0.45, 1.36)]
    ring = np.concatenate(
        [
            curve([(-x, y) for x, y in reversed(outer)] + outer[1:], 4),
            curve(list(reversed(inner)) + [(-x, y) for x, y in inner[1:]], 4),
        ]
    )
    canvas.outline(ring, person.clothes)
    for shift in (0.06, 0.14):
        fold = curve([(-x - shift, y - shift) for x, y in reversed(inner[:5])], 4)
        fold = np.concatenate([fold, fold[-2::-1] * [-1.0, 1.0]])
        line = canvas.projection.outline(fold)
        half = np.full(len(line), 0.012 * canvas.projection.unit)
        canvas.polygon(ribbon(line, half), shade(person.clothes, 0.7), 0.6)


def paint_beard(canvas: Canvas, person: Person, actions: Actions) -> None:
    """Paint beard and moustache; comes before the mouth and moves with it."""
    if person.beard in ("none", "stubble"):
        return
    mouth, colour = Mouth(person, actions), mix(person.hair, person.brow, 0.4)
    if person.beard == "full":
        _paint_full_beard(canvas, person, actions, mouth, colour)
    if person.beard == "goatee":
        chin = chin_y(person, actions)
        top = float(mouth.outer_bottom[8, 1]) + 0.03
        half = [(0.0, top), (0.17, top + 0.03), (0.22, chin - 0.12), (0.0, chin + 0.04)]
        canvas.outline(curve(mirrored(half), 4, closed=True), colour, 0.85)
    lip = shifted(mouth.outer_top, 0.0, -0.045)
    if person.beard != "goatee":
        moustache = canvas.projection.surface(lip[1:-1] * [1.02, 1.0], 0.05)
        half_widths = 0.062 * np.sin(np.linspace(0.35, np.pi - 0.35, len(moustache)))
        canvas.polygon(ribbon(moustache, half_widths * canvas.projection.unit), colour, 0.9)


def _paint_full_beard(
    canvas: Canvas, person: Person, actions: Actions, mouth: Mouth, colour: Colour
) -> None:
    cheek, chin = person.cheek_width, chin_y(person, actions)
    jaw = person.jaw_width
    half = [
        (cheek * 0.98, 0.20),
        (cheek * 0.98, 0.46),
        (0.5 * (cheek + jaw), 0.74),
        (jaw * 0.95, 0.62 * chin + 0.22),
        (jaw * 0.62, chin - 0.03),
        (0.0, chin + 0.07),
    ]
    outer = curve([*half, *[(-x, y) for x, y in reversed(half[:-1])]], 4)
    side_x = float(mouth.inner_top[-1, 0]) + 0.10
    inner = [(-0.90, 0.30), (-0.80, 0.62), (-side_x, 0.80), (-0.30, 0.80)]
    inner += [(0.0, 0.78), *[(-x, y) for x, y in reversed(inner)]]
    canvas.outline(np.concatenate([outer, curve(inner, 4)]), colour, 0.9)


def paint_glasses(canvas: Canvas, person: Person) -> None:
    """Paint a thin frame around the eyes; the lenses are clear, for eyes carry the expression."""
    if not person.glasses:
        return
    colour, unit = shade(person.clothes, 0.35), canvas.projection.unit
    angles = np.linspace(0.0, 2.0 * np.pi, 25)
    for side in (-1.0, 1.0):
        # A rounded box: cosine and sine with their ends pulled outwards.
        box = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        box = np.sign(box) * np.abs(box) ** 0.7 * [0.33, 0.25]
        rim = canvas.projection.surface(
            shifted(box, side * (person.eye_distance + 0.02), 0.02), 0.06
        )
        canvas.polygon(ribbon(rim, np.full(len(rim), 0.016 * unit)), colour)
    bridge = curve([(-0.12, -0.03), (0.0, -0.07), (0.12, -0.03)], 3)
    canvas.stroke(bridge, 0.036, colour, 1.0, 0.12)
