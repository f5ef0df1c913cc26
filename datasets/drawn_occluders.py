"""Things in front of a face: each hides a part of one side and leaves the other to be read."""

from __future__ import annotations

import numpy as np

from datasets.drawn_canvas import Canvas
from datasets.drawn_geometry import Points, curve, ribbon, shifted
from datasets.drawn_parameters import Person, Pose, View, mix, shade


def paint_occluder(canvas: Canvas, person: Person, view: View) -> None:
    """Paint the occluder of an occluded view; other views have none."""
    if view.pose is not Pose.OCCLUDED:
        return
    {"hand": _hand, "hair": _hair, "mug": _mug, "card": _card}[view.occluder](canvas, person, view)


def _placed(canvas: Canvas, view: View, points: Points) -> Points:
    """Return pixels of points given for the image's right side."""
    return canvas.projection.frame(points * [view.occluder_side, 1.0])


def _hand(canvas: Canvas, person: Person, view: View) -> None:
    """A hand from below, fingers up the cheek and over the corner of the mouth."""
    skin, edge = shade(person.skin, 0.93), shade(person.skin, 0.55)
    unit = canvas.projection.unit
    base = 0.28 + 0.12 * view.occluder_x
    palm = curve(
        [
            (base, 1.15),
            (base + 0.7, 1.05),
            (base + 0.95, 1.9),
            (base + 0.2, 2.2),
            (base - 0.1, 1.7),
        ],
        4,
        closed=True,
    )
    canvas.polygon(_placed(canvas, view, palm * 1.02 - [0.02, 0.04]), edge)
    canvas.polygon(_placed(canvas, view, palm), skin)
    tips = ((0.02, 0.62), (0.22, 0.34), (0.44, 0.28), (0.66, 0.46))
    for finger, (tip_x, tip_y) in enumerate(tips):
        root = [base + 0.14 + 0.19 * finger, 1.35]
        line = curve([(root[0], root[1]), (base + tip_x + 0.10, 0.85), (base + tip_x, tip_y)], 4)
        pixels = _placed(canvas, view, line)
        widths = np.linspace(0.115, 0.085, len(line)) * unit
        for colour, more in ((edge, 0.022 * unit), (skin, 0.0)):
            canvas.polygon(ribbon(pixels, widths + more), colour)
            canvas.disc(pixels[-1], 0.085 + more / unit, colour)
        nail = pixels[-1] + (pixels[-1] - pixels[-2]) * 0.3
        canvas.disc(nail, 0.045, mix(skin, (255, 225, 215), 0.6))


def _hair(canvas: Canvas, person: Person, view: View) -> None:
    """A lock of hair over one eye."""
    colour = person.hair if person.hair_style != "scarf" else shade(person.hair, 0.9)
    reach = 0.75 + 0.35 * view.occluder_x
    lock = curve(
        [(-0.25, -1.25), (0.10, -0.75), (0.22, -0.2), (0.42, reach), (0.78, reach + 0.15)], 4
    )
    back = curve([(0.95, reach), (1.05, 0.1), (1.10, -0.6), (0.85, -1.3)], 4)
    canvas.polygon(_placed(canvas, view, np.concatenate([lock, back])), colour)
    for offset in (0.10, 0.22, 0.34):
        strand = _placed(canvas, view, shifted(lock[2:-2], offset, 0.02))
        half = 0.014 * canvas.projection.unit * np.sin(np.linspace(0.2, 2.9, len(strand)))
        canvas.polygon(ribbon(strand, half), shade(person.hair, 0.65), 0.7)


def _mug(canvas: Canvas, person: Person, view: View) -> None:
    """A mug before one half of the chin and the mouth."""
    del person
    colour, x = view.occluder_colour, 0.12 + 0.18 * view.occluder_x
    body = np.array([[x, 0.78], [x + 0.85, 0.74], [x + 0.80, 1.75], [x + 0.06, 1.78]])
    handle = curve([(x + 0.82, 0.95), (x + 1.12, 1.05), (x + 1.08, 1.4), (x + 0.80, 1.5)], 4)
    pixels = _placed(canvas, view, handle)
    canvas.polygon(
        ribbon(pixels, np.full(len(pixels), 0.06 * canvas.projection.unit)), shade(colour, 0.8)
    )
    canvas.polygon(_placed(canvas, view, body), colour)
    band = body[[0, 1, 1, 0]] + [[0.0, 0.0], [0.0, 0.0], [0.0, 0.07], [0.0, 0.07]]
    canvas.polygon(_placed(canvas, view, band), shade(colour, 1.2))
    shadow = body * [1.0, 1.0] + [[0.62, 0.0], [0.0, 0.0], [0.0, 0.0], [0.56, 0.0]]
    canvas.polygon(_placed(canvas, view, shadow), shade(colour, 0.6), 0.5)


def _card(canvas: Canvas, person: Person, view: View) -> None:
    """A sheet held up before one side."""
    del person
    x = 0.22 + 0.20 * view.occluder_x
    card = np.array([[x, -0.35], [x + 1.3, -0.55], [x + 1.5, 1.9], [x + 0.12, 1.95]])
    canvas.polygon(_placed(canvas, view, card), view.occluder_colour)
    for row in range(6):
        y = 0.0 + 0.27 * row
        line = np.array(
            [[x + 0.18, y], [x + 1.0, y - 0.12], [x + 1.0, y - 0.06], [x + 0.18, y + 0.06]]
        )
        canvas.polygon(_placed(canvas, view, line), shade(view.occluder_colour, 0.7), 0.7)
