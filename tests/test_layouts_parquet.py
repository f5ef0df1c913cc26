"""Parquet files as on the Hugging Face hub: labels of every kind, images read one by one."""

import json
import pickle
import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.errors import ConfigError, DataError
from datasets.images import UnreadableImageError
from datasets.labels import EXPRESSIONS
from datasets.prepare import prepare
from datasets.sources import SourceOptions, SourceRow, choose_layout
from datasets.sources.parquet_images import ParquetImage
from datasets.synthetic.base import FaceKey
from datasets.synthetic.encoded import jpeg_face
from tests.layout_checks import (
    SIZE,
    check_round_trip,
    drawn_layout,
    excluded,
    kept,
    reasons,
    rows_of,
)
from tests.shard_data import files_of

TRAIN = "train-00000-of-00001.parquet"


def write(
    path: Path,
    labels: Sequence[object],
    *,
    kind: pa.DataType | None = None,
    names: object = None,
    images: Sequence[object] | None = None,
    columns: tuple[str, str] = ("image", "label"),
    group: int = 100,
) -> Path:
    """A Parquet file; the image of row 3 has the bytes `3`."""
    if images is None:
        images = [{"bytes": str(row).encode(), "path": None} for row in range(len(labels))]
    table = pa.table({columns[0]: list(images), columns[1]: pa.array(labels, kind)})
    if names is not None:
        told = {columns[1]: {"names": names, "_type": "ClassLabel"}}
        info = {b"huggingface": json.dumps({"info": {"features": told}}).encode()}
        table = table.replace_schema_metadata(info)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)
    return path


def found(path: Path, **options: object) -> list[str | None]:
    """The expression of each row of the only file; None where it is not kept."""
    rows = [row for row in rows_of(path, **options) if isinstance(row, SourceRow)]
    number = max(row.origin.row or 0 for row in rows) + 1
    by_row = {row.origin.row: EXPRESSIONS[row.label] for row in rows}
    return [by_row.get(row) for row in range(number)]


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [True, False])
def test_what_is_written_is_what_is_prepared(tmp_path: Path, quirks: bool) -> None:
    truth = check_round_trip(tmp_path, "hub-parquet", quirks)
    assert {EXPRESSIONS[one.label] for one in truth.kept.values()} == set(EXPRESSIONS)
    splits = Counter(one.split for one in truth.kept.values())
    assert splits == {"train": 60 + quirks, "validation": 24}


@pytest.mark.slow
def test_the_same_request_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        drawn_layout(tmp_path / name, "hub-parquet")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.mark.slow
def test_each_row_gives_its_own_image(tmp_path: Path) -> None:
    drawn_layout(tmp_path, "hub-parquet", quirks=False)
    rows = [row for row in rows_of(tmp_path) if isinstance(row, SourceRow)]
    random.Random(0).shuffle(rows)
    starts = {"train-00000": 0, "train-00001": 30, "validation-00000": 0}
    for row in rows:
        assert row.split is not None
        assert row.origin.row is not None
        assert not isinstance(row.image, Path)
        number = row.origin.row + starts[row.origin.file.removeprefix("data/")[:-17]]
        assert row.image() == jpeg_face(FaceKey(row.split, number, row.label, SIZE, 3))


@pytest.mark.parametrize(
    "names",
    [
        ["sad", "JOY", "neutrality", "none"],
        {"3": "none", "2": "neutrality", "0": "sad", "1": "JOY"},
    ],
)
def test_names_of_the_metadata_in_any_order(tmp_path: Path, names: object) -> None:
    write(tmp_path / "data" / TRAIN, [0, 1, 2, 3, 1], names=names)
    assert found(tmp_path) == ["Sadness", "Happiness", "Neutral", None, "Happiness"]
    assert excluded(rows_of(tmp_path)) == {"None": 1}


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["fear", "ANGRY", " sad "], pa.string()),
        (["fear", "ANGRY", " sad "], pa.large_string()),
        (["fear", "ANGRY", " sad "], pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_names_as_text(tmp_path: Path, labels: list[str], kind: pa.DataType) -> None:
    write(tmp_path / TRAIN, labels, kind=kind)
    assert found(tmp_path) == ["Fear", "Anger", "Sadness"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), pa.float64()])
