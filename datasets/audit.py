"""Duplicates in a directory of shards: exact and near, within a split and across.

`audit` reads top-down: describe every image, take equal pixels together, find near duplicates
among what is left, and copies of which only the name tells, form groups. An image of training that
validation holds too is a leak: a model would be tested on what it has learnt by heart.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from datasets.copy_names import name_families
from datasets.described import DescribedImages, Progress, describe_images
from datasets.duplicate_groups import Nodes, Relation, Relations
from datasets.folder import Place
from datasets.hash_index import check_radius
from datasets.labels import EXPRESSIONS
from datasets.manifest import Manifest, SplitName
from datasets.near_duplicates import Search, hash_distance, incomplete, near_pairs
from datasets.parallel import num_cores
from datasets.perceptual_hash import HASH_BITS, similarity
from datasets.turned_copies import turned_pairs

__all__ = [
    "DEFAULT_THRESHOLD",
    "Audit",
    "Group",
    "Member",
    "Progress",
    "audit",
    "leaked_train_ids",
]

DEFAULT_THRESHOLD: Final = 6
"""Bits of 96 in which the hashes of near duplicates may differ."""

Kind = Literal["exact", "near", "name"]


@dataclass(frozen=True)
class Member:
    """One image of a group, and the image that it is a duplicate of."""

    split: SplitName
    image_id: str
    label: int
    shard: str
    """File, relative to the manifest."""
    row: int
    """Row of the shard, from 0."""
    kind: Kind
    """exact: `duplicate_of` has the same pixels, however encoded; near: it is the same picture;
    name: only their names say so, and one of the two is of the other split."""
    duplicate_of: str
    """The image that it is most like: one of the other split if there is any there."""
    distance: int
    """Bits in which the two hashes differ; a crop may differ in more than the threshold."""
    similarity: float
    """Correlation of the details of the two pictures, 1 for the same pixels."""
    mirrored: bool
    """Whether the one is the mirror image of the other."""
    leak: bool
    """Whether it is a duplicate of an image of the other split."""
    conflict: bool
    """Whether it is a duplicate of an image with another label."""
    equal: int
    """How many other images, of either split, have the same pixels."""

    @property
    def expression(self) -> str:
        """The name of the label."""
        return EXPRESSIONS[self.label]


@dataclass(frozen=True)
class Group:
    """Images that are duplicates of each other, directly or through others."""

    kind: Kind
    """exact if all have the same pixels; name if only names tell of what is in both splits."""
    members: tuple[Member, ...]
    """Two or more; leaks first, then conflicts, then in the order of the data set."""

    @property
    def leak(self) -> bool:
        """Whether a member is a duplicate of one of the other split."""
        return any(one.leak for one in self.members)

    @property
    def conflict(self) -> bool:
        """Whether a member is a duplicate of one with another label."""
        return any(one.conflict for one in self.members)


@dataclass(frozen=True)
class Audit:
    """What an audit found."""

    images: int
    """Images that were compared."""
    threshold: int
    """Bits in which the hashes of candidates could differ."""
    groups: tuple[Group, ...]
    """Leaks first, then label conflicts, then the exact ones, then the largest."""
    incomplete: int
    """Images so like thousands of others that not all their pairs were compared."""
    thorough: bool = False
    """Whether turned, moved, cropped and inverted copies were sought too."""

    def members(self) -> Iterator[Member]:
        """Yield the images of all groups."""
        for group in self.groups:
            yield from group.members

    def num_leaked(self, split: SplitName, kind: Kind | None = None) -> int:
        """Return how many images of `split` are duplicates of images of the other split.

        With a `kind`, those alone: exact ones have the same pixels as an image of the other split.
        """
        leaks = (one for one in self.members() if one.leak and one.split == split)
        return sum(kind in (None, one.kind) for one in leaks)

    def num_duplicates(self) -> int:
        """Return how many images have a duplicate."""
        return sum(len(group.members) for group in self.groups)

    def num_equal(self) -> int:
        """Return how many images have the same pixels as another, in whatever split that is."""
        return sum(one.equal > 0 for one in self.members())

    def num_named(self) -> int:
        """Return how many images have a copy in the other split of which only the name tells."""
        return sum(one.kind == "name" for one in self.members())

    def num_conflicts(self) -> int:
        """Return how many images are duplicates of images with another label."""
        return sum(one.conflict for one in self.members())


def audit(
    place: Place,
    manifest: Manifest,
    *,
    threshold: int = DEFAULT_THRESHOLD,
    thorough: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Find the duplicates among all images of the shards in `place`.

    `threshold` is the number of bits of 96 in which the hashes of near duplicates may differ: with
    more, what was changed more is found, and the search takes longer. `thorough` finds copies that
    are turned, moved, cropped by more or inverted too (`turned_copies`), in several times the time;
    they count as near. `workers` processes decode
    (None: one to a core); the result does not depend on them. `progress(done, total)` counts
    decoded images; the search comes after them. Raises `DataError` that names a damaged shard,
    `ConfigError` for a threshold or a number of workers out of range.
    """
    check_radius(threshold, HASH_BITS)
    workers = num_cores() if workers is None else workers
    described = describe_images(
        place, manifest, workers=workers, thorough=thorough, progress=progress
    )
    nodes = Nodes(described.digests, described.splits, described.labels)
    search = Search(described.hashes[:, nodes.first], described.fine, nodes.first, threshold)
    relations = Relations(nodes)
    for pairs in near_pairs(search):
        relations.add(pairs)
    if described.turned is not None:
        for pairs in turned_pairs(described.turned, nodes.first, threshold):
            relations.add(pairs)
    relations.add_named(_named_pairs(described, nodes))
    found = _Found(described, nodes, relations)
    groups = sorted(map(found.group, relations.groups()), key=_worst_first)
    images = len(described.image_ids)
    return Audit(images, threshold, tuple(groups), incomplete(search), thorough)


