"""What a directory of shards holds: told from its manifest alone, no image is opened."""

from collections.abc import Mapping
from dataclasses import dataclass

from datasets.labels import EXPRESSIONS
from datasets.manifest import SPLITS, Encoding, Manifest, ShardFormat, SplitName
from datasets.releases import PAPER_TABLE_1, recognise
from datasets.sources.drawn import DRAWN_SOURCE

__all__ = ["ClassLine", "Inspection", "inspect_shards"]


@dataclass(frozen=True)
class ClassLine:
    """One expression: images here, and in the paper's table 1."""

    expression: str
    label: int
    images: Mapping[SplitName, int]
    shares: Mapping[SplitName, float]
    """Of the images of that split, 0 to 1; NaN in a split without images."""
    paper_images: int
    """Training and validation together."""
    paper_share: float


@dataclass(frozen=True)
class Inspection:
    """All that there is to say of a directory of shards."""

    source: str
    classes: tuple[ClassLine, ...]
    """In the order of the expression codes."""
    images: Mapping[SplitName, int]
    release: str | None
    """The public release that these counts are known from, or None."""
    lacking: Mapping[SplitName, tuple[str, ...]]
    """Expressions of which a split has no image."""
    image_size: int
    """Height and width, pixels."""
    encoding: Encoding
    format: ShardFormat
    shards: Mapping[SplitName, int]
    bytes: int
    """Of all shard files."""
    bytes_per_image: float
    excluded: Mapping[str, int]
    """Rows left out on purpose, by reason."""
    rejected: int
    """Rows that could not be used."""
    labels: str
    """Where the labels are from; empty where that was not noted."""
    division: str
    """Whose division into training and validation this is; empty as above."""
    remarks: Mapping[str, int]
    """What else was noticed, and about how many rows."""
    fingerprint: str

    @property
    def num_images(self) -> int:
        """Images of both splits."""
        return sum(self.images.values())


def inspect_shards(manifest: Manifest) -> Inspection:
    """Return what a manifest says, beside what the paper and the known releases have."""
    images = {split: manifest.rows(split) for split in SPLITS}
    shard_bytes = sum(shard.bytes for shard in manifest.shards)
    total = sum(images.values())
    return Inspection(
        source=manifest.source,
        classes=tuple(_class_line(manifest, code, images) for code in range(len(EXPRESSIONS))),
        images=images,
        # Drawn faces can have AffectNet's very counts.
        release=None if manifest.source == DRAWN_SOURCE else recognise(manifest.classes),
        lacking={
            split: tuple(name for name in EXPRESSIONS if not _count(manifest, split, name))
            for split in SPLITS
        },
        image_size=manifest.image_size,
        encoding=manifest.encoding,
        format=manifest.format,
        shards={split: len(manifest.of_split(split)) for split in SPLITS},
        bytes=shard_bytes,
        bytes_per_image=_ratio(shard_bytes, total),
        excluded=manifest.excluded,
        rejected=manifest.rejected,
        labels=manifest.labels_told,
        division=manifest.division,
        remarks=manifest.remarks,
        fingerprint=manifest.fingerprint,
    )


def _class_line(manifest: Manifest, code: int, images: Mapping[SplitName, int]) -> ClassLine:
    name = EXPRESSIONS[code]
    counts = {split: _count(manifest, split, name) for split in SPLITS}
    return ClassLine(
        expression=name,
        label=code,
        images=counts,
        shares={split: _ratio(counts[split], images[split]) for split in SPLITS},
        paper_images=PAPER_TABLE_1[code],
        paper_share=PAPER_TABLE_1[code] / sum(PAPER_TABLE_1),
    )


def _count(manifest: Manifest, split: SplitName, name: str) -> int:
    return manifest.classes.get(split, {}).get(name, 0)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