def test_numbers_without_names_need_the_option(tmp_path: Path, kind: pa.DataType) -> None:
    write(tmp_path / TRAIN, [2, 0, 1], kind=kind)
    with pytest.raises(DataError, match=rf"(?s)labels of {tmp_path} are numbers .*--label-names"):
        rows_of(tmp_path)
    assert found(tmp_path, label_names="sad,happy,fear") == ["Fear", "Sadness", "Happiness"]
    with pytest.raises(ConfigError, match="'joyless' names no expression"):
        rows_of(tmp_path, label_names="sad,joyless,fear")


def test_the_option_wins_over_the_metadata(tmp_path: Path) -> None:
    write(tmp_path / TRAIN, [0, 1], names=["sad", "happy"])
    assert found(tmp_path, label_names="fear,anger") == ["Fear", "Anger"]


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"info": 3}', b"\xff", b"[" * 100_000])
def test_broken_metadata_is_none(tmp_path: Path, text: bytes) -> None:
    file = write(tmp_path / TRAIN, [0])
    table = pq.read_table(file).replace_schema_metadata({b"huggingface": text})
    pq.write_table(table, file)
    with pytest.raises(DataError, match="--label-names"):
        rows_of(tmp_path)


def test_labels_that_mean_nothing_are_rejected_by_row(tmp_path: Path) -> None:
    write(tmp_path / TRAIN, [0, None, 2, 3, -1, 1], names=["sad", "happy", "misc"], group=2)
    name = TRAIN
    assert reasons(rows_of(tmp_path)) == [
        (name, 1, "no label"),
        (name, 2, "label 2 is 'misc', which names no expression"),
        (name, 3, "label 3 is none of the 3 classes"),
        (name, 4, "label -1 is none of the 3 classes"),
    ]
    assert kept(rows_of(tmp_path)) == {f"{name}:0": (None, 2), f"{name}:5": (None, 1)}
    write(tmp_path / TRAIN, ["joyless", None])
    assert [reason for *_, reason in reasons(rows_of(tmp_path))] == [
        "unknown label 'joyless'",
        "no label",
    ]
    write(tmp_path / TRAIN, [0.5, float("nan"), 1.0], names=["sad", "happy"])
    assert [reason for *_, reason in reasons(rows_of(tmp_path))] == [
        "label 0.5 is no whole number",
        "label nan is no whole number",
    ]


def test_rows_without_an_image_are_rejected_when_they_are_read(tmp_path: Path) -> None:
    images = [{"bytes": b"x", "path": None}, {"bytes": None, "path": "a.jpg"}, None]
    write(tmp_path / TRAIN, ["sad"] * 3, images=images)
    rows = [row for row in rows_of(tmp_path) if isinstance(row, SourceRow)]
    loads = [row.image for row in rows if not isinstance(row.image, Path)]
    assert loads[0]() == b"x"
    with pytest.raises(UnreadableImageError, match=r"no image, only its path 'a\.jpg'"):
        loads[1]()
    with pytest.raises(UnreadableImageError, match="the row has no image"):
        loads[2]()


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ((TRAIN, "validation-00000-of-00001-1a2b.parquet"), ["train", "validation"]),
        (("data/train.parquet", "data/test.parquet"), ["train", "validation"]),
        (("train.parquet", "valid.parquet", "test.parquet"), ["train", "validation"]),
        (("train_1.parquet", "train_2.parquet"), [None, None]),
        (("faces.parquet",), [None]),
    ],
)
def test_splits_by_name(tmp_path: Path, files: Sequence[str], splits: list[str | None]) -> None:
    for name in files:
        write(tmp_path / name, ["sad"])
    rows = rows_of(tmp_path)
    assert [split for split, _ in kept(rows).values()] == splits
    assert excluded(rows).total() == len(files) - len(splits)


def test_columns_of_other_names(tmp_path: Path) -> None:
    file = write(tmp_path / TRAIN, ["sad"], columns=("Photo", "Mood"))
    with pytest.raises(DataError, match=r"no column of images.*Photo, Mood.*--image-column"):
        rows_of(tmp_path)
    with pytest.raises(DataError, match=r"no column 'face'.*--image-column"):
        rows_of(tmp_path, image_column="face")
    assert found(tmp_path, image_column="photo", label_column="Mood") == ["Sadness"]
    with pytest.raises(DataError, match=r"'Mood' holds string, no encoded images"):
        rows_of(tmp_path, image_column="mood", label_column="mood")
    with pytest.raises(DataError, match=r"'Photo' holds struct.*--label-column"):
        rows_of(tmp_path, image_column="photo", label_column="photo")
    assert choose_layout(file, None, SourceOptions()) == "hub-parquet"


