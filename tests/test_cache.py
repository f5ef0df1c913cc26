"""Staging: once per node, verified, rebuilt when it must be, the same pixels in every mode."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets import cache
from datasets.cache import StagedData, needed_bytes, stage
from datasets.errors import ConfigError, DataError
from datasets.images import load_stored
from datasets.manifest import SPLITS, Manifest, file_sha256, read_manifest
from datasets.prepare import prepare, synth
from datasets.shards import read_checked
from tests.shard_data import csv_source, flip_byte

SIZE = 24
BOTH = pytest.mark.parametrize("mode", ["decoded", "encoded"])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("drawn")
    synth(dest, train=90, validation=40, size=SIZE, seed=1, rows_per_shard=32)
    return dest


@pytest.fixture
def shards(drawn: Path, tmp_path: Path) -> Path:
    """Shards that a test may damage."""
    return Path(shutil.copytree(drawn, tmp_path / "shards"))


class Builds:
    """Counts how often a cache was built: progress reaches its total once for each."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, done: int, total: int) -> None:
        self.count += done == total


def staged_images(staged: StagedData) -> dict[str, np.ndarray]:
    return {s: staged.split(s).gather(np.arange(len(staged.split(s)))) for s in SPLITS}


def expected_images(shards: Path, manifest: Manifest, size: int) -> dict[str, np.ndarray]:
    return {
        split: np.stack(
            [
                load_stored(row.image, manifest.encoding, manifest.image_size, size)
                for shard in manifest.of_split(split)
                for row in read_checked(shards, manifest, shard)
            ]
        )
        for split in SPLITS
    }


@BOTH
@pytest.mark.parametrize("size", [SIZE, 17])
@pytest.mark.parametrize("encoding", ["jpeg", "png", "raw"])
def test_staged_rows_are_the_shards_rows(
    tmp_path: Path, mode: cache.CacheMode, size: int, encoding: str
) -> None:
    shards = tmp_path / "shards"
    manifest = synth(shards, train=20, validation=9, size=SIZE, seed=2, encoding=encoding)  # type: ignore[arg-type]
    staged = stage(shards, tmp_path / "cache", size, mode=mode)
    assert staged.mode == mode
    images = expected_images(shards, manifest, size)
    for split, found in staged_images(staged).items():
        assert np.array_equal(found, images[split])
    rows = [row for s in manifest.of_split("train") for row in read_checked(shards, manifest, s)]
    assert staged.split("train").image_ids == [row.image_id for row in rows]
    assert staged.split("train").labels.tolist() == [row.label for row in rows]
    assert staged.split("train").labels.dtype == np.int8


