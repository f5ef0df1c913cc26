"""Images that show the same picture: encoded again, resized, brighter, cropped a little, mirrored.

Candidates are images of which some view (see `perceptual_hash.VIEWS`), as it is or mirrored, lies
within a few bits of the other image's hash; of these, the fine descriptors must be alike.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.hash_index import HashIndex
from datasets.perceptual_hash import HASH_BITS, MIRRORED, VIEWS, Bits, Fine, similarity

Indices = npt.NDArray[np.int64]
PackedHashes = npt.NDArray[np.uint8]
"""uint8 [..., 12]: hashes of 96 bits."""

LEAST_SIMILARITY: Final = 0.97
"""Candidates whose fine descriptors are less alike are different pictures.

Measured at a radius of 6 bits on 615 photographs of faces at 224 pixels, and on 1,000 drawn ones at
96: what share of changed copies is found. JPEG of quality 50, half the size and back, mirrored: all
of both. Brightness 10 % up or down: all, all. Cropped at every side by 1 %: all, all; by 2 %: all,
94 %; by 2 % at two sides: 97 %, 92 %; by 3 %: 32 %, 1 %. Different photographs: no pair. Different
drawn faces, which share their strokes: 5 pairs among the 291,651 of 96 pixels; with 0.96 it would
be 58.
"""

# 1024 pairs of descriptors and their gradients take 30 MB.
_PAIRS_AT_ONCE = 1024


class NearPairs(NamedTuple):
    """Pairs of images that show the same picture, `left` before `right`: int64 [pairs] each."""

    left: Indices
    right: Indices
    similarity: npt.NDArray[np.float32]
    mirrored: bool
    """Whether one is the mirror image of the other."""


class Search(NamedTuple):
    """Where near duplicates are sought: images by number."""

    hashes: PackedHashes
    """uint8 [views, images, 12]."""
    fine: Fine
    """int8 [rows, 32, 32]."""
    row: Indices
    """The row of `fine` that is each image's: int64 [images]."""
    radius: int
    """Bits in which the hashes of a candidate may differ."""


def pack(hashes: Bits) -> PackedHashes:
    """Pack hashes bool [..., 96] to uint8 [..., 12]."""
    return np.packbits(hashes, axis=-1)


def hash_distance(left: PackedHashes, right: PackedHashes, mirrored: bool) -> Indices:
    """Return the bits in which whole images' hashes [pairs, 12] differ, one mirrored if so."""
    flipped = pack(MIRRORED) if mirrored else np.uint8(0)
    differing = np.bitwise_count(left ^ right ^ flipped)
    return np.asarray(differing.sum(axis=-1, dtype=np.int64))


def near_pairs(search: Search) -> Iterator[NearPairs]:
    """Yield the near duplicates among the images, in an order that depends on them alone.

    A pair comes once as it is, and once mirrored if it shows the same picture both ways. (Images
    that `incomplete` counts may lack a pair or have it more often.) Raises `ConfigError` for a
    radius out of range.
    """
    index = HashIndex(_unpacked(search.hashes[0]), search.radius)
    for mirrored in (False, True):
        candidates = _Candidates(search, index, mirrored)
        for view in range(len(VIEWS)):
            for left, right in candidates.of_view(view):
                for start in range(0, len(left), _PAIRS_AT_ONCE):
                    chunk = slice(start, start + _PAIRS_AT_ONCE)
                    yield _verified(search, left[chunk], right[chunk], mirrored)


def incomplete(search: Search) -> int:
    """Return the number of images so like thousands of others that not all pairs were compared."""
    hashes = _unpacked(search.hashes[0])
    return int(np.count_nonzero(HashIndex(hashes, search.radius).overfull(hashes)))


class _Candidates:
    """Pairs of images of which a view of one is near the hash of the other."""

    def __init__(self, search: Search, index: HashIndex, mirrored: bool) -> None:
        self._search = search
        self._index = index
        self._mirrored = mirrored
        self._overfull: list[Bits] = []

    def of_view(self, view: int) -> Iterator[tuple[Indices, Indices]]:
        """Yield (left, right) of those that no view before has; call it for views 0, 1, …"""
        queries = _unpacked(self._search.hashes[view])
        if self._mirrored:
            queries ^= MIRRORED
        self._overfull.append(self._index.overfull(queries))
        for found in self._index.pairs_with(queries):
            other = found.query != found.indexed
            query, indexed = found.query[other], found.indexed[other]
            new = ~self._found_before(view, query, indexed)
            query, indexed = query[new], indexed[new]
            yield np.minimum(query, indexed), np.maximum(query, indexed)

    def _found_before(self, view: int, query: Indices, indexed: Indices) -> Bits:
        """Say which pairs an earlier lookup has; in a view, the lower image is looked up first."""
        found = np.zeros(len(query), np.bool_)
        for earlier in range(view):
            found |= self._finds(earlier, query, indexed) | self._finds(earlier, indexed, query)
        return found | ((indexed < query) & self._finds(view, indexed, query))

    def _finds(self, view: int, query: Indices, indexed: Indices) -> Bits:
        hashes = self._search.hashes
        distance = hash_distance(hashes[view, query], hashes[0, indexed], self._mirrored)
        return (distance <= self._search.radius) & ~self._overfull[view][query]


def _verified(search: Search, left: Indices, right: Indices, mirrored: bool) -> NearPairs:
    fine_left, fine_right = search.fine[search.row[left]], search.fine[search.row[right]]
    alike = similarity(fine_left, fine_right[:, :, ::-1] if mirrored else fine_right)
    same = alike >= LEAST_SIMILARITY
    return NearPairs(left[same], right[same], alike[same], mirrored)


def _unpacked(hashes: PackedHashes) -> Bits:
    return np.unpackbits(hashes, axis=-1, count=HASH_BITS).astype(np.bool_)
