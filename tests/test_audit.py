"""Planted duplicates are found among drawn faces, as what they are, and nothing else is."""

import csv
import io
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.audit import Audit, Member, audit, leaked_train_ids
from datasets.audit_report import COLUMNS, audit_sheet, write_audit_csv
from datasets.drawn import draw_face, drawn_labels, face_index
from datasets.errors import ConfigError, DataError
from datasets.hash_index import HashIndex
from datasets.images import load_stored
from datasets.manifest import Manifest, SplitName
from datasets.near_duplicates import LEAST_SIMILARITY, Search, hash_distance, near_pairs, pack
from datasets.perceptual_hash import VIEWS, fine_descriptors, hashes, thumbnail
from datasets.picture_sheet import read_images
from datasets.shards import ShardRow
from tests.made_up_shards import write_shards
from tests.shard_data import flip_byte

SIZE = 64
ImageHWC = npt.NDArray[np.uint8]


def face(number: int, size: int = SIZE) -> Image.Image:
    index = face_index("train", number)
    return Image.fromarray(draw_face(number % 8, seed=5, index=index, size=size))


def jpeg(picture: Image.Image, quality: int = 92, **options: bool) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality, **options)
    return stream.getvalue()


def mirrored(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def cropped(
    picture: Image.Image, left: float, top: float, right: float, bottom: float
) -> Image.Image:
    width, height = picture.size
    box = (width * left, height * top, width * (1 - right), height * (1 - bottom))
    return picture.resize(picture.size, Image.Resampling.LANCZOS, box=box)


def rows_of_faces(split: str, first: int, count: int) -> list[ShardRow]:
    return [
        ShardRow(f"{split}/{number}", number % 8, jpeg(face(number)))
        for number in range(first, first + count)
    ]


Rows = dict[SplitName, list[ShardRow]]


def planted() -> Rows:
    """Forty faces, and copies of some of them."""
    rows: Rows = {
        "train": rows_of_faces("train", 0, 30),
        "validation": rows_of_faces("validation", 30, 10),
    }
    rows["train"] += [
        ShardRow("copy", 0, jpeg(face(0))),
        ShardRow("other file, same pixels", 1, jpeg(face(1), progressive=True)),
        ShardRow("other label", 7, jpeg(face(2))),
        ShardRow("worse", 3, jpeg(face(3), 50)),
        ShardRow("leaked", 31 % 8, jpeg(face(31))),
        ShardRow("leaked, worse", 32 % 8, jpeg(face(32), 50)),
    ]
    rows["validation"] += [
        ShardRow("mirrored, other label", 0, jpeg(mirrored(face(4)))),
        ShardRow("within validation", 33 % 8, jpeg(cropped(face(33), 0.02, 0.0, 0.0, 0.02))),
    ]
    return rows


class Planted(NamedTuple):
    directory: Path
    manifest: Manifest
    found: Audit


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    directory = tmp_path_factory.mktemp("shards")
    manifest = write_shards(directory, planted(), image_size=SIZE)
    return Planted(directory, manifest, audit(directory, manifest, workers=1))


def pairs_of(found: Audit) -> dict[frozenset[str], tuple[Member, ...]]:
    return {
        frozenset(one.image_id for one in group.members): group.members for group in found.groups
    }


def test_what_was_planted_is_found_and_nothing_else(shards: Planted) -> None:
    expected = {
        ("train/0", "copy"): ("exact", False, False),
        ("train/1", "other file, same pixels"): ("exact", False, False),
        ("train/2", "other label"): ("exact", False, True),
        ("train/3", "worse"): ("near", False, False),
        ("validation/31", "leaked"): ("exact", True, False),
        ("validation/32", "leaked, worse"): ("near", True, False),
        ("train/4", "mirrored, other label"): ("near", True, True),
        ("validation/33", "within validation"): ("near", False, False),
    }
    found = pairs_of(shards.found)
    assert set(found) == {frozenset(pair) for pair in expected}
    for (original, copy), (kind, leak, conflict) in expected.items():
        members = found[frozenset((original, copy))]
        assert {one.duplicate_of for one in members} == {original, copy}
        for one in members:
            assert (one.kind, one.leak, one.conflict) == (kind, leak, conflict)
            assert one.mirrored == ("mirrored" in copy)
            assert (one.distance == 0 and one.similarity == 1) or kind == "near"
    assert (shards.found.images, shards.found.incomplete) == (48, 0)
    assert shards.found.num_duplicates() == 16
    assert shards.found.num_leaked("train") == shards.found.num_leaked("validation") == 3
    assert shards.found.num_conflicts() == 4


def test_other_bytes_of_the_same_pixels_were_planted(shards: Planted) -> None:
    # Otherwise the test above would show nothing about encodings.
    plain, other = jpeg(face(1)), jpeg(face(1), progressive=True)
    assert plain != other
    assert np.array_equal(*(load_stored(data, "jpeg", SIZE, SIZE) for data in (plain, other)))


def test_the_worst_come_first(shards: Planted) -> None:
    flags = [(group.leak, group.conflict, group.kind) for group in shards.found.groups]
    assert flags == [
        (True, True, "near"),
        (True, False, "exact"),
        (True, False, "near"),
        (False, True, "exact"),
        (False, False, "exact"),
        (False, False, "exact"),
        (False, False, "near"),
        (False, False, "near"),
    ]


def test_every_member_says_where_it_lies(shards: Planted) -> None:
    rows = planted()
    for one in shards.found.members():
        shard = next(s for s in shards.manifest.shards if s.file == one.shard)
        before = sum(s.rows for s in shards.manifest.of_split(shard.split) if s.file < shard.file)
        assert rows[one.split][before + one.row][:2] == (one.image_id, one.label)


@pytest.mark.slow
def test_workers_and_shard_borders_change_nothing(shards: Planted, tmp_path: Path) -> None:
    manifest = write_shards(tmp_path, planted(), image_size=SIZE, rows_per_shard=7)
    calls: list[tuple[int, int]] = []
    found = audit(
        tmp_path, manifest, workers=2, progress=lambda done, total: calls.append((done, total))
    )

    def told(result: Audit) -> list[Member]:
        # Other shards hold the rows here; all else is the same.
        return [replace(one, shard="", row=0) for one in result.members()]

    assert told(found) == told(shards.found)
    assert calls[-1] == (48, 48)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_without_its_leaked_ids_training_shares_nothing_with_validation(
    shards: Planted, tmp_path: Path
) -> None:
    leaked = leaked_train_ids(shards.found)
    assert leaked == {"leaked", "leaked, worse", "train/4"}
    rows = planted()
    rows["train"] = [row for row in rows["train"] if row.image_id not in leaked]
    manifest = write_shards(tmp_path, rows, image_size=SIZE)
    again = audit(tmp_path, manifest, workers=1)
    assert leaked_train_ids(again) == frozenset()
    assert len(again.groups) == len(shards.found.groups) - 3


def test_a_group_tells_its_members_apart(tmp_path: Path) -> None:
    # A chain: two files with the same pixels in training, a worse one in validation, another label.
    rows: Rows = {
        "train": [ShardRow("a", 1, jpeg(face(1))), ShardRow("b", 1, jpeg(face(1)))],
        "validation": [ShardRow("c", 2, jpeg(face(1), 60)), ShardRow("d", 3, jpeg(face(3)))],
    }
    (group,) = audit(tmp_path, write_shards(tmp_path, rows, image_size=SIZE), workers=1).groups
    assert (group.kind, group.leak, group.conflict) == ("near", True, True)
    # The other split comes before the same pixels.
    told = [(one.image_id, one.duplicate_of, one.kind) for one in group.members]
    assert told == [("a", "c", "near"), ("b", "c", "near"), ("c", "a", "near")]


def test_flat_images_are_duplicates_only_when_equal(tmp_path: Path) -> None:
    flat = [np.full((SIZE, SIZE, 3), grey, np.uint8) for grey in (10, 10, 11, 200)]
    rows: Rows = {
        "train": [ShardRow(str(n), 0, image.tobytes()) for n, image in enumerate(flat)],
        "validation": [ShardRow("v", 0, np.asarray(face(1)).tobytes())],
    }
    manifest = write_shards(tmp_path, rows, image_size=SIZE, encoding="raw")
    (group,) = audit(tmp_path, manifest, workers=1).groups
    assert [one.image_id for one in group.members] == ["0", "1"]


CHANGES: dict[str, tuple[float, Callable[[Image.Image], Image.Image]]] = {
    "JPEG of quality 50": (1.0, lambda one: Image.open(io.BytesIO(jpeg(one, 50))).convert("RGB")),
    "half the size and back": (
        1.0,
        lambda one: one.resize((48, 48), Image.Resampling.LANCZOS).resize(one.size),
    ),
    "10 % brighter": (0.97, lambda one: one.point(lambda value: min(round(value * 1.1), 255))),
    "10 % darker": (1.0, lambda one: one.point(lambda value: round(value * 0.9))),
    "mirrored": (1.0, mirrored),
    "grey": (1.0, lambda one: one.convert("L").convert("RGB")),
    "1 % off at every side": (0.97, lambda one: cropped(one, 0.01, 0.01, 0.01, 0.01)),
    "2 % off at every side": (0.85, lambda one: cropped(one, 0.02, 0.02, 0.02, 0.02)),
    "2 % off at a corner": (0.85, lambda one: cropped(one, 0.02, 0.02, 0.0, 0.0)),
}


def described(images: list[Image.Image]) -> Search:
    thumbnails = np.stack([thumbnail(np.asarray(image)) for image in images])
    rows = np.arange(len(images))
    return Search(pack(hashes(thumbnails)), fine_descriptors(thumbnails), rows, radius=6)


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_other_faces_are_not(change: str) -> None:
    least_found, changed = CHANGES[change]
    faces = [face(number, size=96) for number in range(60)]
    found = set()
    for pairs in near_pairs(described([*faces, *map(changed, faces)])):
        assert (pairs.similarity >= LEAST_SIMILARITY).all()
        found.update(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    assert all(right == left + len(faces) for left, right in found)
    assert len(found) >= least_found * len(faces)


def test_faces_with_nearly_the_same_hash_are_told_apart() -> None:
    # The two drawn faces, of the first 6,000 of seed 0, that are most alike.
    labels = drawn_labels("train", 6000, 0)
    alike = [
        draw_face(int(labels[row]), seed=0, index=face_index("train", row), size=96)
        for row in (258, 1137)
    ]
    search = described([Image.fromarray(image) for image in alike])
    nearest = min(
        hash_distance(search.hashes[view, query], search.hashes[0, 1 - query], mirrored=False)
        for view in range(len(VIEWS))
        for query in (0, 1)
    )
    assert nearest <= search.radius
    assert sum(len(pairs.left) for pairs in near_pairs(search)) == 0


def test_a_pair_comes_once(shards: Planted) -> None:
    # Though most of its views find it.
    faces = [face(number, size=96) for number in range(8)]
    found = [
        (left, right, pairs.mirrored)
        for pairs in near_pairs(described([*faces, *map(CHANGES["10 % darker"][1], faces)]))
        for left, right in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    ]
    assert sorted(found) == [(number, number + 8, False) for number in range(8)]


def all_pairs(hashes: npt.NDArray[np.bool_], queries: npt.NDArray[np.bool_], radius: int):  # type: ignore[no-untyped-def]
    distance = (queries[:, None] != hashes).sum(axis=2)
    return sorted((q, h, distance[q, h]) for q, h in np.argwhere(distance <= radius).tolist())


def found_pairs(index: HashIndex, queries: npt.NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    return sorted(
        found
        for pairs in index.pairs_with(queries)
        for found in zip(*(column.tolist() for column in pairs), strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 120),
    bits=st.sampled_from([40, 64, 96, 130]),
    radius=st.integers(0, 4),
    uneven=st.floats(0.02, 0.5),
)
def test_the_search_finds_what_comparing_all_pairs_finds(
    seed: int, count: int, bits: int, radius: int, uneven: float
) -> None:
    generator = np.random.default_rng(seed)
    hashes = generator.random((count, bits)) < uneven
    # Random hashes are never near each other: half the queries are hashes with some bits changed.
    near = hashes[generator.integers(0, count, count)]
    near ^= generator.random((count, bits)) < generator.random((count, 1)) * 2 * radius / bits
    queries = np.concatenate([near, generator.random((count, bits)) < uneven])
    assert found_pairs(HashIndex(hashes, radius), queries) == all_pairs(hashes, queries, radius)
    assert found_pairs(HashIndex(hashes, radius), hashes) == all_pairs(hashes, hashes, radius)


def test_overfull_buckets_bound_the_work_and_are_counted() -> None:
    generator = np.random.default_rng(3)
    crowd = np.zeros((400, 64), np.bool_)
    crowd[np.arange(400), generator.integers(0, 64, 400)] = True
    others = generator.random((50, 64)) < 0.5
    hashes = np.concatenate([crowd, others, others])
    whole, bounded = HashIndex(hashes, 3), HashIndex(hashes, 3, largest_bucket=100)
    assert not whole.overfull(hashes).any()
    assert bounded.overfull(hashes).tolist() == [True] * 400 + [False] * 100
    found = set(found_pairs(bounded, hashes))
    assert found < set(found_pairs(whole, hashes))
    # Each band looks at 32 neighbours at most, and none of the others is lost.
    assert len(found) <= 400 * 32 * 4 + 200
    assert {(400 + n, 450 + n, 0) for n in range(50)} <= found


@pytest.mark.slow
def test_fifty_thousand_hashes_take_seconds() -> None:
    generator = np.random.default_rng(0)
    hashes = generator.random((50_000, 64)) < 0.5
    hashes[25_000:25_100] = hashes[:100]
    hashes[25_000:25_100, :6] ^= True
    started = time.process_time()
    found = [one for one in found_pairs(HashIndex(hashes, 6), hashes) if one[0] < one[1]]
    assert found == [(number, 25_000 + number, 6) for number in range(100)]
    assert time.process_time() - started < 10


def test_what_can_not_be_audited_is_named(shards: Planted, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"threshold 12: .* 0 to 11"):
        audit(shards.directory, shards.manifest, threshold=12)
    with pytest.raises(ConfigError, match="workers 0"):
        audit(shards.directory, shards.manifest, workers=0)
    rows: Rows = {"train": rows_of_faces("train", 0, 2), "validation": rows_of_faces("v", 2, 1)}
    rows["train"].append(ShardRow("broken", 0, jpeg(face(0))[:400]))
    manifest = write_shards(tmp_path, rows, image_size=SIZE)
    with pytest.raises(DataError, match=r"00000\.arrow: image 'broken' can't be decoded"):
        audit(tmp_path, manifest, workers=1)
    flip_byte(tmp_path / manifest.shards[0].file, 700)
    with pytest.raises(DataError, match=r"train/00000\.arrow: sha256"):
        audit(tmp_path, manifest, workers=2)


def test_a_killed_worker_is_an_error_with_a_way_out(
    shards: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Forked, so that the workers see what is patched here.
    monkeypatch.setattr("datasets.parallel.get_context", lambda _: get_context("fork"))
    monkeypatch.setattr("datasets.described.describe_shard", killed)
    with pytest.raises(DataError, match=r"killed, .* --workers 1"):
        audit(shards.directory, shards.manifest, workers=2)


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_csv_has_a_line_for_each_duplicate(shards: Planted, tmp_path: Path) -> None:
    path = tmp_path / "reports" / "audit.csv"
    write_audit_csv(path, shards.found)
    with path.open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    assert tuple(lines[0]) == COLUMNS
    assert len(lines) == 16
    assert [line["leak"] for line in lines] == ["yes"] * 6 + ["no"] * 10
    (line,) = [line for line in lines if line["image_id"] == "mirrored, other label"]
    assert line == {
        "group": "1",
        "kind": "near",
        "split": "validation",
        "image_id": "mirrored, other label",
        "label": "0",
        "expression": "Neutral",
        "shard": "validation/00000.arrow",
        "row": "10",
        "duplicate_of": "train/4",
        "distance": line["distance"],
        "similarity": line["similarity"],
        "mirrored": "yes",
        "leak": "yes",
        "conflict": "yes",
        "equal": "0",
    }
    assert int(line["distance"]) <= 6
    assert LEAST_SIMILARITY <= float(line["similarity"]) <= 1


def holds(sheet: ImageHWC, picture: ImageHWC) -> bool:
    """Say whether a sheet shows a picture, at the size in which sheets do."""
    tile = np.asarray(Image.fromarray(picture).resize((112, 112), Image.Resampling.LANCZOS))
    firsts = np.argwhere((sheet[:-111, :-111] == tile[0, 0]).all(axis=2))
    return any(np.array_equal(sheet[y : y + 112, x : x + 112], tile) for y, x in firsts.tolist())


def test_the_sheet_shows_the_worst_groups(shards: Planted) -> None:
    sheet = np.asarray(audit_sheet(shards.directory, shards.manifest, shards.found, max_groups=3))
    shown = {
        (one.shard, one.row): number
        for number, group in enumerate(shards.found.groups)
        for one in group.members
    }
    wanted: dict[str, list[int]] = {}
    for shard, row in shown:
        wanted.setdefault(shard, []).append(row)
    images = read_images(shards.directory, shards.manifest, wanted)
    assert {place: holds(sheet, images[place]) for place in shown} == {
        place: number < 3 for place, number in shown.items()
    }


def test_the_sheet_of_no_duplicates_is_drawn_too(shards: Planted) -> None:
    nothing = Audit(images=10, threshold=6, groups=(), incomplete=0)
    assert audit_sheet(shards.directory, shards.manifest, nothing).height < 200
