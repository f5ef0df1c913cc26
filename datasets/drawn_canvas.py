"""The surface on which a face is painted: crisp shapes on an image larger than the one asked for."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from datasets.drawn_geometry import Points, Projection, ribbon
from datasets.drawn_parameters import Colour, View


def canvas_side(size: int) -> int:
    """Return the side to paint at: twice ``size`` when small, 1.5 times when that is sharp enough.

    Painting large and reducing is what smooths the edges.
    """
    return 2 * size if size <= 128 else (3 * size + 1) // 2


class Canvas:
    """An RGB image in pixels, with a projection from face units onto it."""

    def __init__(self, view: View, size: int) -> None:
        side = canvas_side(size)
        self.side = side
        self.projection = Projection(view, side)
        self.image = _background(view, side)
        # The RGBA mode blends translucent colours into the RGB image.
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def polygon(self, pixels: Points, colour: Colour, opacity: float = 1.0) -> None:
        """Fill a polygon given in pixels."""
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
        """Draw a line on the face's surface, ``width`` face units in its middle, thin at its ends."""
        centre = self.projection.surface(points, lift)
        swell = np.sin(np.linspace(0.12, np.pi - 0.12, len(centre)))
        half = np.maximum(0.5 * width * self.projection.unit * swell, 0.35)
        self.polygon(ribbon(centre, half), colour, opacity)

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


def _background(view: View, side: int) -> Image.Image:
    """Return a soft gradient between four colours."""
    corners = Image.new("RGB", (2, 2))
    corners.putdata(list(view.background))
    return corners.resize((side, side), Image.Resampling.BILINEAR)
