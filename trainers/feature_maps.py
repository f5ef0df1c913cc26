"""Feature maps as one picture: every channel in grey, side by side."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

FloatHWC = np.ndarray[Any, np.dtype[np.float32]]
GreyHW = np.ndarray[Any, np.dtype[np.uint8]]

GAP = 1
_LARGEST_SIDE = 112  # of one map: at 224 pixels the first convolutions give 112 at most
_GAP_GREY = 255


@dataclass(frozen=True)
class Grid:
    """How maps are laid out, row by row; sizes in pixels."""

    rows: int
    columns: int
    height: int
    width: int


def grid_of(height: int, width: int, channels: int) -> Grid:
    """The grid for so many maps of a size: near a square, without empty places where possible."""
    shrink = min(1.0, _LARGEST_SIDE / max(height, width))
    shown = (max(1, round(side * shrink)) for side in (height, width))
    side = math.ceil(math.sqrt(channels))
    # 32 maps are 4 by 8; a prime number of them is a square with places left over.
    columns = next((n for n in range(side, 2 * side) if channels % n == 0), side)
    return Grid(math.ceil(channels / columns), columns, *shown)


def draw_maps(maps_HWC: FloatHWC) -> GreyHW:
    """The channels of float `[height, width, channels]` as one grey picture; see `grid_of`.

    Each channel is stretched from its least to its greatest value; a constant one is black. A value
    that is not finite is black too.
    """
    grid = grid_of(*maps_HWC.shape)
    height, width = grid.height + GAP, grid.width + GAP
    picture = np.full((grid.rows * height, grid.columns * width), _GAP_GREY, np.uint8)
    for channel, grey in enumerate(np.moveaxis(_stretched(maps_HWC), 2, 0)):
        row, column = divmod(channel, grid.columns)
        place = np.s_[
            row * height : row * height + grid.height,
            column * width : column * width + grid.width,
        ]
        picture[place] = _shrunk(grey, grid)
    return picture[:-GAP, :-GAP]


def _stretched(maps_HWC: FloatHWC) -> np.ndarray[Any, np.dtype[np.uint8]]:
    finite = np.isfinite(maps_HWC)
    values = np.where(finite, maps_HWC, np.nan).astype(np.float64)
    known = finite.any(axis=(0, 1))
    values[:, :, ~known] = 0.0
    low, high = np.nanmin(values, axis=(0, 1)), np.nanmax(values, axis=(0, 1))
    scaled = (values - low) / np.where(high > low, high - low, 1.0)
    grey: np.ndarray[Any, np.dtype[np.uint8]] = np.rint(255 * np.where(finite, scaled, 0.0)).astype(
        np.uint8
    )
    return grey


def _shrunk(grey: GreyHW, grid: Grid) -> GreyHW:
    if grey.shape == (grid.height, grid.width):
        return grey
    small = Image.fromarray(grey).resize((grid.width, grid.height), Image.Resampling.BOX)
    return np.asarray(small)
