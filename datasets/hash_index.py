"""Hashes that differ in few bits, found without comparing all pairs.

Multi-index hashing: the bits are dealt to `radius + 1` bands. Two hashes that differ in at most
`radius` bits agree in at least one whole band, so only hashes with a band in common are compared
(Norouzi, Punjani and Fleet, "Fast exact search in Hamming space with multi-index hashing", 2014).
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.errors import ConfigError

Bits = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]

LARGEST_BUCKET: Final = 16_384
"""Up to so many hashes with a band in common are all compared. In a fuller bucket each is compared
with the `WINDOW` ones before it and after it in the order of the hashes: the time stays bounded,
and pairs that have a less full band in common are found all the same."""
WINDOW: Final = 16

# Enough to leave numpy's overhead behind, few enough to stay in the processor's cache.
_PAIRS_AT_ONCE = 1 << 17
_KEY_BITS = 32


class HashPairs(NamedTuple):
    """Pairs of a query and an indexed hash, each int64 [pairs], and uint8 [pairs]."""

    query: Indices
    indexed: Indices
    distance: npt.NDArray[np.uint8]
    """Bits in which the two differ."""


class _Band(NamedTuple):
    """One band of all indexed hashes."""

    columns: Indices
    key_of: Keys
    """The band's bits of each hash: uint32 [hashes]."""
    order: Indices
    """The hashes by key, and by their words where the key is the same."""
    keys: Keys
    """`key_of` in that order."""
    words: Words
    """The whole hashes in that order: uint64 [words, hashes]."""


class _Range(NamedTuple):
    """For each query the places of `_Band.order` that it is compared with: int64 [queries]."""

    start: Indices
    end: Indices
    overfull: Bits
    """Queries for which that is not the whole bucket."""


def check_radius(radius: int, bits: int) -> None:
    """Raise `ConfigError` for a radius at which nearly all pairs of hashes would be compared."""
    # Bands of 8 bits: 1 pair in 256 for each of them, more where the bits are not even.
    largest = max(bits // 8 - 1, 0)
    if not 0 <= radius <= largest:
        raise ConfigError(f"threshold {radius}: give a number of bits from 0 to {largest}")


class HashIndex:
    """Hashes, bool [hashes, bits], in which those within `radius` bits of others are found."""

    def __init__(self, hashes: Bits, radius: int, *, largest_bucket: int = LARGEST_BUCKET) -> None:
        """Sort the bands. Raises as `check_radius` does."""
        check_radius(radius, hashes.shape[1])
        self._radius = radius
        self._largest_bucket = largest_bucket
        words = _packed(hashes)
        # Dealt in turns: neighbouring bits depend on each other most.
        deals = [np.arange(first, hashes.shape[1], radius + 1) for first in range(radius + 1)]
        self._bands = [_band(hashes, words, columns[:_KEY_BITS]) for columns in deals]

    def pairs_with(self, queries: Bits) -> Iterator[HashPairs]:
        """Yield every pair of a query, bool [queries, bits], and an indexed hash in the radius.

        Each pair comes once, in an order that depends on the hashes alone. Pairs of overfull
        queries (see `overfull`) may be lacking, or come more than once.
        """
        words = _packed(queries)
        keys = [_keys(queries, band.columns) for band in self._bands]
        ranges = [self._range(band, keys[n], words) for n, band in enumerate(self._bands)]
        for number, band in enumerate(self._bands):
            for query, place in _expanded(ranges[number], keys[number]):
                near = _near(words, band.words, query, place, self._radius)
                if not len(near.query):
                    continue
                found = near._replace(indexed=band.order[near.indexed])
                new = ~self._found_before(found, keys[:number], ranges)
                yield HashPairs(found.query[new], found.indexed[new], found.distance[new])

    def overfull(self, queries: Bits) -> Bits:
        """Say which queries have a bucket that is too full to be compared whole: bool [queries]."""
        full = np.zeros(len(queries), np.bool_)
        for band in self._bands:
            keys = _keys(queries, band.columns)
            full |= self._bucket(band, keys).overfull
        return full

    def _bucket(self, band: _Band, keys: Keys) -> _Range:
        start = np.searchsorted(band.keys, keys, "left")
        end = np.searchsorted(band.keys, keys, "right")
        return _Range(start, end, end - start > self._largest_bucket)

    def _range(self, band: _Band, keys: Keys, words: Words) -> _Range:
        start, end, overfull = self._bucket(band, keys)
        for bucket in np.unique(start[overfull]).tolist():
            members = np.flatnonzero(overfull & (start == bucket))
            stop = int(end[members[0]])
            place = np.searchsorted(band.words[0, bucket:stop], words[0, members]) + bucket
            start[members] = np.maximum(place - WINDOW, bucket)
            end[members] = np.minimum(place + WINDOW, stop)
        return _Range(start, end, overfull)

    def _found_before(
        self, pairs: HashPairs, keys: Sequence[Keys], ranges: Sequence[_Range]
    ) -> Bits:
        """Say which pairs agree in one of the bands before, which has yielded them already."""
        found = np.zeros(len(pairs.query), np.bool_)
        for band, band_keys, span in zip(self._bands, keys, ranges, strict=False):
            agree = band_keys[pairs.query] == band.key_of[pairs.indexed]
            found |= agree & ~span.overfull[pairs.query]
        return found


def _packed(hashes: Bits) -> Words:
    """Pack bool [hashes, bits] to uint64 [words, hashes], the last word padded with zeros."""
    padding = -hashes.shape[1] % 64
    padded = np.pad(hashes, ((0, 0), (0, padding)))
    return np.ascontiguousarray(np.packbits(padded, axis=1).view(np.uint64).T)


def _keys(hashes: Bits, columns: Indices) -> Keys:
    key = np.zeros(len(hashes), np.uint32)
    for column in columns.tolist():
        key = (key << np.uint32(1)) | hashes[:, column]
    return key


def _band(hashes: Bits, words: Words, columns: Indices) -> _Band:
    keys = _keys(hashes, columns)
    order = np.lexsort((*words[::-1], keys))
    return _Band(columns, keys, order, keys[order], np.ascontiguousarray(words[:, order]))


def _expanded(span: _Range, keys: Keys) -> Iterator[tuple[Indices, Indices]]:
    """Yield (query, place) of all pairs to compare, some at a time: int64 [pairs] each."""
    # Queries with the same key read the same places: one after the other they find them cached.
    queries = np.argsort(keys, kind="stable")
    start = span.start[queries]
    counts = span.end[queries] - start
    ends = np.cumsum(counts)
    first = 0
    while first < len(queries):
        done = ends[first] - counts[first]
        last = max(int(np.searchsorted(ends, done + _PAIRS_AT_ONCE, "right")), first + 1)
        repeats = counts[first:last]
        query = np.repeat(queries[first:last], repeats)
        # Within the chunk, place n is n plus what its query's bucket is shifted by.
        shift = start[first:last] - (ends[first:last] - repeats - done)
        yield query, np.arange(len(query)) + np.repeat(shift, repeats)
        first = last


def _near(
    query_words: Words, indexed_words: Words, query: Indices, place: Indices, radius: int
) -> HashPairs:
    """Return those pairs that differ in at most `radius` bits, with `place` as `indexed`."""
    distance = np.zeros(len(query), np.uint8)
    for left, right in zip(query_words, indexed_words, strict=True):
        distance = distance + np.bitwise_count(left[query] ^ right[place])
        near = np.flatnonzero(distance <= radius)
        query, place, distance = query[near], place[near], distance[near]
    return HashPairs(query, place, distance)
