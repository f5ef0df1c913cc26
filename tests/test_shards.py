"""Shard files and their manifest."""

import json
from pathlib import Path

import pytest

from datasets.errors import DataError
from datasets.manifest import (
    Manifest,
    ShardFormat,
    content_fingerprint,
    read_manifest,
    row_digest,
    verify_shards,
)
from datasets.prepare import prepare
from datasets.shards import FORMATS, ShardRow, read_checked
from tests.shard_data import csv_source, flip_byte

ROWS = [ShardRow(f"é/{n}.jpg", n % 8, bytes([n % 256]) * (n * 3)) for n in range(300)]
ALL_FORMATS = pytest.mark.parametrize("kind", list(FORMATS))


@ALL_FORMATS
def test_rows_come_back_and_bytes_repeat(tmp_path: Path, kind: ShardFormat) -> None:
    for name in ("one", "two"):
        FORMATS[kind].write_shard(tmp_path / name, iter(ROWS))
    assert list(FORMATS[kind].read_shard(tmp_path / "one")) == ROWS
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_tfrecord_checks_its_own_records(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    FORMATS["tfrecord"].write_shard(path, ROWS[:20])
    flip_byte(path, path.stat().st_size // 2)
    with pytest.raises(DataError, match=r"x\.tfrecord is damaged"):
        list(FORMATS["tfrecord"].read_shard(path))


def test_tfrecord_of_other_features_is_named(tmp_path: Path) -> None:
    import tensorflow as tf

    path = tmp_path / "x.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(tf.train.Example().SerializeToString())
    with pytest.raises(DataError, match=r"x\.tfrecord, record 0: not an example"):
        list(FORMATS["tfrecord"].read_shard(path))


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Path, Manifest]:
    dest = tmp_path / "shards"
    return dest, prepare(csv_source(tmp_path / "source"), dest, image_size=16, rows_per_shard=10)


def test_verify_names_every_damaged_shard(prepared: tuple[Path, Manifest]) -> None:
    dest, manifest = prepared
    counted: list[tuple[int, int]] = []
    verify_shards(dest, manifest, progress=lambda *one: counted.append(one))
    assert counted == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(manifest.shards) == 4
    flipped, cut, missing, whole = (shard.file for shard in manifest.shards)
    flip_byte(dest / flipped, 700)
    (dest / cut).write_bytes((dest / cut).read_bytes()[:-1])
    (dest / missing).unlink()
    with pytest.raises(DataError) as caught:
        verify_shards(dest, manifest)
    text = str(caught.value)
    assert f"{flipped}: sha256" in text
    assert f"{cut}: " in text
    assert f"{missing}: missing" in text
    assert whole not in text
    assert "prepare the data again" in text


def test_reading_refuses_a_damaged_shard_before_its_first_row(
    prepared: tuple[Path, Manifest],
) -> None:
    dest, manifest = prepared
    shard = manifest.shards[0]
    assert len(list(read_checked(dest, manifest, shard))) == shard.rows
    flip_byte(dest / shard.file, shard.bytes - 20)
    with pytest.raises(DataError, match=shard.file):
        next(read_checked(dest, manifest, shard))


def test_a_wrong_row_count_is_refused(prepared: tuple[Path, Manifest]) -> None:
    dest, manifest = prepared
    shard = manifest.shards[0].model_copy(update={"rows": 99})
    with pytest.raises(DataError, match=r"holds 10 rows.*99"):
        list(read_checked(dest, manifest, shard))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"surprise": 1}, "surprise"),
        ({"fingerprint": "short"}, "fingerprint"),
        ({"shards": [{"file": "../x.arrow"}]}, "leads out"),
    ],
)
def test_a_wrong_manifest_is_refused(
    prepared: tuple[Path, Manifest], change: dict[str, object], message: str
) -> None:
    dest, _ = prepared
    path = dest / "manifest.json"
    content = json.loads(path.read_text())
    if "shards" in change:
        change = {"shards": [{**content["shards"][0], "file": "../x.arrow"}]}
    path.write_text(json.dumps({**content, **change}))
    with pytest.raises(DataError, match=message):
        read_manifest(dest)


def test_no_manifest_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data directory.*fer-orch data prepare"):
        read_manifest(tmp_path / "absent")
    with pytest.raises(DataError, match=r"holds no manifest.json.*fer-orch data prepare"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"half')
    with pytest.raises(DataError, match="damaged"):
        read_manifest(tmp_path)


def test_the_fingerprint_sees_every_part_of_the_content() -> None:
    row = ("train", "a.jpg", 1, b"image")
    others = [
        ("validation", "a.jpg", 1, b"image"),
        ("train", "b.jpg", 1, b"image"),
        ("train", "a.jpg", 2, b"image"),
        ("train", "a.jpg", 1, b"imagE"),
    ]
    digests = [row_digest(*one) for one in (row, *others)]  # type: ignore[arg-type]
    assert len(set(digests)) == 5
    prints = {
        content_fingerprint(224, "jpeg", digests),
        content_fingerprint(225, "jpeg", digests),
        content_fingerprint(224, "png", digests),
        content_fingerprint(224, "jpeg", digests[::-1]),
        content_fingerprint(224, "jpeg", digests[:-1]),
    }
    assert len(prints) == 5


@ALL_FORMATS
def test_the_fingerprint_can_be_computed_again_from_the_shards(
    tmp_path: Path, kind: ShardFormat
) -> None:
    dest = tmp_path / "shards"
    manifest = prepare(csv_source(tmp_path / "source"), dest, image_size=16, format=kind)
    digests = [
        row_digest(shard.split, row.image_id, row.label, row.image)
        for shard in manifest.shards
        for row in read_checked(dest, manifest, shard)
    ]
    assert manifest.fingerprint == content_fingerprint(16, "jpeg", digests)
