"""The surface on which a face is painted: crisp shapes on an image larger than the final one."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from datasets.drawn_geometry import Points, Projection, ribbon
from datasets.drawn_parameters import Colour, View


def canvas_side(size: int) -> int:
    """Return the side to paint at: twice ``size`` when small, 1.5 times when that is sharp enough.

    Painting large and reducing is what smooths the edges.
    """
    return 2 * size if size <= 128 else (3 * size + 1) // 2


class Line(NamedTuple):
    """A line on the face's surface: points [N, 2] and width in face units, opacity in [0, 1]."""

    points: Points
    width: float
    opacity: float


class Canvas:
    """An RGB image in pixels, with a projection from face units onto it."""

    def __init__(self, view: View, size: int) -> None:
        side = canvas_side(size)
        self.side = side
        self.projection = Projection(view, side)
        self.image = _background(view, side)
        self._solid = ImageDraw.Draw(self.image)
        # The RGBA mode blends translucent colours into the RGB image; it takes longer.
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def polygon(self, pixels: Points, colour: Colour, opacity: float = 1.0) -> None:
        """Fill a polygon given in pixels."""
        if opacity >= 1.0:
            self._solid.polygon(pixels.ravel().tolist(), fill=colour)
        else:
            self._draw.polygon(pixels.ravel().tolist(), fill=(*colour, round(255 * opacity)))

    def surface(
        self, points: Points, colour: Colour, opacity: float = 1.0, lift: float = 0.0
    ) -> None:
        """Fill a polygon on the face's surface."""
        self.polygon(self.projection.surface(points, lift), colour, opacity)

    def outline(self, points: Points, colour: Colour, opacity: float = 1.0) -> None:
        """Fill a polygon of the silhouette (hair, neck, ears)."""
        self.polygon(self.projection.outline(points), colour, opacity)

    def stroke(
        self, points: Points, width: float, colour: Colour, opacity: float = 1.0, lift: float = 0.0
    ) -> None:
        """Draw a line on the face's surface, ``width`` face units thick, thin at its ends."""
        centre = self.projection.surface(points, lift)
        half = np.maximum(0.5 * width * self.projection.unit * _swell(len(centre)), 0.35)
        self.polygon(ribbon(centre, half), colour, opacity)

    def strokes(self, lines: list[Line], colour: Colour) -> None:
        """Draw many lines as `stroke` does; those of equal length are turned at once."""
        by_length: dict[int, list[Line]] = {}
        for line in lines:
            by_length.setdefault(len(line.points), []).append(line)
        for length, group in by_length.items():
            points = np.concatenate([line.points for line in group])
            centres = self.projection.surface(points).reshape(len(group), length, 2)
            widths = np.array([[0.5 * line.width * self.projection.unit] for line in group])
            outlines = ribbon(centres, np.maximum(widths * _swell(length), 0.35))
            for line, outline in zip(group, outlines, strict=True):
                self.polygon(outline, colour, line.opacity)

    def disc(self, centre: Points, radius: float, colour: Colour, opacity: float = 1.0) -> None:
        """Fill a circle of ``radius`` face units about one pixel point [2]."""
        r = max(radius * self.projection.unit, 0.5)
        x, y = float(centre[0]), float(centre[1])
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=(*colour, round(255 * opacity)))

    def paste_inside(self, picture: Image.Image, pixels: Points) -> None:
        """Copy ``picture``, as large as the canvas, where it lies inside a polygon."""
        low = np.maximum(np.floor(pixels.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 1, self.side)
        if (high <= low).any():
            return
        left, top, right, bottom = int(low[0]), int(low[1]), int(high[0]), int(high[1])
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).polygon((pixels - low).ravel().tolist(), fill=255)
        self.image.paste(picture.crop((left, top, right, bottom)), (left, top), mask)


@lru_cache(maxsize=32)
def _swell(count: int) -> NDArray[np.float64]:
    """Return the relative width along a stroke of ``count`` points."""
    swell: NDArray[np.float64] = np.sin(np.linspace(0.12, np.pi - 0.12, count))
    swell.setflags(write=False)
    return swell


def enlarged(small: Image.Image, side: int) -> Image.Image:
    """Return a smooth picture at ``side`` by ``side`` pixels.

    Nothing in it is sharp, so the last doubling may copy pixels: a third of the time.
    """
    half = (side + 1) // 2
    picture = small.resize((half, half), Image.Resampling.BILINEAR)
    return picture.resize((side, side), Image.Resampling.NEAREST)


def _background(view: View, side: int) -> Image.Image:
    """Return a soft gradient between four colours."""
    corners = Image.new("RGB", (2, 2))
    corners.putdata(list(view.background))
    return enlarged(corners, side)
