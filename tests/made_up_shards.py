"""Directories of shards with chosen rows, written without `prepare`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from datasets.folder import LocalFolder
from datasets.labels import EXPRESSIONS
from datasets.manifest import (
    SPLITS,
    Encoding,
    Manifest,
    ShardEntry,
    ShardFormat,
    SplitName,
    file_sha256,
    write_manifest,
)
from datasets.shards import FORMATS, ShardRow


def write_shards(
    directory: Path,
    rows: Mapping[SplitName, Sequence[ShardRow]],
    *,
    image_size: int,
    encoding: Encoding = "jpeg",
    format: ShardFormat = "arrow",
    rows_per_shard: int = 16,
    source: str = "made up",
) -> Manifest:
    """Write the rows of each split as shards, and their manifest."""
    shards = []
    for split in SPLITS:
        for number, start in enumerate(range(0, len(rows[split]), rows_per_shard)):
            chunk = rows[split][start : start + rows_per_shard]
            file = f"{split}/{number:05d}{FORMATS[format].suffix}"
            path = directory / file
            path.parent.mkdir(parents=True, exist_ok=True)
            FORMATS[format].write_shard(path, chunk)
            shards.append(
                ShardEntry(
                    file=file,
                    split=split,
                    rows=len(chunk),
                    bytes=path.stat().st_size,
                    sha256=file_sha256(path),
                )
            )
    counts = {split: Counter(row.label for row in rows[split]) for split in SPLITS}
    manifest = Manifest(
        image_size=image_size,
        encoding=encoding,
        format=format,
        source=source,
        shards=shards,
        classes={
            split: {name: counts[split][code] for code, name in enumerate(EXPRESSIONS)}
            for split in SPLITS
        },
        fingerprint="0" * 64,
    )
    write_manifest(LocalFolder(directory), manifest)
    return manifest
