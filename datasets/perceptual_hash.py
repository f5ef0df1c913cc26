"""What is kept of an image to find its near duplicates: 96-bit hashes and a fine descriptor.

Both come from a grey thumbnail. A hash holds the signs of the lowest frequencies of the image's
cosine transform, the mean left out: brightness and contrast don't enter, and mirroring flips the
signs of the odd horizontal frequencies and nothing else. Faces are much alike in a hash, so what
it finds are candidates; `similarity` of the fine descriptors decides.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from datasets.images import ImageHWC

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.bool_]
Fine = npt.NDArray[np.int8]

THUMBNAIL: Final = 32
"""Height and width of thumbnails and fine descriptors, pixels."""
HASH_BITS: Final = 96

_CROP = 0.02
VIEWS: Final[tuple[tuple[float, float, float, float], ...]] = (
    (0.0, 0.0, 0.0, 0.0),
    (_CROP / 2, _CROP / 2, _CROP / 2, _CROP / 2),
    (_CROP, _CROP, _CROP, _CROP),
    (_CROP, _CROP, 0.0, 0.0),
    (_CROP, 0.0, 0.0, _CROP),
    (0.0, _CROP, _CROP, 0.0),
    (0.0, 0.0, _CROP, _CROP),
)
"""What is cut off at the left, top, right and bottom, as shares of the width and the height. A crop
of a few pixels changes many bits, so each image is hashed as cropped in these ways too, and every
view is looked up among the whole images."""

_FREQUENCIES = sorted(
    ((down, across) for down in range(14) for across in range(14) if down + across > 0),
    key=lambda pair: (sum(pair), max(pair), pair),
)[:HASH_BITS]
_DOWN, _ACROSS = (np.array(axis) for axis in zip(*_FREQUENCIES, strict=True))
MIRRORED: Final[Bits] = _ACROSS % 2 == 1
"""bool [bits]: the bits that differ between an image and its mirror image."""

# Fine descriptors are scaled to this root mean square: int8 then reaches 5 standard deviations.
_FINE_SCALE = 24.0
# A picture whose details are weaker than this (in grey levels of 256) is flat: nothing to compare.
_FLAT = 0.5
# How far `similarity` may move and stretch: 3 % of the width either way, 5 % of the size.
_LARGEST_MOVE = np.array([1.0, 1.0, 0.05], np.float32)


def thumbnail(image_HWC: ImageHWC) -> Floats:
    """Return the grey thumbnail of an RGB image: float32 [32, 32], 0 to 255."""
    grey = Image.fromarray(image_HWC).convert("L")
    small = grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, np.float32)


def hashes(thumbnails: Floats) -> Bits:
    """Return the hash of every view of thumbnails [images, 32, 32]: bool [views, images, 96]."""
    return np.stack([_hashes(thumbnails, *view) for view in VIEWS])


def whole_hashes(thumbnails: Floats) -> Bits:
    """Return the hash of thumbnails [images, 32, 32] as they are, uncropped: bool [images, 96]."""
    return _hashes(thumbnails, *VIEWS[0])


def _hashes(thumbnails: Floats, left: float, top: float, right: float, bottom: float) -> Bits:
    transformed = _cosines(top, bottom) @ thumbnails @ _cosines(left, right).T
    return np.asarray(transformed[:, _DOWN, _ACROSS] >= 0.0)


def _cosines(first: float, last: float) -> Floats:
    """Return the cosine waves over what is left of an axis: float32 [14 waves, 32 pixels].

    Each pixel gets the integral of the wave over that part of it that is not cut off.
    """
    start, end = first * THUMBNAIL, THUMBNAIL * (1.0 - last)
    edges = np.clip(np.arange(THUMBNAIL + 1), start, end) - start
    waves = np.arange(1, 14)[:, None]
    phase = np.pi * waves / (end - start) * edges
    above = np.diff(np.sin(phase)) / (np.pi * waves)
    return np.concatenate([np.diff(edges)[None] / (end - start), above]).astype(np.float32)


def fine_descriptors(thumbnails: Floats) -> Fine:
    """Return the details of thumbnails [images, 32, 32]: int8, of that shape.

    Details are what is left when the image, blurred over some pixels, is taken from it: light and
    the shape of the head, which all faces share, are gone. A flat image has zeros alone.
    """
    details = _DETAIL @ thumbnails @ _DETAIL.T - _BLURRED @ thumbnails @ _BLURRED.T
    strength = np.sqrt(np.mean(details**2, axis=(1, 2), keepdims=True))
    scaled = np.where(strength > _FLAT, details * (_FINE_SCALE / np.maximum(strength, _FLAT)), 0.0)
    return np.clip(np.rint(scaled), -127, 127).astype(np.int8)


def _blur(sigma: float) -> Floats:
    """Return the matrix [32, 32] of a Gaussian blur along an axis; `sigma` in pixels."""
    offsets = np.arange(THUMBNAIL)[:, None] - np.arange(THUMBNAIL)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


# The weak blur keeps the gradients true that `similarity` moves an image by.
_DETAIL = _blur(0.7)
_BLURRED = _blur(2.0) @ _DETAIL


def similarity(left: Fine, right: Fine) -> Floats:
    """Return how alike pairs of fine descriptors [pairs, 32, 32] are: float32 [pairs], at most 1.

    It is the correlation of the two, after the move and the stretch of a few percent that bring
    them closest (to first order, so a crop of 2 % is still the same picture). It does not depend
    on which is left and which is right; with a flat image it is 0.
    """
    a, b = _unit(left), _unit(right)
    ways = _small_moves((a + b) / np.float32(2))
    inner_a, inner_b = _inner(a), _inner(b)
    difference = inner_b - inner_a
    gram = ways @ ways.transpose(0, 2, 1) + 1e-6 * np.eye(3, dtype=np.float32)
    move = np.linalg.solve(gram, ways @ difference[:, :, None])[:, :, 0]
    move = np.clip(move, -_LARGEST_MOVE, _LARGEST_MOVE)
    rest = difference - np.einsum("ni,nik->nk", move, ways)
    flat = ~(inner_a.any(axis=1) & inner_b.any(axis=1))
    alike = 1.0 - np.einsum("nk,nk->n", rest, rest) / 2
    return np.where(flat, np.float32(0.0), alike.astype(np.float32))


def _unit(fine: Fine) -> Floats:
    """Scale so that the inner pixels have mean 0 and length 1; zeros stay zeros."""
    values = fine.astype(np.float32)
    inside = values[:, 1:-1, 1:-1]
    values -= inside.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt(np.sum(values[:, 1:-1, 1:-1] ** 2, axis=(1, 2), keepdims=True))
    return np.asarray(values / np.maximum(length, 1e-6), np.float32)


def _inner(values: Floats) -> Floats:
    return values[:, 1:-1, 1:-1].reshape(len(values), -1)


def _small_moves(values: Floats) -> Floats:
    """Return what moving [pairs, 32, 32] by a pixel and stretching it adds: [pairs, 3, 30 * 30]."""
    across = (values[:, 1:-1, 2:] - values[:, 1:-1, :-2]) / 2
    down = (values[:, 2:, 1:-1] - values[:, :-2, 1:-1]) / 2
    places = np.arange(1, THUMBNAIL - 1, dtype=np.float32) - (THUMBNAIL - 1) / 2
    stretch = across * places + down * places[:, None]
    ways = np.stack([across, down, stretch], axis=1).reshape(len(values), 3, -1)
    return np.asarray(ways - ways.mean(axis=2, keepdims=True), np.float32)
