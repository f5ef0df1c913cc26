"""What the tests of all layouts share: write one, prepare it, compare it with what was written."""

import csv
from collections import Counter
from pathlib import Path

from datasets.manifest import read_manifest
from datasets.numbered import named
from datasets.prepare import prepare
from datasets.shards import read_checked
from datasets.sources import (
    SOURCES,
    AnyRow,
    Excluded,
    Rejected,
    Remark,
    SourceOptions,
    SourceRow,
    choose_layout,
)
from datasets.synthetic import Kept, Request, Truth, write_layout

SIZE = 32


def drawn_layout(path: Path, layout: str, quirks: bool = True, seed: int = 3) -> Truth:
    """Write a small data set to `path`."""
    request = Request(train=60, validation=24, size=SIZE, seed=seed, quirks=quirks)
    return write_layout(path, layout, request)


def prepared_truth(source: Path, dest: Path) -> Truth:
    """What `prepare` made of a source: the same in form as what was written."""
    manifest = prepare(source, dest, image_size=SIZE, max_rejected=0.5)
    found = Truth(excluded=Counter(manifest.excluded), remarks=Counter(manifest.remarks))
    for shard in read_manifest(dest).shards:
        for row in read_checked(dest, manifest, shard):
            assert row.image_id not in found.kept
            found.kept[row.image_id] = Kept(shard.split, row.label)
    with (dest / "rejected.csv").open(newline="") as stream:
        found.rejected.update(row["file"] for row in csv.DictReader(stream))
    assert manifest.rejected == found.rejected.total()
    return found


def check_round_trip(tmp_path: Path, layout: str, quirks: bool) -> Truth:
    """Write, detect, prepare, compare; return what was written."""
    source = tmp_path / "source"
    truth = drawn_layout(source, layout, quirks)
    assert choose_layout(source, None, SourceOptions()) == layout
    found = prepared_truth(source, tmp_path / "shards")
    assert found.kept == truth.kept
    assert found.rejected == truth.rejected
    assert found.excluded == truth.excluded
    assert found.remarks == truth.remarks
    assert bool(truth.rejected) == quirks
    return truth


def rows_of(path: Path, layout: str | None = None, **options: object) -> list[AnyRow]:
    """The rows of a source, of the layout that is found for it."""
    chosen = SourceOptions(**options)  # type: ignore[arg-type]
    rows = SOURCES[choose_layout(path, layout, chosen)].rows(path, chosen)
    return named(rows, chosen, str(path)).rows


def kept(rows: list[AnyRow]) -> dict[str, tuple[str | None, int]]:
    """Split and label by image."""
    return {row.image_id: (row.split, row.label) for row in rows if isinstance(row, SourceRow)}


def reasons(rows: list[AnyRow]) -> list[tuple[str, int | None, str]]:
    """File, line and reason of the rejected rows."""
    return [(*row.origin, row.reason) for row in rows if isinstance(row, Rejected)]


def excluded(rows: list[AnyRow]) -> Counter[str]:
    """Excluded rows by reason."""
    return Counter(row.reason for row in rows if isinstance(row, Excluded))


def remarks(rows: list[AnyRow]) -> Counter[str]:
    """Remarks by text."""
    return Counter(row.text for row in rows if isinstance(row, Remark))
