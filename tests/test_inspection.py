"""What `inspect` tells of a directory of shards, and the sheet of faces that it draws."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from datasets.contact_sheet import contact_sheet
from datasets.drawn import AFFECTNET_TRAIN_COUNTS
from datasets.errors import ConfigError, DataError
from datasets.images import ImageHWC
from datasets.inspection import inspect_shards
from datasets.labels import EXPRESSIONS
from datasets.manifest import Manifest, SplitName, read_manifest
from datasets.picture_sheet import write_png
from datasets.prepare import synth
from datasets.releases import PAPER_TABLE_1, RELEASES, Release, recognise
from datasets.shards import ShardRow
from orchestrator.report.paper import class_counts
from tests.made_up_shards import write_shards
from tests.shard_data import flip_byte

SIZE = 8


def counts(*numbers: int) -> dict[str, int]:
    return dict(zip(EXPRESSIONS, numbers, strict=True))


def classes_of(release: Release) -> dict[SplitName, dict[str, int]]:
    return {"train": counts(*release.train), "validation": counts(*release.validation)}


def test_table_1_is_the_papers() -> None:
    assert class_counts() == PAPER_TABLE_1
    assert sum(PAPER_TABLE_1) == 291_651


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.label)
def test_each_release_is_recognised(release: Release) -> None:
    assert recognise(classes_of(release)) == release.label


def test_the_releases_have_their_published_sizes() -> None:
    assert [release.label for release in RELEASES] == [
        "AffectNet 2017, 8 classes: 287,651 + 4,000",
        "AffectNet 2017, 8 classes: 287,651 + 3,999",
        "AffectNet 2017, 7 classes: 283,901 + 3,500",
        "FER2013, public test: 28,709 + 3,589",
        "FER2013, private test: 28,709 + 3,589",
        "FER2013, both tests: 28,709 + 7,178",
        "RAF-DB, basic: 12,271 + 3,068",
    ]


def test_a_copy_with_some_images_lacking_is_recognised() -> None:
    affectnet = classes_of(RELEASES[0])
    affectnet["train"]["Happiness"] -= 1200
    assert recognise(affectnet) == (
        "AffectNet 2017, 8 classes: 287,651 + 4,000, 1,200 of them lacking"
    )
    affectnet["train"]["Happiness"] -= 2000
    assert recognise(affectnet) is None


def test_other_data_is_not_recognised() -> None:
    more = classes_of(RELEASES[0])
    more["train"]["Fear"] += 1
    assert recognise(more) is None
    few = classes_of(RELEASES[0])
    few["validation"]["Contempt"] = 400
    assert recognise(few) is None
    assert recognise({"train": counts(*[100] * 8), "validation": counts(*[10] * 8)}) is None
    assert recognise({}) is None


def rows_of(split: str, labels: list[int]) -> list[ShardRow]:
    """Rows whose every pixel is the number of the row."""
    return [
        ShardRow(f"{split}/{number}", label, bytes([number]) * (SIZE * SIZE * 3))
        for number, label in enumerate(labels)
    ]


def shards(
    directory: Path, train: list[int], validation: list[int], rows_per_shard: int = 16
) -> Manifest:
    return write_shards(
        directory,
        {"train": rows_of("train", train), "validation": rows_of("validation", validation)},
        image_size=SIZE,
        encoding="raw",
        rows_per_shard=rows_per_shard,
    )


def test_an_inspection_repeats_the_manifest(tmp_path: Path) -> None:
    plain = shards(tmp_path, [0] * 30 + [1] * 10, [0, 1, 2], rows_per_shard=16)
    manifest = plain.model_copy(
        update={"excluded": {"None": 5}, "remarks": {"box past the edge": 2}, "rejected": 3}
    )
    found = inspect_shards(manifest)
    assert found.images == {"train": 40, "validation": 3}
    assert found.num_images == 43
    assert found.shards == {"train": 3, "validation": 1}
    assert (found.image_size, found.encoding, found.format) == (SIZE, "raw", "arrow")
    assert found.bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.arrow"))
    assert found.bytes_per_image == found.bytes / 43
    assert (found.excluded, found.rejected) == ({"None": 5}, 3)
    assert found.remarks == {"box past the edge": 2}
    assert (found.source, found.fingerprint) == ("made up", manifest.fingerprint)
    neutral, happiness, sadness = found.classes[:3]
    assert neutral.images == {"train": 30, "validation": 1}
    assert neutral.shares == {"train": 0.75, "validation": 1 / 3}
    assert (happiness.expression, happiness.label, happiness.paper_images) == (
        "Happiness",
        1,
        134_915,
    )
    assert happiness.paper_share == pytest.approx(0.4626, abs=5e-5)
    assert found.lacking == {"train": EXPRESSIONS[2:], "validation": EXPRESSIONS[3:]}
    assert sadness.shares["train"] == 0
    assert found.release is None


def test_a_split_without_images_has_no_shares(tmp_path: Path) -> None:
    found = inspect_shards(shards(tmp_path, [0], []))
    assert math.isnan(found.classes[0].shares["validation"])


def test_a_release_is_named_unless_its_faces_are_drawn(tmp_path: Path) -> None:
    affectnet = shards(tmp_path, [0], [0]).model_copy(update={"classes": classes_of(RELEASES[0])})
    assert sum(AFFECTNET_TRAIN_COUNTS) == 287_651
    assert inspect_shards(affectnet).release == RELEASES[0].label
    drawn = affectnet.model_copy(update={"source": "drawn faces"})
    assert inspect_shards(drawn).release is None


def grey_tiles(sheet: ImageHWC) -> Counter[int]:
    """Count the pictures of one grey: 112 pixels wide and high, of the grey that is their row."""
    found: Counter[int] = Counter()
    seen = np.zeros(sheet.shape[:2], np.bool_)
    flat = (sheet == sheet[:, :, :1]).all(axis=2)
    for y in range(sheet.shape[0] - 111):
        for x in np.flatnonzero(flat[y, : sheet.shape[1] - 111] & ~seen[y, : sheet.shape[1] - 111]):
            grey = sheet[y, x, 0]
            if grey != 255 and (sheet[y : y + 112, x : x + 112] == grey).all():
                seen[y : y + 112, x : x + 112] = True
                found[int(grey)] += 1
    return found


@pytest.mark.slow
def test_the_sheet_takes_faces_from_far_apart(tmp_path: Path) -> None:
    # 64 rows of each label in turn, 8 shards of 16 rows: two of each label in each.
    manifest = shards(tmp_path, [number % 8 for number in range(128)], [0])
    sheet = np.asarray(contact_sheet(tmp_path, manifest, per_class=2))
    # Two shards half the data set apart, and the first of each label in them; validation's row 0.
    expected = Counter([*range(8), *range(64, 72), 0])
    assert grey_tiles(sheet) == expected
    assert np.array_equal(sheet, np.asarray(contact_sheet(tmp_path, manifest, per_class=2)))


@pytest.mark.slow
def test_the_sheet_finds_classes_that_lie_in_one_shard(tmp_path: Path) -> None:
    # Sorted by label, as folders are read: label 5 is in the last shards only, and has 3 rows.
    manifest = shards(tmp_path, [0] * 40 + [2] * 17 + [5] * 3, [1] * 4, rows_per_shard=4)
    sheet = np.asarray(contact_sheet(tmp_path, manifest, per_class=4))
    found = grey_tiles(sheet)
    in_train = [number for number in found if number >= 5]
    assert sum(40 <= number < 57 for number in in_train) == 4
    assert {57, 58, 59} <= set(found)
    assert {0, 1, 2, 3} <= set(found)
    assert sum(found.values()) == 4 + 4 + 3 + 4


@pytest.mark.slow
def test_the_sheet_of_drawn_faces_is_a_png(tmp_path: Path) -> None:
    synth(tmp_path / "shards", train=40, validation=16, size=48, seed=1, rows_per_shard=8)
    manifest = read_manifest(tmp_path / "shards")
    path = tmp_path / "out" / "faces.png"
    write_png(path, contact_sheet(tmp_path / "shards", manifest, per_class=3))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [one.name for one in path.parent.iterdir()] == ["faces.png"]


def test_a_sheet_that_can_not_be_drawn(tmp_path: Path) -> None:
    manifest = shards(tmp_path, [0, 1], [0])
    for number in (0, 33):
        with pytest.raises(ConfigError, match=f"faces per class {number}: give 1 to 32"):
            contact_sheet(tmp_path, manifest, per_class=number)
    flip_byte(tmp_path / "validation/00000.arrow", 500)
    with pytest.raises(DataError, match=r"validation/00000\.arrow: sha256"):
        contact_sheet(tmp_path, manifest, per_class=1)