@BOTH
def test_gather_keeps_the_order_asked_for(
    drawn: Path, tmp_path: Path, mode: cache.CacheMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several record batches, of which the last is short.
    monkeypatch.setattr("datasets.cache_format._BATCH_BYTES", 7 * SIZE * SIZE * 3)
    monkeypatch.setattr("datasets.cache_format._ENCODED_ROWS_PER_BATCH", 7)
    split = stage(drawn, tmp_path, SIZE, mode=mode).split("train")
    whole = expected_images(drawn, read_manifest(drawn), SIZE)["train"]
    for indices in ([89, 0, 7, 6, 7], [13], []):
        images = split.gather(np.array(indices, np.int64))
        assert np.array_equal(images, whole[np.array(indices, np.int64)])
        assert images.shape == (len(indices), SIZE, SIZE, 3)
        assert images.dtype == np.uint8
        assert images.flags.c_contiguous
        assert images.flags.writeable


@BOTH
@pytest.mark.parametrize("indices", [[-1], [90], [0.5], [[1]]])
def test_gather_refuses_rows_that_are_not_there(
    drawn: Path, tmp_path: Path, mode: cache.CacheMode, indices: list[object]
) -> None:
    split = stage(drawn, tmp_path, SIZE, mode=mode).split("train")
    with pytest.raises(IndexError):
        split.gather(np.array(indices))


@pytest.mark.slow  # it imports TensorFlow
def test_arrow_and_tfrecord_give_the_same_cache_bytes(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "source")
    found = []
    for kind in ("arrow", "tfrecord"):
        prepare(source, tmp_path / kind, image_size=16, format=kind)  # type: ignore[arg-type]
        for mode in ("decoded", "encoded"):
            staged = stage(tmp_path / kind, tmp_path / f"cache-{kind}", 16, mode=mode)  # type: ignore[arg-type]
            found.append([file_sha256(staged.directory / f"{s}.arrow") for s in SPLITS])
    assert found[:2] == found[2:]


@BOTH
def test_a_complete_cache_is_opened_not_built(
    shards: Path, tmp_path: Path, mode: cache.CacheMode
) -> None:
    builds = Builds()
    first = stage(shards, tmp_path / "cache", SIZE, mode=mode, progress=builds)
    for entry in first.manifest.shards:
        (shards / entry.file).unlink()  # A cache that is complete needs no shard.
    second = stage(shards, tmp_path / "cache", SIZE, mode=mode, progress=builds)
    assert builds.count == 1
    assert np.array_equal(staged_images(first)["train"], staged_images(second)["train"])


def same_size_damage(directory: Path) -> None:
    flip_byte(directory / "train.arrow", (directory / "train.arrow").stat().st_size // 2)


def truncation(directory: Path) -> None:
    path = directory / "validation.arrow"
    path.write_bytes(path.read_bytes()[:-1000])


def missing_file(directory: Path) -> None:
    (directory / "train.arrow").unlink()


def missing_index(directory: Path) -> None:
    (directory / "cache.json").unlink()


def half_index(directory: Path) -> None:
    path = directory / "cache.json"
    path.write_bytes(path.read_bytes()[:-40])


def other_content(directory: Path) -> None:
    path = directory / "cache.json"
    index = json.loads(path.read_text())
    index["key"]["fingerprint"] = index["key"]["fingerprint"][:16] + "0" * 48
    path.write_text(json.dumps(index))


def other_decoder(directory: Path) -> None:
    path = directory / "cache.json"
    index = json.loads(path.read_text())
    index["key"]["decoder"] = "another decoder"
    path.write_text(json.dumps(index))


@BOTH
@pytest.mark.parametrize(
    "damage",
    [
        same_size_damage,
        truncation,
        missing_file,
        missing_index,
        half_index,
        other_content,
        other_decoder,
    ],
)
def test_a_damaged_cache_is_built_again(
    drawn: Path, tmp_path: Path, mode: cache.CacheMode, damage: object
) -> None:
    builds = Builds()
    first = stage(drawn, tmp_path, SIZE, mode=mode, progress=builds)
    damage(first.directory)  # type: ignore[operator]
    second = stage(drawn, tmp_path, SIZE, mode=mode, progress=builds)
    assert builds.count == 2
    whole = expected_images(drawn, second.manifest, SIZE)
    assert np.array_equal(staged_images(second)["train"], whole["train"])
    stage(drawn, tmp_path, SIZE, mode=mode, progress=builds)
    assert builds.count == 2


def test_a_copied_cache_is_believed_by_its_checksum(drawn: Path, tmp_path: Path) -> None:
    builds = Builds()
    staged = stage(drawn, tmp_path, SIZE, progress=builds)
    for split in SPLITS:
        os.utime(staged.directory / f"{split}.arrow", ns=(1, 1))
    stage(drawn, tmp_path, SIZE, progress=builds)
    assert builds.count == 1
    noted = json.loads((staged.directory / "cache.json").read_text())
    assert [file["mtime_ns"] for file in noted["files"].values()] == [1, 1]


@pytest.mark.slow
def test_another_fingerprint_has_its_own_cache(drawn: Path, tmp_path: Path) -> None:
    synth(tmp_path / "other", train=90, validation=40, size=SIZE, seed=2)
    builds = Builds()
    one = stage(drawn, tmp_path / "cache", SIZE, progress=builds)
    other = stage(tmp_path / "other", tmp_path / "cache", SIZE, progress=builds)
    assert builds.count == 2
    assert not np.array_equal(staged_images(one)["train"], staged_images(other)["train"])


@BOTH
def test_a_flipped_byte_in_a_shard_is_named_and_leaves_no_cache(
    shards: Path, tmp_path: Path, mode: cache.CacheMode
) -> None:
    damaged = read_manifest(shards).of_split("train")[1].file
    flip_byte(shards / damaged, (shards / damaged).stat().st_size // 2)
    with pytest.raises(DataError, match=damaged):
        stage(shards, tmp_path / "cache", SIZE, mode=mode)
    assert not list((tmp_path / "cache").rglob("*.arrow"))


def test_the_mode_follows_the_room_on_the_disk(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(drawn)
    decoded, encoded = (needed_bytes(manifest, SIZE, mode) for mode in ("decoded", "encoded"))
    assert encoded < decoded
    free = cache._SPARE_BYTES + decoded
    monkeypatch.setattr(cache, "_free_bytes", lambda _: free)
    assert stage(drawn, tmp_path / "roomy", SIZE).mode == "decoded"
    free -= 1
    tight = stage(drawn, tmp_path / "tight", SIZE)
    assert tight.mode == "encoded"
    whole = expected_images(drawn, manifest, SIZE)
    assert np.array_equal(staged_images(tight)["train"], whole["train"])
    with pytest.raises(DataError, match=r"data\.cache_mode to encoded"):
        stage(drawn, tmp_path / "forced", SIZE, mode="decoded")
    free = cache._SPARE_BYTES
    assert stage(drawn, tmp_path / "tight", SIZE).mode == "encoded"
    with pytest.raises(DataError, match=r"256 MiB free.*data\.cache_dir"):
        stage(drawn, tmp_path / "none", SIZE)


@pytest.mark.slow
@BOTH
def test_the_room_asked_for_is_enough_and_not_far_over(
    tmp_path: Path, mode: cache.CacheMode
) -> None:
    manifest = synth(tmp_path / "shards", train=60, validation=30, size=64, seed=0)
    staged = stage(tmp_path / "shards", tmp_path / "cache", 64, mode=mode)
    used = sum(path.stat().st_size for path in staged.directory.iterdir())
    assert used <= needed_bytes(manifest, 64, staged.mode) <= 1.1 * used


@pytest.mark.slow
def test_processes_that_stage_at_once_build_once(drawn: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from datasets.cache import stage\n"
        "def note(done, total):\n"
        "    time.sleep(0.1)\n"
        "    if done == total: print('built')\n"
        f"staged = stage(Path(sys.argv[1]), Path(sys.argv[2]), {SIZE}, progress=note)\n"
        "import numpy as np; print(int(staged.split('train').gather(np.arange(90)).sum()))"
    )
    command = [sys.executable, "-c", code, str(drawn), str(tmp_path)]
    root = Path(__file__).parents[1]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(3)
    ]
    printed = [child.communicate(timeout=300)[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert sorted(len(words) for words in printed) == [1, 1, 2]
    assert len({words[-1] for words in printed}) == 1


def test_a_cache_built_again_does_not_disturb_who_reads_it(drawn: Path, tmp_path: Path) -> None:
    first = stage(drawn, tmp_path, SIZE)
    before = staged_images(first)["train"]
    missing_index(first.directory)
    stage(drawn, tmp_path, SIZE)
    assert np.array_equal(staged_images(first)["train"], before)


def test_requests_that_cannot_be_met_name_the_way_out(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"24 pixels, 32 are asked for.*--size 32"):
        stage(drawn, tmp_path, 32)
    with pytest.raises(ConfigError, match=r"'fast'.*auto"):
        stage(drawn, tmp_path, SIZE, mode="fast")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="image size 0"):
        stage(drawn, tmp_path, 0)
    with pytest.raises(DataError, match="no data directory"):
        stage(tmp_path / "absent", tmp_path, SIZE)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"data\.cache_dir"):
        stage(drawn, tmp_path / "file" / "cache", SIZE)