def test_images_as_plain_bytes(tmp_path: Path) -> None:
    write(tmp_path / TRAIN, ["sad"], images=[b"x"])
    row = rows_of(tmp_path)[0]
    assert isinstance(row, SourceRow)
    assert not isinstance(row.image, Path)
    assert row.image() == b"x"


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "data" / TRAIN, ["sad", "happy"] * 50)
    whole = file.read_bytes()
    for damaged in (b"", b"text", whole[:-100], whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{file} is damaged.*download it again"):
            prepare(tmp_path / "data", tmp_path / "shards")


def test_a_damaged_image_column_stops_and_is_named(tmp_path: Path) -> None:
    images = [{"bytes": random.Random(row).randbytes(999), "path": None} for row in range(50)]
    source = tmp_path / "source"
    file = write(source / TRAIN, ["sad", "happy"] * 25, images=images)
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    data = bytearray(file.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + 40] = b"\xff" * 40
    file.write_bytes(data)
    rows = rows_of(source)
    assert len(kept(rows)) == 50, "the labels are whole, and scanning reads nothing else"
    with pytest.raises(DataError, match=f"{file} is damaged"):
        prepare(source, tmp_path / "shards", max_rejected=1.0)


def test_images_in_any_order_and_from_several_threads(tmp_path: Path) -> None:
    file = write(tmp_path / TRAIN, ["sad"] * 500, group=230)
    places = [(row // 230, row % 230) for row in range(500)]
    order = list(range(500))
    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            loads = [
                pickle.loads(pickle.dumps(ParquetImage(file, *places[row], "image")))
                for row in order
            ]
            assert list(pool.map(lambda load: load(), loads)) == [b"%d" % row for row in order]
            random.Random(1).shuffle(order)
    assert len({repr(load) for load in loads}) == 500
    with pytest.raises(DataError, match="row group 2 ends at row 40"):
        ParquetImage(file, 2, 40, "image")()


def test_another_file_of_the_same_name_is_read_anew(tmp_path: Path) -> None:
    for text in (b"old", b"new"):
        file = write(tmp_path / TRAIN, ["sad"], images=[{"bytes": text, "path": None}])
        assert ParquetImage(file, 0, 0, "image")() == text


@pytest.mark.slow
def test_a_large_row_group_is_never_held_whole(tmp_path: Path) -> None:
    num_rows, image_bytes = 8000, 6_000
    images = [{"bytes": random.Random(row).randbytes(image_bytes)} for row in range(num_rows)]
    file = write(tmp_path / TRAIN, ["sad"] * num_rows, images=images, group=num_rows)
    before, held = pa.total_allocated_bytes(), 0
    # What is held is a page or two, of 1024 rows each as Arrow writes them.
    for row in range(0, num_rows, 7):
        assert ParquetImage(file, 0, row, "image")() == images[row]["bytes"]
        held = max(held, pa.total_allocated_bytes() - before)
    assert held < num_rows * image_bytes / 3


def test_links_are_followed_within_the_hubs_cache_only(tmp_path: Path) -> None:
    repository = tmp_path / "datasets--a--faces"
    write(repository / "blobs" / "1a2b", ["sad"])
    snapshot = repository / "snapshots" / "c0ffee"
    (snapshot / "data").mkdir(parents=True)
    (snapshot / "data" / TRAIN).symlink_to("../../../blobs/1a2b")
    assert kept(rows_of(snapshot)) == {f"data/{TRAIN}:0": (None, 2)}
    write(tmp_path / "elsewhere.parquet", ["sad"])
    (snapshot / "data" / "test.parquet").symlink_to(tmp_path / "elsewhere.parquet")
    rows = rows_of(snapshot)
    assert len(kept(rows)) == 1
    assert reasons(rows) == [("data/test.parquet", None, "a link leads out of the source")]
