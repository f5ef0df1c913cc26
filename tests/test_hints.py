"""A source that can't be read as it is: what it is said to be, and what to do."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.errors import DataError
from datasets.prepare import prepare
from datasets.sources import SourceOptions, choose_layout
from datasets.synthetic import Request, write_layout
from tests.layout_checks import kept, reasons, remarks, rows_of
from tests.shard_data import csv_source, write_csv, write_picture

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


def drawn(path: Path, layout: str) -> None:
    """A data set of a few small images, without faults."""
    write_layout(path, layout, Request(train=8, validation=8, size=16, quirks=False))


def refused(path: Path, layout: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        choose_layout(path, layout, SourceOptions())
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("faces.zip", "unzip {0}/faces.zip -d {0}/faces"),
        ("faces.tar.gz", "mkdir {0}/faces && tar -xf {0}/faces.tar.gz -C {0}/faces"),
        ("faces.TGZ", "tar -xf {0}/faces.TGZ -C {0}/faces"),
        ("faces.tar", "tar -xf {0}/faces.tar -C {0}/faces"),
        ("my faces.rar", "unrar x '{0}/my faces.rar' '{0}/my faces'/"),
        ("faces.7z", "7z x {0}/faces.7z -o{0}/faces"),
        ("origin.7z.001", "7z x {0}/origin.7z.001 -o{0}/origin"),
    ],
)
def test_an_archive_is_to_be_unpacked(tmp_path: Path, name: str, command: str) -> None:
    (tmp_path / name).write_bytes(b"PK")
    for text in (refused(tmp_path / name), refused(tmp_path), refused(tmp_path / name, "yolo")):
        assert "unpack it first" in text
        assert command.format(tmp_path) in text
    (tmp_path / "readme.txt").write_text("what this is")
    assert f"{tmp_path} holds an archive ({name})" in refused(tmp_path)


def test_an_archive_without_a_name_that_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "download", "w") as archive:
        archive.writestr("happy/a.jpg", b"x")
    assert "download-unpacked" in refused(tmp_path / "download")


def test_an_archive_beside_what_is_unpacked_is_no_matter(tmp_path: Path) -> None:
    write_picture(tmp_path / "happy" / "a.png", 1)
    (tmp_path / "faces.zip").write_bytes(b"PK")
    assert choose_layout(tmp_path, None, SourceOptions()) == "class-folders"


@pytest.mark.parametrize("name", ["fer2013.csv", "train.parquet", "face.jpg", "label/label.lst"])
def test_a_source_of_git_lfs_pointers_is_to_be_fetched(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(POINTER)
    assert "git lfs pull" in refused(file)
    assert str(file) in refused(file)
    with pytest.raises(DataError, match=r"is a Git LFS pointer, .*: run git lfs pull in "):
        rows_of(tmp_path)


def labels_csv(root: Path) -> Path:
    write_picture(root / "happy" / "0.png", 0)
    return root / "labels.csv"


def legend(root: Path) -> Path:
    return csv_source(root, per_class=1) / "legend.csv"


def ferplus(root: Path) -> Path:
    write_csv(root / "fer2013.csv", [("emotion", "pixels", "Usage"), ("0", "1 2", "Training")])
    return root / "fer2013new.csv"


def raf(root: Path) -> Path:
    return root / "basic" / "EmoLabel" / "list_patition_label.txt"


def affectnet(root: Path) -> Path:
    drawn(root, "affectnet-2017")
    return root / "Manually_Annotated_file_lists" / "validation.csv"


def names_of_yolo(root: Path) -> Path:
    drawn(root, "yolo")
    return root / "data.yaml"


@pytest.mark.parametrize("layout", [labels_csv, legend, ferplus, raf, affectnet, names_of_yolo])
def test_a_list_that_is_a_pointer_is_never_passed_over(
    tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    """Without it other labels would be taken, such as the folders' for those of labels.csv."""
    file = layout(tmp_path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(POINTER)
    with pytest.raises(DataError, match=rf"{file.name} is a Git LFS pointer, .*git lfs pull"):
        rows_of(tmp_path)


def test_images_that_are_pointers_are_rejected_as_such(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "source")
    for number in range(3):
        (source / "images" / f"{number}_0.png").write_text(POINTER)
    with pytest.raises(DataError, match=r"0_0\.png.*a Git LFS pointer, .*git lfs pull"):
        prepare(source, tmp_path / "shards", image_size=24)


def test_annotations_that_are_pointers_are_rejected_as_such(tmp_path: Path) -> None:
    for number, split in enumerate(("train_set", "val_set")):
        write_picture(tmp_path / split / "images" / f"{number}.png", number)
        folder = tmp_path / split / "annotations"
        folder.mkdir()
        np.save(folder / f"{number}_exp.npy", np.array("1"))
    (tmp_path / "train_set" / "annotations" / "0_exp.npy").write_text(POINTER)
    [(name, _, reason)] = reasons(rows_of(tmp_path))
    assert name == "train_set/images/0.png"
    assert reason.startswith("annotation 0_exp.npy: a Git LFS pointer")


def test_one_parquet_file_that_is_a_pointer_is_named(tmp_path: Path) -> None:
    table = pa.table({"image": [{"bytes": b"x", "path": None}], "label": ["happy"]})
    pq.write_table(table, tmp_path / "train-0.parquet")
    (tmp_path / "validation-0.parquet").write_text(POINTER)
    with pytest.raises(DataError, match=r"validation-0\.parquet is a Git LFS pointer"):
        rows_of(tmp_path)


def test_fer2013_without_its_extension(tmp_path: Path) -> None:
    write_csv(tmp_path / "fer2013", [("emotion", "pixels", "Usage"), ("0", "1 2", "Training")])
    for path in (tmp_path, tmp_path / "fer2013"):
        assert "is FER2013's CSV under another name: rename it to fer2013.csv" in refused(path)
    (tmp_path / "fer2013").rename(tmp_path / "data.csv")
    assert f"{tmp_path}/data.csv is FER2013's CSV under another name: give it" in refused(tmp_path)


def test_a_folder_too_high(tmp_path: Path) -> None:
    drawn(tmp_path / "archive" / "CK+48", "class-folders")
    (tmp_path / "archive" / "readme.txt").write_text("what this is")
    for path in (tmp_path / "archive", tmp_path):
        text = refused(path)
        assert "is a folder too high: give " in text
        assert f"{tmp_path}/archive/CK+48, which looks like class-folders" in text
    drawn(tmp_path / "archive" / "other", "yolo")
    text = refused(tmp_path)
    assert "holds several sources: give one of" in text
    assert "CK+48 (class-folders)" in text
    assert "other (yolo)" in text


@pytest.mark.parametrize(
    ("layout", "folder"),
    [
        ("affectnet-aligned", "train_set"),
        ("affectnet-aligned", "train_set/images"),
        ("yolo", "train"),
        ("yolo", "train/images"),
        ("ferplus-tree", "FER2013Train"),
        ("ferplus-tree", "FER2013Train/label.csv"),
        ("expw", "image/origin"),
        ("raf-db", "basic/Image"),
        ("class-folders", "train/Happiness"),
    ],
)
def test_a_folder_too_deep(tmp_path: Path, layout: str, folder: str) -> None:
    source = tmp_path / "source"
    drawn(source, layout)
    text = refused(source / folder)
    assert f"{source / folder} is a " in text
    parts = [source, *reversed((source / folder).parents[: folder.count("/")])]
    assert any(f"give {part}, which looks like {layout}" in text for part in parts)


def test_what_lies_beside_a_source_is_no_part_of_it(tmp_path: Path) -> None:
    drawn(tmp_path / "affectnet", "affectnet-aligned")
    write_picture(tmp_path / "happy" / "a.png", 0)
    write_picture(tmp_path / "holiday" / "a.png", 0)
    assert "nothing that says what they show" in refused(tmp_path / "holiday")
    shutil.rmtree(tmp_path / "affectnet")
    assert "nothing that says what they show" in refused(tmp_path / "holiday")
    assert f"give {tmp_path}, which looks like class-folders" in refused(tmp_path / "happy")


def test_a_folder_above_that_would_be_read_without_this_one_is_not_named(tmp_path: Path) -> None:
    for number in range(20):
        write_picture(tmp_path / f"KA.AN1.{number}.png", number)
    write_picture(tmp_path / "more" / "a.png", 0)
    assert "nothing that says what they show" in refused(tmp_path / "more")


def test_images_without_labels(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / f"IMG_{number}.png", number)
    write_picture(tmp_path / "more" / "a.png", 4)
    text = refused(tmp_path)
    assert f"{tmp_path} has 4 images, and nothing that says what they show" in text
    assert "folders named by their expressions" in text


def test_a_list_of_other_columns_is_shown_with_them(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 0)
    write_csv(tmp_path / "list.csv", [("who", "what"), ("a.png", "happy")])
    text = refused(tmp_path)
    assert "list.csv has no columns of images and labels" in text
    assert "it has who, what: name two with --csv list.csv --image-column" in text
    assert kept(rows_of(tmp_path, csv="list.csv", image_column="who", label_column="what"))


def test_class_folders_that_are_empty(tmp_path: Path) -> None:
    for name in ("train/happy", "train/sad", "val/happy", "val/sad"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "val" / "sad" / "Thumbs.db").write_bytes(b"left here")
    with pytest.raises(DataError, match=r"class folders \('train/happy', .*all of them are empty"):
        rows_of(tmp_path)
    write_picture(tmp_path / "train" / "happy" / "a.png", 0)
    found = rows_of(tmp_path)
    assert set(kept(found)) == {"train/happy/a.png"}
    assert remarks(found) == {
        f"class folder '{name}' is empty": 1 for name in ("train/sad", "val/happy", "val/sad")
    }


def test_folders_without_any_file(tmp_path: Path) -> None:
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
    assert "holds folders, but no file in any of them" in refused(tmp_path)


@pytest.mark.parametrize("name", ["Automatically_annotated.csv", "automatically_annotated.csv"])
@pytest.mark.parametrize("folder", ["", "Automatically_annotated_file_lists", "a"])
def test_affectnets_automatic_list_alone_is_not_read(
    tmp_path: Path, name: str, folder: str
) -> None:
    header = ("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height")
    more = ("facial_landmarks", "expression", "valence", "arousal")
    write_csv(tmp_path / folder / name, [(*header, *more)])
    write_picture(tmp_path / "Automatically_Annotated_Images" / "1" / "a.png", 0)
    text = refused(tmp_path)
    assert f"{name} is AffectNet's automatic list: its labels were guessed by a network" in text
    assert "training.csv and validation.csv" in text


def test_affectnets_photographs_without_lists(tmp_path: Path) -> None:
    write_picture(tmp_path / "Manually_Annotated_Images" / "1" / "a.png", 0)
    assert "has AffectNet's photographs, but the lists" in refused(tmp_path)


def fraction_gone(source: Path, layout: str, part: float) -> None:
    images = sorted(
        path for path in source.rglob("*") if path.suffix.casefold() in (".jpg", ".jpeg", ".png")
    )
    for path in images[: round(len(images) * part)]:
        path.unlink()
    assert choose_layout(source, None, SourceOptions()) == layout


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout", ["affectnet-2017", "raf-db", "ferplus-tree", "expw", "csv-folder", "class-folders"]
)
def test_a_list_of_another_copy_of_the_images_is_said_to_be_one(
    tmp_path: Path, layout: str
) -> None:
    source, dest = tmp_path / "source", tmp_path / "shards"
    if layout == "csv-folder":
        csv_source(source)
    elif layout == "class-folders":
        names = [f"happy/{number}.png" for number in range(20)]
        for number, name in enumerate([*names, "sad/a.png", "sad/b.png"]):
            write_picture(source / name, number)
        write_csv(source / "labels.csv", [("pth", "label"), *((name, "happy") for name in names)])
    else:
        drawn(source, layout)
    fraction_gone(source, layout, 0.6)
    with pytest.raises(DataError) as caught:
        prepare(source, dest, image_size=24)
    first, second, *_ = str(caught.value).splitlines()
    assert first.startswith("this list is of another copy of the images: ")
    gone, listed = (int(word) for word in first.split() if word.isdigit())
    assert first.endswith(f"{gone} of {listed} files that it names are not in SOURCE.")
    assert 0.5 < gone / listed < 0.8
    assert "rows can't be used" in second
    assert "no such file" in str(caught.value)


def test_a_list_that_lacks_a_few_images_is_of_this_copy(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "source")
    fraction_gone(source, "csv-folder", 0.4)
    with pytest.raises(DataError, match=r"^13 of 32 rows can't be used"):
        prepare(source, tmp_path / "shards", image_size=24)
