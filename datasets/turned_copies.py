"""The slower look for copies that `near_duplicates` misses: turned, moved, cropped, inverted.

Of each image the inner part is compared, which such a copy still has. Every image is looked up as
it is, and as its original or its copy may be: turned back, moved, drawn closer; each of these also
mirrored and inverted. Candidates are near by their hashes, and details decide.
"""

from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from datasets.hash_index import HashIndex
from datasets.images import ImageHWC
from datasets.near_duplicates import NearPairs, PackedHashes
from datasets.perceptual_hash import (
    HASH_BITS,
    MIRRORED,
    THUMBNAIL,
    Fine,
    Floats,
    fine_descriptors,
    similarity,
    whole_hashes,
)

Greys = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

SIDE: Final = 48
"""Height and width of what is kept of an image, pixels."""

LEAST_SIMILARITY: Final = 0.95
"""Candidates whose inner parts are less alike are different pictures.

Measured at a radius of 6 bits, 60 copies of each kind among 615 photographs of faces: turned by 5°
to 15°, moved by 5 %, cropped by 5 and by 10 %, inverted, turned and mirrored or cropped: all;
turned by 20°: none. No wrong pair, nor among 2,500 drawn faces. Of FER2013's 32,298 images 632 more
have a duplicate, in 391 pairs; the 48 least alike were looked at: all are right.
"""

_INNER = 0.7
# Each is drawn twice as fine, then averaged: a pixel of the inner part is one of what is kept.
_FINER = 2
_PAIRS_AT_ONCE = 1024


class View(NamedTuple):
    """A part of an image: its inner part, turned by degrees, of this size, moved by shares."""

    turned: float = 0.0
    size: float = 1.0
    right: float = 0.0
    down: float = 0.0


_MOVES = (-0.05, 0.0, 0.05)
_CLOSER_MOVES = (-0.025, 0.025)
VIEWS: Final = (
    View(),
    *(View(2.5 * step) for step in range(-6, 7) if step),
    *(View(size=size) for size in (0.8, 0.85, 0.9, 0.95)),
    *(View(0.0, 1.0, x, y) for x, y in product(_MOVES, _MOVES) if x or y),
    *(View(0.0, 0.95, x, y) for x, y in product(_CLOSER_MOVES, _CLOSER_MOVES)),
    *(View(2.5 * step, 0.9) for step in (-4, -3, -2, 2, 3, 4)),
)
"""The first is what is indexed; all are looked up."""


class Turned(NamedTuple):
    """What is kept of images to find their turned copies; 2.7 kB each."""

    greys: Greys
    """uint8 [images, 48, 48]."""
    hashes: PackedHashes
    """uint8 [views, images, 12]."""


def grey(image_HWC: ImageHWC) -> Greys:
    """Return the small grey picture of an RGB image: uint8 [48, 48]."""
    whole = Image.fromarray(image_HWC).convert("L")
    # Not by BOX: where a side is no multiple of 48 its pixels would jump, and turned, elsewhere.
    return np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def turned_of(greys: Greys) -> Turned:
    """Return these small grey pictures with the hashes of all their views."""
    views = [whole_hashes(np.stack([_seen(one, view) for one in greys])) for view in VIEWS]
    return Turned(greys, np.packbits(np.stack(views), axis=-1))


def turned_pairs(turned: Turned, row: Indices, radius: int) -> Iterator[NearPairs]:
    """Yield pairs of images of which one is a turned, moved, cropped or inverted copy of the other.

    `row` is the row of `turned` that is each image's: int64 [images]. A pair may come several
    times. Raises `ConfigError` for a radius out of range.
    """
    hashes = np.unpackbits(turned.hashes[:, row], axis=-1, count=HASH_BITS).astype(np.bool_)
    index = HashIndex(hashes[0], radius)
    for number, view in enumerate(VIEWS):
        for mirrored, inverted in product((False, True), (False, True)):
            queries = hashes[number] ^ (MIRRORED & mirrored) ^ inverted
            for found in index.pairs_with(queries):
                other = found.query != found.indexed
                query, indexed = found.query[other], found.indexed[other]
                for start in range(0, len(query), _PAIRS_AT_ONCE):
                    chunk = slice(start, start + _PAIRS_AT_ONCE)
                    left, right = query[chunk], indexed[chunk]
                    seen = _details(turned, row[left], view, inverted)
                    alike = similarity(
                        seen[:, :, ::-1] if mirrored else seen,
                        _details(turned, row[right], VIEWS[0], False),
                    )
                    same = alike >= LEAST_SIMILARITY
                    yield NearPairs(left[same], right[same], alike[same], mirrored)


def _details(turned: Turned, rows: Indices, view: View, inverted: bool) -> Fine:
    fine = fine_descriptors(np.stack([_seen(turned.greys[row], view) for row in rows]))
    return -fine if inverted else fine


def _seen(small: Greys, view: View) -> Floats:
    """Return a view of a small grey picture: float32 [32, 32], 0 to 255; outside of it is black."""
    side = _FINER * THUMBNAIL
    step = _INNER * view.size * SIDE / side
    across, down = step * np.cos(np.radians(view.turned)), step * np.sin(np.radians(view.turned))
    middle = side / 2
    x, y = SIDE * (0.5 + view.right), SIDE * (0.5 + view.down)
    part = Image.fromarray(small).transform(
        (side, side),
        Image.Transform.AFFINE,
        (
            across,
            -down,
            x - (across - down) * middle,
            down,
            across,
            y - (across + down) * middle,
        ),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(part.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), np.float32)
