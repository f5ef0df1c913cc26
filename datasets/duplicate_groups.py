"""Which images are duplicates of which, directly and through others."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.near_duplicates import NearPairs

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.uint8]

# `_closest` holds likeness, mirrored and node in one number, so that the smallest is the closest.
_NODE_BITS = 40
_MIRRORED = 1 << _NODE_BITS
_UNLIKENESS_STEPS = 1 << 20
_NONE = np.iinfo(np.int64).max


class Nodes:
    """Images with equal pixels taken together: each such picture is a node."""

    def __init__(
        self,
        digests: npt.NDArray[np.uint8],
        splits: npt.NDArray[np.int8],
        labels: npt.NDArray[np.int8],
    ) -> None:
        """Take digests uint8 [images, 32], split numbers 0 and 1 and labels 0 to 7 [images]."""
        keys = np.ascontiguousarray(digests).view("S32").ravel()
        _, first, node = np.unique(keys, return_index=True, return_inverse=True)
        # Numbered by their first image, so that nothing depends on the order of digests.
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        self.first: Indices = first[order]
        """The first image of each node: int64 [nodes]."""
        self.of_image: Indices = rank[node]
        """The node of each image: int64 [images]."""
        self.splits = self._gathered(splits)
        """uint8 [nodes]: bit 0 for training, bit 1 for validation."""
        self.labels = self._gathered(labels)
        """uint8 [nodes]: a bit for each label."""

    def _gathered(self, values: npt.NDArray[np.int8]) -> Flags:
        flags = np.zeros(len(self.first), np.uint8)
        np.bitwise_or.at(flags, self.of_image, np.uint8(1) << values.astype(np.uint8))
        return flags


class Relation(NamedTuple):
    """How an image's closest near duplicate relates to it, or else a copy of it by its name."""

    node: int
    similarity: float
    """Of a copy by its name NaN: pixels have not found it."""
    mirrored: bool
    by_name: bool = False


class Relations:
    """Near duplicates among nodes, and copies by name, taken up pair by pair; no pair is kept."""

    def __init__(self, nodes: Nodes) -> None:
        count = len(nodes.first)
        self._nodes = nodes
        self._closest = np.full((2, count), _NONE, np.int64)
        self._named: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._parent = list(range(count))
        self._splits = nodes.splits.copy()
        self._labels = nodes.labels.copy()

    def add(self, pairs: NearPairs) -> None:
        """Take up pairs of nodes; it does not matter in which order, or how often."""
        unlike = np.rint((1.0 - np.clip(pairs.similarity, 0.0, 1.0)) * _UNLIKENESS_STEPS)
        code = unlike.astype(np.int64) * (2 * _MIRRORED) + pairs.mirrored * _MIRRORED
        for node, other in ((pairs.left, pairs.right), (pairs.right, pairs.left)):
            np.bitwise_or.at(self._splits, node, self._nodes.splits[other])
            np.bitwise_or.at(self._labels, node, self._nodes.labels[other])
            for split in (0, 1):
                has = (self._nodes.splits[other] >> split & 1).astype(np.bool_)
                np.minimum.at(self._closest[split], node[has], code[has] + other[has])
        for left, right in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
            self._join(left, right)

    def add_named(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Take up pairs of nodes that are copies by their names; of a node the first one counts."""
        for left, right in pairs:
            for node, other in ((left, right), (right, left)):
                self._splits[node] |= self._nodes.splits[other]
                self._labels[node] |= self._nodes.labels[other]
                for split in (0, 1):
                    if self._nodes.splits[other] >> split & 1:
                        self._named[split].setdefault(node, other)
            self._join(left, right)

    def splits(self, node: int) -> int:
        """Return the splits of a node and of what it is related to, as in `Nodes.splits`."""
        return int(self._splits[node])

    def labels(self, node: int) -> int:
        """Return the labels of a node and of what it is related to, as in `Nodes.labels`."""
        return int(self._labels[node])

    def closest(self, node: int, split: int) -> Relation | None:
        """Return the near duplicate of a node in split 0 or 1 that is most like it, if any.

        Where there is none, it is a copy by its name.
        """
        code = int(self._closest[split, node])
        if code == _NONE:
            named = self._named[split].get(node)
            return None if named is None else Relation(named, math.nan, False, by_name=True)
        unlike, rest = divmod(code, 2 * _MIRRORED)
        mirrored, other = divmod(rest, _MIRRORED)
        return Relation(other, 1.0 - unlike / _UNLIKENESS_STEPS, bool(mirrored))

    def groups(self) -> Iterator[list[int]]:
        """Yield the images of each group of two or more, ascending, by their first image."""
        roots = np.array([self._root(node) for node in range(len(self._parent))], np.int64)
        group = roots[self._nodes.of_image]
        order = np.argsort(group, kind="stable")
        borders = np.flatnonzero(np.diff(group[order])) + 1
        for members in np.split(order, borders):
            if len(members) > 1:
                yield members.tolist()

    def _join(self, left: int, right: int) -> None:
        first, second = sorted((self._root(left), self._root(right)))
        self._parent[second] = first

    def _root(self, node: int) -> int:
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node
