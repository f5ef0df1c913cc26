"""What a camera adds: sampling, lack of sharpness, light and colour, noise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datasets.drawn_parameters import View

_TILE = 1024
_NOISE_LEVELS = 6


def finish(painted: Image.Image, view: View, size: int) -> NDArray[np.uint8]:
    """Return the picture as uint8 ``[size, size, 3]`` RGB."""
    image = _sampled(painted, view, size)
    if view.grey:
        image = image.convert("L").convert("RGB")
    image = image.point(_tone_curves(view))
    return _with_noise(np.asarray(image), view)


def _sampled(painted: Image.Image, view: View, size: int) -> Image.Image:
    """Return the painting at its final size; one face in four comes from fewer pixels."""
    if view.sharpness < 0.25:
        # From 50 % of the side: a face cut from a wide shot, never so small that it is lost.
        fewer = max(min(size, 40), round(size * (0.5 + 1.6 * view.sharpness)))
        if fewer < size:
            painted = painted.resize((fewer, fewer), Image.Resampling.BOX)
            return painted.resize((size, size), Image.Resampling.BILINEAR)
    if painted.width == 2 * size:
        return painted.reduce(2)
    return painted.resize((size, size), Image.Resampling.BOX)


_LEVELS = np.arange(256.0)


def _tone_curves(view: View) -> list[int]:
    """Return the three tables of 256 levels for brightness, contrast and colour temperature."""
    base = ((_LEVELS - 128.0) * view.contrast + 128.0) * view.brightness
    gains = np.array([1.0 + view.warmth, 1.0, 1.0 - view.warmth])
    if view.grey:
        gains[:] = 1.0
    curves = np.clip(base[None, :] * gains[:, None], 0.0, 255.0)
    tables: list[int] = curves.astype(np.uint8).ravel().tolist()
    return tables


@lru_cache(maxsize=_NOISE_LEVELS)
def _noise_tile(level: int) -> NDArray[np.int16]:
    """Return Gaussian noise, int16 [_TILE, _TILE, 3], of ``level`` grey levels' deviation.

    Drawing noise anew would take longer than the face. A tile that is cut at a random place looks
    as random, and its own key keeps it the same in every process.
    """
    generator = np.random.default_rng(np.random.SeedSequence([0xFACE, level]))
    shape = (_TILE, _TILE)
    # Sensor noise is mostly one of brightness, with some of colour.
    grey = generator.standard_normal(shape, dtype=np.float32)[..., None]
    colour = generator.standard_normal((*shape, 3), dtype=np.float32)
    tile: NDArray[np.int16] = np.rint(level * (0.85 * grey + 0.5 * colour)).astype(np.int16)
    tile.setflags(write=False)
    return tile


def _with_noise(pixels: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    size = len(pixels)
    tile = _noise_tile(min(_NOISE_LEVELS, 1 + int(view.noise * _NOISE_LEVELS / 8.0)))
    repeats = -(-(2 * size) // _TILE)
    if repeats > 1:
        tile = np.tile(tile, (repeats, repeats, 1))
    room = len(tile) - size
    top, left = int(view.noise_y * room), int(view.noise_x * room)
    noisy = tile[top : top + size, left : left + size] + pixels
    return np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)