def leaked_train_ids(audit: Audit) -> frozenset[str]:
    """Return the ids of the training images that are duplicates of a validation image by pixels.

    Without them an audit finds no leak but those of which only the names tell: a name may lie.
    """
    return frozenset(
        one.image_id
        for one in audit.members()
        if one.leak and one.split == "train" and one.kind != "name"
    )


def _named_pairs(described: DescribedImages, nodes: Nodes) -> Iterator[tuple[int, int]]:
    """Yield the nodes of images and of their copies in the other split, by their names."""
    for family in name_families(described.image_ids, described.labels.tolist()):
        first_of = {int(described.splits[image]): image for image in reversed(family)}
        for image in family if len(first_of) > 1 else ():
            node = int(nodes.of_image[image])
            other = int(nodes.of_image[first_of[1 - int(described.splits[image])]])
            if node != other:
                yield node, other


def _worst_first(group: Group) -> tuple[bool, bool, bool, int]:
    # Groups that are equal in all this keep the order of their first images: sorts are stable.
    return not group.leak, not group.conflict, group.kind != "exact", -len(group.members)


class _Place(NamedTuple):
    node: int
    split: int


@dataclass(frozen=True)
class _Found:
    """All that the members of a group are made from."""

    described: DescribedImages
    nodes: Nodes
    relations: Relations

    def group(self, images: list[int]) -> Group:
        images_of: dict[_Place, list[int]] = defaultdict(list)
        for image in images:
            images_of[self._place(image)].append(image)
        members = [self._member(image, images_of) for image in images]
        members.sort(key=lambda one: (not one.leak, not one.conflict))
        return Group(_kind(images_of, members), tuple(members))

    def _place(self, image: int) -> _Place:
        return _Place(int(self.nodes.of_image[image]), int(self.described.splits[image]))

    def _member(self, image: int, images_of: dict[_Place, list[int]]) -> Member:
        described = self.described
        node, split = self._place(image)
        label = int(described.labels[image])
        leak = self.relations.splits(node) >> (1 - split) & 1 == 1
        other, relation = self._closest(
            image, _Place(node, 1 - split if leak else split), images_of
        )
        shard, row = described.place(image)
        distance = hash_distance(
            described.hashes[0, image], described.hashes[0, other], relation.mirrored
        )
        equal = sum(len(images_of.get(_Place(node, each), ())) for each in (0, 1)) - 1
        return Member(
            split=described.split(image),
            image_id=described.image_ids[image],
            label=label,
            shard=shard.file,
            row=row,
            kind="name" if relation.by_name else "exact" if relation.node == node else "near",
            duplicate_of=described.image_ids[other],
            distance=int(distance),
            similarity=self._similarity(image, other) if relation.by_name else relation.similarity,
            mirrored=relation.mirrored,
            leak=leak,
            conflict=self.relations.labels(node) & ~(1 << label) != 0,
            equal=equal,
        )

    def _similarity(self, image: int, other: int) -> float:
        fine = self.described.fine
        return float(similarity(fine[[image]], fine[[other]])[0])

    def _closest(
        self, image: int, place: _Place, images_of: dict[_Place, list[int]]
    ) -> tuple[int, Relation]:
        """Return the duplicate in the split of `place` that an image of its node is most like."""
        for other in images_of.get(place, ())[:2]:
            if other != image:
                return other, Relation(place.node, 1.0, mirrored=False)
        relation = self.relations.closest(place.node, place.split)
        if relation is None:
            raise AssertionError(f"image {image} is in a group without a duplicate")
        return images_of[_Place(relation.node, place.split)][0], relation


def _kind(images_of: Mapping[_Place, list[int]], members: Iterable[Member]) -> Kind:
    """Return the kind of a group of these members."""
    if len({place.node for place in images_of}) == 1:
        return "exact"
    return "name" if all(one.kind == "name" for one in members) else "near"
