"""From source to shards: what is kept, what is rejected, and what happens the second time."""

import csv
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.drawn import draw_face, drawn_labels, face_index
from datasets.errors import ConfigError, DataError
from datasets.images import load_stored
from datasets.labels import EXPRESSIONS
from datasets.manifest import Manifest, read_manifest, verify_shards
from datasets.prepare import prepare, synth
from datasets.shards import ShardRow, read_checked
from datasets.splits import validation_rows
from tests.shard_data import csv_source, files_of, flip_byte, picture, write_csv, write_picture


def rows_of(dest: Path, manifest: Manifest) -> dict[str, list[ShardRow]]:
    return {
        split: [row for s in manifest.of_split(split) for row in read_checked(dest, manifest, s)]  # type: ignore[arg-type]
        for split in ("train", "validation")
    }


def rejected_of(dest: Path) -> list[dict[str, str]]:
    with (dest / "rejected.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_image_arrives_with_its_label_and_its_pixels(tmp_path: Path) -> None:
    source, dest = csv_source(tmp_path / "source", per_class=5), tmp_path / "shards"
    seen: list[tuple[int, int]] = []
    manifest = prepare(
        source,
        dest,
        image_size=24,
        encoding="png",
        rows_per_shard=7,
        progress=lambda *one: seen.append(one),
    )
    rows = rows_of(dest, manifest)
    names = [f"{label}_{n}.png" for n in range(5) for label in range(8)]
    for split in rows.values():
        assert [row.image_id for row in split] == [
            name for name in names if name in {row.image_id for row in split}
        ]
        for row in split:
            assert row.label == int(row.image_id[0])
            expected = picture(names.index(row.image_id))
            assert np.array_equal(load_stored(row.image, "png", 24, 24), expected)
    assert {row.image_id for split in rows.values() for row in split} == set(names)
    assert manifest.classes == {
        "train": dict.fromkeys(EXPRESSIONS, 4),
        "validation": dict.fromkeys(EXPRESSIONS, 1),
    }
    assert (manifest.rows("train"), manifest.rows("validation"), manifest.rejected) == (32, 8, 0)
    assert [shard.rows for shard in manifest.of_split("train")] == [7, 7, 7, 7, 4]
    assert seen[-1] == (40, 40)
    assert manifest == read_manifest(dest)
    verify_shards(dest, manifest)


@pytest.mark.slow  # it imports TensorFlow
def test_arrow_and_tfrecord_have_one_fingerprint(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "source")
    arrow = prepare(source, tmp_path / "a", image_size=16)
    record = prepare(source, tmp_path / "t", image_size=16, format="tfrecord", rows_per_shard=5)
    assert arrow.fingerprint == record.fingerprint
    other = prepare(source, tmp_path / "o", image_size=16, seed=1)
    assert other.fingerprint != arrow.fingerprint


def test_bad_images_are_listed_with_their_line_and_reason(tmp_path: Path) -> None:
    source, dest = csv_source(tmp_path / "source"), tmp_path / "shards"
    names = [f"{n}.png" for n in ("empty", "text", "gone")]
    (source / "images" / names[0]).write_bytes(b"")
    (source / "images" / names[1]).write_text("no image")
    with (source / "legend.csv").open("a") as stream:
        stream.writelines(f"{name},happy\n" for name in names)
        stream.write("0_0.png,emotion\n0_1.png,Uncertain\n")
    manifest = prepare(source, dest, image_size=16, max_rejected=0.2)
    assert rejected_of(dest) == [
        {"file": "empty.png", "row": "34", "reason": "empty file"},
        {"file": "text.png", "row": "35", "reason": "not an image of a known kind"},
        {"file": "gone.png", "row": "36", "reason": "no such file"},
        {"file": "0_0.png", "row": "37", "reason": "unknown label 'emotion'"},
    ]
    assert manifest.rejected == 4
    assert manifest.excluded == {"Uncertain": 1}
    assert manifest.rows("train") + manifest.rows("validation") == 32


def test_too_many_rejected_rows_stop_and_name_the_first(tmp_path: Path) -> None:
    source, dest = csv_source(tmp_path / "source"), tmp_path / "shards"
    for name in ("0_0.png", "3_1.png"):
        (source / "images" / name).write_bytes(b"broken")
    with pytest.raises(DataError) as caught:
        prepare(source, dest, image_size=16)
    text = str(caught.value)
    assert "2 of 32 rows can't be used (6.2%, at most 1.0% may be)" in text
    assert "0_0.png, line 2: not an image" in text
    assert str(dest / "rejected.csv") in text
    assert "--max-rejected" in text
    assert len(rejected_of(dest)) == 2
    with pytest.raises(DataError, match=r"holds no manifest\.json"):
        read_manifest(dest)
    assert prepare(source, dest, image_size=16, max_rejected=0.1).rejected == 2


@given(
    labels=st.lists(st.integers(0, 7), max_size=200),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_a_made_split_is_stratified(labels: list[int], fraction: float, seed: int) -> None:
    chosen = validation_rows(labels, fraction, seed)
    assert chosen == validation_rows(labels, fraction, seed)
    for label, count in Counter(labels).items():
        found = sum(labels[place] == label for place in chosen)
        assert found == min(max(round(count * fraction), 1), count - 1)


def test_another_seed_makes_another_split() -> None:
    labels = [n % 8 for n in range(400)]
    assert validation_rows(labels, 0.2, 0) != validation_rows(labels, 0.2, 1)
    with pytest.raises(ConfigError, match=r"1\.0"):
        validation_rows(labels, 1.0, 0)


def test_splits_of_the_source_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number in range(6):
        write_picture(source / "train" / "happy" / f"{number}.png", number)
        write_picture(source / "val" / "sad" / f"{number}.png", number)
    manifest = prepare(source, tmp_path / "shards", image_size=16)
    assert manifest.classes["train"]["Happiness"] == manifest.rows("train") == 6
    assert manifest.classes["validation"]["Sadness"] == manifest.rows("validation") == 6


def test_the_same_request_again_changes_nothing(tmp_path: Path) -> None:
    source, dest = csv_source(tmp_path / "source"), tmp_path / "shards"
    first = prepare(source, dest, image_size=16)
    before = {path: path.stat().st_mtime_ns for path in dest.rglob("*")}
    assert prepare(source, dest, image_size=16) == first
    assert {path: path.stat().st_mtime_ns for path in dest.rglob("*")} == before


def test_another_request_is_refused_with_both_values(tmp_path: Path) -> None:
    source, dest = csv_source(tmp_path / "source"), tmp_path / "shards"
    prepare(source, dest, image_size=16)
    before = files_of(dest)
    with pytest.raises(DataError, match=r"image_size: 16 there, 20 asked for.*delete"):
        prepare(source, dest, image_size=20)
    with pytest.raises(DataError, match="source: "):
        synth(dest, train=8, validation=8, size=16, seed=0)
    assert files_of(dest) == before


def test_a_half_written_directory_is_cleared(tmp_path: Path) -> None:
    source, dest = csv_source(tmp_path / "source"), tmp_path / "shards"
    prepare(source, tmp_path / "whole", image_size=16)
    for name in ("train/00007.arrow", "validation/.00000.0a1b.tmp.tfrecord", "rejected.csv"):
        (dest / name).parent.mkdir(parents=True, exist_ok=True)
        (dest / name).write_bytes(b"half")
    prepare(source, dest, image_size=16)
    assert files_of(dest) == files_of(tmp_path / "whole")


@pytest.mark.parametrize("name", ["train/happy.jpg", "notes.txt", "train/happy/1.arrow"])
def test_a_directory_of_other_files_is_never_touched(tmp_path: Path, name: str) -> None:
    source, dest = csv_source(tmp_path / "source"), tmp_path / "shards"
    for file in (name, "train/00000.arrow"):
        (dest / file).parent.mkdir(parents=True, exist_ok=True)
        (dest / file).write_bytes(b"mine")
    before = files_of(dest)
    with pytest.raises(DataError, match="no shards"):
        prepare(source, dest, image_size=16)
    assert files_of(dest) == before


@pytest.mark.slow
def test_a_killed_prepare_is_finished_by_the_same_request(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from datasets.prepare import synth\n"
        "synth(Path(sys.argv[1]), train=200, validation=100, size=32, seed=4, rows_per_shard=10,"
        " progress=lambda *one: print(one, flush=True))"
    )
    dest = tmp_path / "shards"
    command = [sys.executable, "-c", code, str(dest)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    assert not (dest / "manifest.json").exists()
    again = {"train": 200, "validation": 100, "size": 32, "seed": 4, "rows_per_shard": 10}
    synth(dest, **again)
    synth(tmp_path / "whole", **again)
    assert files_of(dest) == files_of(tmp_path / "whole")


@pytest.mark.parametrize("encoding", ["png", "raw"])
def test_synth_stores_the_drawn_faces(tmp_path: Path, encoding: str) -> None:
    manifest = synth(tmp_path, train=9, validation=8, size=32, seed=6, encoding=encoding)  # type: ignore[arg-type]
    rows = rows_of(tmp_path, manifest)
    for split, count in (("train", 9), ("validation", 8)):
        labels = drawn_labels(split, count, 6).tolist()
        assert [row.label for row in rows[split]] == labels
        for number, row in enumerate(rows[split]):
            index = face_index(split, number)
            face = draw_face(labels[number], seed=6, index=index, size=32)
            assert np.array_equal(load_stored(row.image, manifest.encoding, 32, 32), face)


def test_nothing_to_prepare_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        prepare(tmp_path / "empty", tmp_path / "shards")
    with pytest.raises(DataError, match="no source"):
        prepare(tmp_path / "absent", tmp_path / "shards")
    write_csv(tmp_path / "header" / "x.csv", [("image", "label")])
    with pytest.raises(DataError, match="no labelled image"):
        prepare(tmp_path / "header", tmp_path / "shards")
    write_picture(tmp_path / "one" / "happy" / "x.png", 1)
    with pytest.raises(DataError, match="no image for validation"):
        prepare(tmp_path / "one", tmp_path / "shards")


def test_a_destination_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "source")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="file"):
        prepare(source, tmp_path / "file" / "shards", image_size=16)
    with pytest.raises(DataError, match="is a file"):
        prepare(source, tmp_path / "file", image_size=16)
    with pytest.raises(DataError, match="permissions"):
        synth(tmp_path / "file" / "shards", train=8, validation=8, size=16, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 4}, "image size 4"),
        ({"encoding": "webp"}, "'webp'.*jpeg"),
        ({"format": "zip"}, "'zip'.*arrow"),
        ({"validation_fraction": 0.0}, r"0\.0"),
        ({"max_rejected": 2.0}, r"2\.0"),
        ({"seed": -1}, "-1"),
        ({"layout": "other"}, "'other'.*csv-folder"),
    ],
)
def test_options_out_of_range_are_refused(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(csv_source(tmp_path / "source", 1), tmp_path / "shards", **options)  # type: ignore[arg-type]


REAL_FACES = Path(__file__).parents[2] / "shared" / "real-faces"


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not REAL_FACES.is_dir(), reason="no folder of real photographs")
def test_real_photographs(tmp_path: Path) -> None:
    manifest = prepare(REAL_FACES, tmp_path, image_size=96)
    with (REAL_FACES / "legend.csv").open(newline="") as stream:
        listed = Counter(row["emotion"].capitalize() for row in csv.DictReader(stream))
    stray = sum(listed.pop(name) for name in list(listed) if name not in EXPRESSIONS)
    assert manifest.rejected == stray == len(rejected_of(tmp_path))
    for name in EXPRESSIONS:
        assert sum(manifest.classes[split][name] for split in manifest.classes) == listed[name]
    rows = rows_of(tmp_path, manifest)
    names = [row.image_id for split in rows.values() for row in split]
    assert sorted(names) == sorted(path.name for path in (REAL_FACES / "images").iterdir())


def test_a_damaged_finished_directory_is_not_passed_off_as_done(tmp_path: Path) -> None:
    source, dest = csv_source(tmp_path / "source"), tmp_path / "shards"
    prepare(source, dest, image_size=16)
    flip_byte(dest / "train/00000.arrow", 600)
    with pytest.raises(DataError, match=r"train/00000\.arrow: sha256"):
        prepare(source, dest, image_size=16)
    (dest / "validation/00000.arrow").unlink()
    with pytest.raises(DataError, match=r"validation/00000\.arrow: missing"):
        prepare(source, dest, image_size=16)
