"""The source's split is the split: by folder, file, column or path, and nothing goes uncounted."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.errors import DataError
from datasets.manifest import read_manifest
from datasets.prepare import prepare
from datasets.sources.leftovers import LOOSE
from datasets.sources.split_names import kind_of
from tests.layout_checks import excluded, kept, reasons, rows_of
from tests.shard_data import write_csv, write_picture


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("train", "train Training TRAIN train_set trainset TrainSet train-images FER2013Train"),
        ("validation", "val VALID validation val_images imagesVal dev eval PublicTest val_set"),
        ("validation", "public_test FER2013Valid evaluation validation-faces"),
        ("test", "test Testing test_set PrivateTest private-test FER2013Test testset holdout"),
        (None, "train_val trainval extra happy contest raw attrain validity tested split"),
    ],
)
def test_what_a_name_means(kind: str | None, names: str) -> None:
    assert {name: kind_of(name) for name in names.split()} == dict.fromkeys(names.split(), kind)


def splits(rows) -> dict[str, str | None]:
    return {name: split for name, (split, _) in kept(rows).items()}


def class_folders(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        for expression in ("happy", "sad"):
            write_picture(root / name / expression / f"{number}.png", number)


def test_fer2013_as_folders(tmp_path: Path) -> None:
    class_folders(tmp_path, "Training", "PublicTest", "PrivateTest")
    rows = rows_of(tmp_path)
    assert set(splits(rows).values()) == {"train", "validation"}
    assert splits(rows)["PublicTest/happy/1.png"] == "validation"
    assert excluded(rows) == {"test split": 2}


def test_what_lies_beside_the_splits_or_loose_is_counted_by_name(tmp_path: Path) -> None:
    class_folders(tmp_path, "train", "val", "synthetic")
    write_picture(tmp_path / "train" / "loose.png", 1)
    write_picture(tmp_path / "cover.jpg", 1)
    (tmp_path / "readme.txt").write_text("no image")
    rows = rows_of(tmp_path)
    assert {name.split("/")[0] for name in kept(rows)} == {"train", "val"}
    beside = "in 'synthetic', which names no split beside those that do"
    assert excluded(rows) == {beside: 2, LOOSE: 2}


def test_class_folders_at_two_levels_are_refused(tmp_path: Path) -> None:
    class_folders(tmp_path, "test", ".")
    with pytest.raises(DataError, match="both at its top and in test"):
        rows_of(tmp_path)


def test_a_set_without_training_by_name_is_read_as_it_is_split(tmp_path: Path) -> None:
    class_folders(tmp_path, "dev", "test")
    rows = rows_of(tmp_path)
    assert splits(rows) == {"dev/happy/0.png": None, "dev/sad/0.png": None}
    assert excluded(rows) == {"test split": 2}


def csv_list(root: Path, column: str | None, rows: list[tuple[str, str]]) -> None:
    """Images with the word of their split, in a column or only in their paths."""
    header = ("image", "label", *([column] if column else []))
    lines = [(name, "happy", word) if column else (name, "happy") for name, word in rows]
    write_csv(root / "list.csv", [header, *lines])
    for number, (name, _) in enumerate(rows):
        write_picture(root / name, number)


@pytest.mark.parametrize("column", ["split", "Usage", "SET", " subset "])
def test_a_column_of_a_csv_is_the_split(tmp_path: Path, column: str) -> None:
    words = ["Training", "training ", "PublicTest", "PrivateTest"]
    csv_list(tmp_path, column, [(f"{n}.png", word) for n, word in enumerate(words)])
    rows = rows_of(tmp_path)
    assert splits(rows) == {"0.png": "train", "1.png": "train", "2.png": "validation"}
    assert excluded(rows) == {"test split": 1}


def test_a_word_that_names_no_split_is_counted_by_name(tmp_path: Path) -> None:
    csv_list(tmp_path, "split", [("0.png", "train"), ("1.png", "val"), ("2.png", "spare")])
    rows = rows_of(tmp_path)
    assert splits(rows) == {"0.png": "train", "1.png": "validation"}
    assert excluded(rows) == {"in 'spare', which names no split beside those that do": 1}


def test_a_column_of_something_else_is_no_split(tmp_path: Path) -> None:
    csv_list(tmp_path, "set", [("0.png", "batch 1"), ("1.png", "batch 2")])
    assert set(splits(rows_of(tmp_path)).values()) == {None}
    words = ["train", *(f"person {n}" for n in range(30))]
    csv_list(tmp_path, "set", [(f"{n}.png", word) for n, word in enumerate(words)])
    with pytest.raises(DataError, match=r"column 'set' names splits \(train\) and 30 other"):
        rows_of(tmp_path)


def test_folders_in_the_paths_of_a_csv_are_the_split(tmp_path: Path) -> None:
    names = ["train/a.png", "data/val/b.png", "images/test/c.png", "d.png"]
    csv_list(tmp_path, None, [(name, "") for name in names])
    rows = rows_of(tmp_path)
    assert splits(rows) == {"train/a.png": "train", "data/val/b.png": "validation"}
    assert excluded(rows) == {
        "test split": 1,
        "without a split, beside those that have one": 1,
    }
    csv_list(tmp_path, None, [("train/a.png", ""), ("train/b.png", "")])
    assert set(splits(rows_of(tmp_path)).values()) == {None}


def test_the_column_is_before_the_paths(tmp_path: Path) -> None:
    csv_list(tmp_path, "split", [("train/a.png", "val"), ("val/b.png", "train")])
    assert splits(rows_of(tmp_path)) == {"train/a.png": "validation", "val/b.png": "train"}


def test_a_csv_with_a_split_is_prepared_as_it_says(tmp_path: Path) -> None:
    words = ["val", "val", "train"] * 4
    csv_list(tmp_path / "faces", "split", [(f"{n}.png", word) for n, word in enumerate(words)])
    prepare(tmp_path / "faces", tmp_path / "shards", image_size=24)
    manifest = read_manifest(tmp_path / "shards")
    assert (manifest.rows("train"), manifest.rows("validation")) == (4, 8)
    assert manifest.division == "the source's own"


def parquet(root: Path, name: str, words: list[str | None] | None, rows: int = 2) -> None:
    table = {"image": [b"x"] * rows, "label": ["happy"] * rows}
    if words is not None:
        table["split"] = words
    pq.write_table(pa.table(table), root / name)


def test_a_column_of_parquet_is_the_split(tmp_path: Path) -> None:
    parquet(tmp_path, "faces.parquet", ["train", "valid", "test", None], rows=4)
    rows = rows_of(tmp_path)
    assert splits(rows) == {"faces.parquet:0": "train", "faces.parquet:1": "validation"}
    assert excluded(rows) == {
        "test split": 1,
        "without a split, beside those that have one": 1,
    }


def test_a_parquet_file_beside_those_of_the_splits_is_counted(tmp_path: Path) -> None:
    for name in ("train-0.parquet", "validation-0.parquet", "extra-0.parquet"):
        parquet(tmp_path, name, None)
    rows = rows_of(tmp_path)
    assert set(splits(rows).values()) == {"train", "validation"}
    assert excluded(rows) == {"in 'extra-0', which names no split beside those that do": 2}


def test_a_yolo_folder_beside_the_splits_is_counted(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [happy]\n")
    for name in ("train", "valid", "hard"):
        write_picture(tmp_path / name / "images" / "a.png", 1)
        (tmp_path / name / "labels").mkdir()
        (tmp_path / name / "labels" / "a.txt").write_text("0 0.5 0.5 1 1")
    rows = rows_of(tmp_path)
    assert set(splits(rows).values()) == {"train", "validation"}
    assert excluded(rows) == {"in 'hard', which names no split beside those that do": 1}
    assert reasons(rows) == []


def lists(root: Path, folders: bool, **names: list[str]) -> None:
    """A CSV for each keyword; its images lie in a folder of the split, or beside each other."""
    for name, images in names.items():
        write_csv(root / f"{name}.csv", [("image", "label"), *((one, "happy") for one in images)])
        for number, one in enumerate(images):
            write_picture(root / (name.split("_")[0] if folders else "images") / one, number)


def test_a_csv_for_each_split(tmp_path: Path) -> None:
    lists(tmp_path, False, train_labels=["a.png", "b.png"], val_labels=["c.png"])
    assert splits(rows_of(tmp_path)) == {
        "a.png": "train",
        "b.png": "train",
        "c.png": "validation",
    }
    lists(tmp_path, False, test=["d.png"])
    rows = rows_of(tmp_path)
    assert "d.png" not in splits(rows)
    assert excluded(rows) == {"test split": 1}


def test_a_csv_for_each_split_with_equal_names_in_their_folders(tmp_path: Path) -> None:
    lists(tmp_path, True, train=["1.png", "2.png"], test=["1.png"])
    rows = rows_of(tmp_path)
    assert splits(rows) == {
        "train/1.png": "train",
        "train/2.png": "train",
        "test/1.png": "validation",
    }
    assert reasons(rows) == []


def test_an_image_that_two_lists_name_is_rejected_once(tmp_path: Path) -> None:
    lists(tmp_path, False, train=["a.png", "b.png"], val=["b.png", "c.png"])
    rows = rows_of(tmp_path)
    assert splits(rows) == {"a.png": "train", "b.png": "train", "c.png": "validation"}
    assert reasons(rows) == [("b.png", 2, "line 3 of train.csv names this image already")]


def test_lists_that_do_not_each_name_a_split_are_asked_for(tmp_path: Path) -> None:
    for other in ("train_2", "all"):
        lists(tmp_path / other, False, train=["a.png"], **{other: ["b.png"]})
        with pytest.raises(DataError, match="not each names another split: name one with --csv"):
            rows_of(tmp_path / other)
        assert splits(rows_of(tmp_path / other, csv="train.csv")) == {"a.png": None}


def test_the_names_of_parquet_files_may_have_that_of_the_set(tmp_path: Path) -> None:
    for names in (("fer2013_train", "fer2013_test"), ("x-train-00000", "x-validation-00000-of-1")):
        root = tmp_path / names[0]
        root.mkdir()
        for name in names:
            parquet(root, f"{name}.parquet", None)
        assert {name.split(":")[0]: split for name, split in splits(rows_of(root)).items()} == {
            f"{names[0]}.parquet": "train",
            f"{names[1]}.parquet": "validation",
        }


def test_numbers_of_a_parquet_column_have_the_names_of_the_file(tmp_path: Path) -> None:
    info = '{"info": {"features": {"split": {"names": ["val", "train"], "_type": "ClassLabel"}}}}'
    table = pa.table({"image": [b"x"] * 3, "label": ["happy"] * 3, "split": [1, 0, 1]})
    pq.write_table(table.replace_schema_metadata({"huggingface": info}), tmp_path / "a.parquet")
    assert list(splits(rows_of(tmp_path)).values()) == ["train", "validation", "train"]


@pytest.mark.parametrize("words", [["0", "1", "2"], ["tr", "te", "tr"]])
def test_a_column_of_splits_in_other_words_is_refused(tmp_path: Path, words: list[str]) -> None:
    csv_list(tmp_path, "partition", [(f"{n}.png", word) for n, word in enumerate(words)])
    with pytest.raises(DataError, match=r"'partition' holds .*write train, validation or test"):
        rows_of(tmp_path)


def test_the_first_column_that_names_splits_is_taken(tmp_path: Path) -> None:
    rows = [("a.png", "joy", "0", "Training"), ("b.png", "joy", "1", "PublicTest")]
    write_csv(tmp_path / "list.csv", [("image", "label", "split", "usage"), *rows])
    for name, *_ in rows:
        write_picture(tmp_path / name, 0)
    assert splits(rows_of(tmp_path)) == {"a.png": "train", "b.png": "validation"}


def test_a_column_of_lists_is_no_split(tmp_path: Path) -> None:
    table = pa.table({"image": [b"x"], "label": ["happy"], "set": [[1, 2]]})
    pq.write_table(table, tmp_path / "faces.parquet")
    assert list(splits(rows_of(tmp_path)).values()) == [None]


def test_a_test_part_without_labels_is_left_out(tmp_path: Path) -> None:
    rows = [("a.png", "joy", "train"), ("b.png", "joy", "val"), ("c.png", "", "test")]
    write_csv(tmp_path / "list.csv", [("image", "label", "split"), *rows])
    for name, *_ in rows:
        write_picture(tmp_path / name, 0)
    found = rows_of(tmp_path)
    assert (excluded(found), reasons(found)) == ({"test split": 1}, [])


@pytest.mark.parametrize("below", ["x.png", "images/happy/x.png"])
def test_a_folder_of_a_split_that_is_laid_out_otherwise_is_refused(tmp_path: Path, below: str):
    class_folders(tmp_path, "train")
    write_picture(tmp_path / "val" / below, 1)
    with pytest.raises(DataError, match="val is named as a split, but its images are not laid out"):
        rows_of(tmp_path)


def test_a_test_set_alone_beside_a_misspelt_folder_is_refused(tmp_path: Path) -> None:
    class_folders(tmp_path, "Trainning", "test")
    with pytest.raises(DataError, match="test is the only folder that names a split"):
        rows_of(tmp_path)


@pytest.mark.parametrize("names", [("Trainning", "val"), ("train", "vald")])
def test_a_misspelt_split_beside_the_only_other_is_refused(tmp_path: Path, names: tuple[str, str]):
    class_folders(tmp_path, *names)
    with pytest.raises(DataError, match="is the only folder that names a split, and beside it"):
        rows_of(tmp_path)
    root = tmp_path / "parquet"
    root.mkdir()
    for name in names:
        parquet(root, f"{name}.parquet", None)
    with pytest.raises(DataError, match="of the Parquet files only those of"):
        rows_of(root)


def test_a_part_of_parquet_files_that_is_missing_is_named(tmp_path: Path) -> None:
    for name in ("train-00001-of-00002", "validation-00000-of-00001"):
        parquet(tmp_path, f"{name}.parquet", None)
    with pytest.raises(DataError, match=r"has 1 of 2 files train-.*train-00000-of-00002 is"):
        rows_of(tmp_path)


@pytest.mark.parametrize("packed", ["train.zip", "val_images.tar.gz"])
def test_a_split_that_is_not_unpacked_is_refused(tmp_path: Path, packed: str) -> None:
    class_folders(tmp_path, "val" if packed.startswith("train") else "train")
    (tmp_path / packed).write_bytes(b"PK\x03\x04" if packed.endswith("zip") else b"\x1f\x8b")
    with pytest.raises(DataError, match="is an archive, named as a split: unpack it first"):
        rows_of(tmp_path)
    with pytest.raises(DataError, match="is an archive, named as a split: unpack it first"):
        rows_of(tmp_path, "class-folders")
    class_folders(tmp_path, "train", "val")  # it is unpacked now, and still there
    assert set(splits(rows_of(tmp_path)).values()) == {"train", "validation"}


def test_a_list_of_a_split_that_is_a_pointer_is_refused(tmp_path: Path) -> None:
    lists(tmp_path, False, train=["a.png"])
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (tmp_path / "val.csv").write_text(text)
    with pytest.raises(DataError, match=r"val\.csv.*git lfs pull"):
        rows_of(tmp_path)


def test_yolo_images_without_their_labels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [happy]\n")
    write_picture(tmp_path / "train" / "images" / "a.png", 1)
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train" / "labels" / "a.txt").write_text("0 0.5 0.5 1 1")
    write_picture(tmp_path / "valid" / "images" / "b.png", 1)
    with pytest.raises(DataError, match="valid is named as a split"):
        rows_of(tmp_path)


@pytest.mark.parametrize("below", ["happy/more", "extra"])
def test_a_folder_that_can_not_be_read_is_named(tmp_path: Path, monkeypatch, below: str) -> None:
    class_folders(tmp_path, "train", "val")
    denied = tmp_path / ("train" if "/" in below else "") / below
    denied.mkdir()
    scandir = os.scandir

    def refusing(path: str) -> Iterator[os.DirEntry[str]]:  # root may read all folders
        if Path(path) == denied:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=rf"can't read or write {denied}: Permission denied"):
        prepare(tmp_path, tmp_path.parent / f"{tmp_path.name}-shards", image_size=24)


@pytest.mark.parametrize("column", ["fold", "data_type"])
def test_a_column_of_nothing_but_splits_is_one_whatever_its_name(tmp_path: Path, column: str):
    csv_list(tmp_path, column, [("a.png", "train"), ("b.png", "val"), ("c.png", "train")])
    assert splits(rows_of(tmp_path)) == {"a.png": "train", "b.png": "validation", "c.png": "train"}
    csv_list(tmp_path, column, [("a.png", "train"), ("b.png", "val"), ("c.png", "mine")])
    assert set(splits(rows_of(tmp_path)).values()) == {None}


def test_splits_in_class_folders_are_the_split(tmp_path: Path) -> None:
    for number, name in enumerate(("happy/train/a", "happy/val/b", "sad/train/c", "sad/test/d")):
        write_picture(tmp_path / f"{name}.png", number)
    (tmp_path / "sad" / "notes.txt").write_text("no image")
    rows = rows_of(tmp_path)
    assert [name for name, *_ in reasons(rows)] == ["sad/notes.txt"]
    assert splits(rows) == {
        "happy/train/a.png": "train",
        "happy/val/b.png": "validation",
        "sad/train/c.png": "train",
    }
    assert excluded(rows) == {"test split": 1}
    write_picture(tmp_path / "sad" / "e.png", 5)
    with pytest.raises(DataError, match=r"sad/e\.png is in none of them"):
        rows_of(tmp_path)
