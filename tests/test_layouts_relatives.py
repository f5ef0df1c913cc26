"""FER+'s tree, ExpW, JAFFE and KDEF by their names, CK+48, and lists of AffectNet's numbers."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from datasets.errors import DataError
from datasets.images import decode_rgb
from datasets.labels import EXPRESSIONS
from datasets.prepare import prepare
from datasets.shards import read_checked
from datasets.sources import SOURCES, Box, SourceOptions, SourceRow, choose_layout
from datasets.sources.ferplus_tree import UNLISTED
from datasets.synthetic import Request
from tests.layout_checks import (
    SIZE,
    check_round_trip,
    drawn_layout,
    excluded,
    kept,
    reasons,
    rows_of,
)
from tests.shard_data import files_of, write_csv, write_picture

NEW = ["ferplus-tree", "expw", "named-files", "aff-wild2"]
BOX = "(0, 0, 48, 48)"
ONE_HAPPY = (1, 9, 0, 0, 0, 0, 0, 0, 0, 0)


def labels(path: Path, **options: object) -> dict[str, str]:
    return {name: EXPRESSIONS[code] for name, (_, code) in kept(rows_of(path, **options)).items()}


def detected(path: Path) -> str:
    return choose_layout(path, None, SourceOptions())


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [True, False])
@pytest.mark.parametrize("layout", NEW)
def test_what_is_written_is_what_is_prepared(tmp_path: Path, layout: str, quirks: bool) -> None:
    truth = check_round_trip(tmp_path, layout, quirks)
    classes = Counter(EXPRESSIONS[one.label] for one in truth.kept.values())
    lacking = set() if layout == "ferplus-tree" else {"Contempt"}
    assert set(EXPRESSIONS) - set(classes) == lacking


@pytest.mark.slow
@pytest.mark.parametrize("layout", NEW)
def test_the_same_request_writes_the_same_bytes(tmp_path: Path, layout: str) -> None:
    for name in ("one", "two"):
        drawn_layout(tmp_path / name, layout)
    drawn_layout(tmp_path / "other", layout, seed=4)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert files_of(tmp_path / "one") != files_of(tmp_path / "other")


def tree(root: Path, *splits: str, votes: tuple[object, ...] = ONE_HAPPY, box: str = BOX) -> None:
    """FER+'s tree with one image in each split."""
    for number, split in enumerate(splits):
        write_picture(root / split / f"fer{number}.png", number, 48)
        write_csv(root / split / "label.csv", [(f"fer{number}.png", box, *map(str, votes))])


def test_the_splits_of_ferplus_tree(tmp_path: Path) -> None:
    tree(tmp_path, "FER2013Train", "FER2013Valid", "FER2013Test")
    assert detected(tmp_path) == "ferplus-tree"
    rows = rows_of(tmp_path)
    assert kept(rows) == {
        "FER2013Train/fer0.png": ("train", 1),
        "FER2013Valid/fer1.png": ("validation", 1),
    }
    assert excluded(rows) == {"test split": 1}


def test_ferplus_tree_without_valid_has_its_test_split(tmp_path: Path) -> None:
    tree(tmp_path / "data", "FER2013Train", "FER2013Test")
    assert kept(rows_of(tmp_path))["data/FER2013Test/fer1.png"] == ("validation", 1)


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ((10, 0, 0, 0, 0, 0, 0, 0, 0, 0), "Neutral"),
        ((0, 10, 0, 0, 0, 0, 0, 0, 0, 0), "Happiness"),
        ((0, 0, 6, 0, 0, 0, 4, 0, 0, 0), "Surprise"),
        ((0, 0, 0, 4, 3, 3, 0, 0, 0, 0), "Sadness"),
        ((0, 0, 0, 0, 5, 0, 0, 4, 1, 0), "Anger"),
        ((0, 0, 0, 0, 0, 5, 0, 4, 1, 0), "Disgust"),
        ((0, 0, 0, 0, 0, 0, 5, 4, 1, 0), "Fear"),
        ((0, 0, 0, 0, 0, 0, 0, 4, 1, 0), "Contempt"),
        ((4, 0, 0, 0, 1, 0, 0, 4, 1, 0), "Uncertain"),
        ((0, 0, 0, 0, 0, 0, 0, 4, 6, 0), "Uncertain"),
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 2), "No-Face"),
    ],
)
def test_votes_mean_the_same_in_both_of_ferplus_layouts(
    tmp_path: Path, votes: tuple[int, ...], label: str
) -> None:
    trees, table = tmp_path / "tree", tmp_path / "table"
    tree(trees, "FER2013Train", votes=votes)
    pixels = " ".join(["7"] * 48 * 48)
    write_csv(table / "fer2013.csv", [("emotion", "pixels", "Usage"), ("0", pixels, "Training")])
    names = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
    header = ("Usage", "Image name", *names, "unknown", "NF")
    write_csv(table / "fer2013new.csv", [header, ("Training", "fer0.png", *map(str, votes))])
    for path in (trees, table):
        rows = rows_of(path)
        found = [EXPRESSIONS[code] for _, code in kept(rows).values()]
        assert found + list(excluded(rows)) == [label]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (("fer0.png", BOX, *"1900000000"), "line 1 names this image already"),
        (("gone.png", BOX, *"1900000000"), "no such file"),
        (("../fer0.png", BOX, *"1900000000"), "image path leads out of the source"),
        (("b.png", BOX, *"190000000", "x"), "the votes are not all whole numbers"),
        (("b.png", BOX, *"190000000", "-1"), "the votes are not all whole numbers"),
        (("b.png", "(0, 0, 48)", *"1900000000"), "'(0, 0, 48)' is no box (left, top, right, bot"),
        (("b.png", "(9, 0, 9, 9)", *"1900000000"), "the face box has no size: 0x9 pixels"),
        (("b.png", BOX, *"190000000"), "the line has 11 column(s), not 12"),
    ],
)
def test_broken_lines_of_ferplus_tree(tmp_path: Path, line: tuple[str, ...], reason: str) -> None:
    tree(tmp_path, "FER2013Train", "FER2013Valid")
    folder = tmp_path / "FER2013Train"
    write_picture(folder / "b.png", 7, 48)
    write_csv(folder / "label.csv", [("fer0.png", BOX, *"1900000000"), line])
    rows = rows_of(tmp_path)
    assert len(kept(rows)) == 2
    [(_, number, found)] = reasons(rows)
    assert number == 2
    assert found.startswith(reason)
    assert sum(excluded(rows).values()) == (line[0] != "b.png" or len(line) != 12)


def test_images_beside_ferplus_lists_are_counted(tmp_path: Path) -> None:
    tree(tmp_path, "FER2013Train", "FER2013Valid", "FER2013Test")
    for name in ("FER2013Train/x.png", "FER2013Test/x.png", "extra/x.png"):
        write_picture(tmp_path / name, 9)
    assert excluded(rows_of(tmp_path)) == {
        UNLISTED: 1,
        "test split": 1,
        "in 'extra', which names no split beside those that do": 1,
    }


def test_a_part_of_an_image_is_cut_out_of_ferplus(tmp_path: Path) -> None:
    tree(tmp_path, "FER2013Train", box="(8, 4, 40, 44)")
    [row] = [row for row in rows_of(tmp_path) if isinstance(row, SourceRow)]
    assert row.box == Box(8, 4, 32, 40)


def test_ferplus_lists_without_images_say_how_to_make_them(tmp_path: Path) -> None:
    tree(tmp_path, "FER2013Train", "FER2013Valid")
    for image in tmp_path.rglob("*.png"):
        image.unlink()
    with pytest.raises(DataError, match=r"none of the images: make them with .*fer2013new\.csv"):
        rows_of(tmp_path)
    tree(tmp_path, "FER2013Train", "FER2013Valid")
    (tmp_path / "FER2013Valid" / "label.csv").unlink()
    with pytest.raises(DataError, match=r"FER2013Valid has no label\.csv"):
        rows_of(tmp_path)


def expw(root: Path, *lines: str, listed: str = "label/label.lst") -> None:
    path = root / listed
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def test_faces_of_expw(tmp_path: Path) -> None:
    for number in range(7):
        write_picture(tmp_path / "image" / "origin" / f"{number}.png", number)
    expw(tmp_path, *(f"{n}.png 0 2 3 13 15 22.9 {n}" for n in range(7)), "0.png 1 4 5 9 9 8 3")
    assert detected(tmp_path) == "expw"
    names = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Neutral")
    expected = {f"{number}.png:0": name for number, name in enumerate(names)}
    assert labels(tmp_path) == {**expected, "0.png:1": "Happiness"}
    rows = [row for row in rows_of(tmp_path) if isinstance(row, SourceRow)]
    assert {row.split for row in rows} == {None}
    assert rows[0].box == Box(left=3, top=2, width=10, height=13)


@pytest.mark.parametrize(
    ("listed", "folder"),
    [
        ("label/label.lst", "origin"),
        ("label.lst", "image/origin"),
        ("label.lst", "image"),
        ("ExpW/label/label.lst", "ExpW/image/origin"),
    ],
)
def test_wherever_list_and_images_of_expw_lie(tmp_path: Path, listed: str, folder: str) -> None:
    write_picture(tmp_path / folder / "a b.png", 1)
    expw(tmp_path, "a b.png 0 1 1 9 9 8 3", listed=listed)
    assert labels(tmp_path) == {"a b.png:0": "Happiness"}


def test_broken_lines_of_expw(tmp_path: Path) -> None:
    write_picture(tmp_path / "origin" / "a.png", 1)
    lines = {
        "a.png 0 1 1 9 9 8 3": "line 1 names this face of the image already",
        "a.png 1 1 1 9 9 8 7": "unknown label '7', expected 0 to 6",
        "a.png 2 1 1 9 9 8 happy": "unknown label 'happy', expected 0 to 6",
        "a.png x 1 1 9 9 8 3": "face 'x' is no number",
        "a.png 3 9 1 9 9 8 3": "the face box has no size: 8x0 pixels",
        "a.png 4 nan 1 9 9 8 3": "face_box_top is no number of pixels: 'nan'",
        "gone.png 0 1 1 9 9 8 3": "no such file",
        "/etc/passwd 0 1 1 9 9 8 3": "image path leads out of the source",
        "a.png 5 1 1 9 9": "6 field(s), expected 8",
    }
    expw(tmp_path, "a.png 0 1 1 9 9 8 3", *lines)
    rows = rows_of(tmp_path)
    assert set(kept(rows)) == {"a.png:0"}
    assert [reason for _, _, reason in reasons(rows)] == list(lines.values())
    assert [line for _, line, _ in reasons(rows)] == list(range(2, 2 + len(lines)))


def test_expw_without_its_images_says_what_to_unpack(tmp_path: Path) -> None:
    expw(tmp_path, "a.png 0 1 1 9 9 8 3")
    with pytest.raises(DataError, match=r"no folder image/origin: unpack .*7z x origin\.7z\.001"):
        rows_of(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [True, False])
def test_the_crop_of_expw_is_the_face_that_was_drawn(tmp_path: Path, quirks: bool) -> None:
    """Its boxes begin with the top, so a reader that takes that for the left has other pixels."""
    source, dest = tmp_path / "source", tmp_path / "shards"
    drawn_layout(source, "expw", quirks)
    rows = [row for row in rows_of(source) if isinstance(row, SourceRow)]
    every = Request(60, 24, SIZE, seed=3).keys()
    keys = [key for key in every if EXPRESSIONS[key.label] != "Contempt"]
    manifest = prepare(source, dest, image_size=SIZE, encoding="png", max_rejected=0.5)
    images = {
        row.image_id: decode_rgb(row.image).astype(int)
        for shard in manifest.shards
        for row in read_checked(dest, manifest, shard)
    }
    faces = np.stack([key.draw().astype(int) for key in keys])
    assert any(row.image_id.endswith(":1") for row in rows) == quirks
    for number, row in enumerate(rows[: len(keys)]):
        off = np.abs(faces - images[row.image_id]).mean(axis=(1, 2, 3))
        assert off.argmin() == number
        assert off[number] < 12


@pytest.mark.parametrize(
    ("name", "label"),
    [
        *(("KA.AN1.39.tiff", "Anger"), ("ka.di2.4.TIF", "Disgust"), ("NM.FE3.1.jpg", "Fear")),
        *(("KA.HA4.32.tiff", "Happiness"), ("KA.NE1.26.tiff", "Neutral")),
        *(("UY.SA1.9.png", "Sadness"), ("YM.SU10.200.tiff", "Surprise")),
        *(("AF01AFS.JPG", "Fear"), ("BM35ANFL.JPG", "Anger"), ("am02dihl.jpg", "Disgust")),
        *(("AF01HAHR.JPG", "Happiness"), ("AF01NEFR.JPG", "Neutral"), ("BF09SAS.JPG", "Sadness")),
        ("AF01SUS.JPG", "Surprise"),
    ],
)
def test_labels_in_names(tmp_path: Path, name: str, label: str) -> None:
    write_picture(tmp_path / name, 0)
    assert detected(tmp_path) == "named-files"
    assert labels(tmp_path) == {name: label}
    (tmp_path / "far" / "below").mkdir(parents=True)
    (tmp_path / name).rename(tmp_path / "far" / "below" / name)
    assert labels(tmp_path) == {f"far/below/{name}": label}


@pytest.mark.parametrize(
    "name", ["KA.XX1.39.tiff", "KAX.AN1.39.tiff", "AF01ANX.JPG", "CF01ANS.JPG", "AF01ANS2.JPG"]
)
def test_names_that_only_look_like_it(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / name, 0)
    with pytest.raises(DataError, match="nothing that says what they show"):
        detected(tmp_path)


@pytest.mark.parametrize(("others", "read"), [(1, True), (2, False)])
def test_nine_of_ten_names_must_have_a_label(tmp_path: Path, others: int, read: bool) -> None:
    for number in range(10 - others):
        write_picture(tmp_path / f"KA.AN1.{number}.png", number)
    for number in range(others):
        write_picture(tmp_path / f"IMG_{number}.png", number)
    (tmp_path / "README.txt").write_text("no image")
    assert SOURCES["named-files"].detect(tmp_path) == read
    if read:
        rows = rows_of(tmp_path)
        assert len(kept(rows)) == 9
        reason = "the name has no label, as those of the other images have"
        assert reasons(rows) == [("IMG_0.png", None, reason)]


def test_folders_of_splits_are_the_split_of_named_files(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write_picture(tmp_path / split / "KA.AN1.39.png", 0)
    rows = rows_of(tmp_path)
    assert {name: split for name, (split, _) in kept(rows).items()} == {
        "train/KA.AN1.39.png": "train",
        "valid/KA.AN1.39.png": "validation",
    }
    assert excluded(rows) == {"test split": 1}


def test_what_was_read_by_folder_or_list_still_is(tmp_path: Path) -> None:
    """Whatever else lies there: the label of the list or the folder is what its owner meant."""
    write_picture(tmp_path / "a" / "happy" / "KA.AN1.39.png", 0)
    assert labels(tmp_path / "a") == {"happy/KA.AN1.39.png": "Happiness"}
    write_picture(tmp_path / "b" / "KA.AN1.39.png", 0)
    write_csv(tmp_path / "b" / "list.csv", [("image", "label"), ("KA.AN1.39.png", "sad")])
    assert labels(tmp_path / "b") == {"KA.AN1.39.png": "Sadness"}
    for name in ("c/happy/a.png", "c/image/a.png", "d/FER2013Train/happy/a.png"):
        write_picture(tmp_path / name, 0)
    expw(tmp_path / "c", "a.png 0 1 1 9 9 8 0")
    assert labels(tmp_path / "c") == {"happy/a.png": "Happiness"}
    write_csv(tmp_path / "d" / "FER2013Train" / "label.csv", [("a.png", BOX, *"9000000000")])
    assert labels(tmp_path / "d") == {"FER2013Train/happy/a.png": "Happiness"}


def test_ck_plus_48_is_class_folders(tmp_path: Path) -> None:
    names = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    for number, name in enumerate(names):
        write_picture(tmp_path / "CK+48" / name / f"S0{number}_004_00000017.png", number, 48)
    assert detected(tmp_path / "CK+48") == "class-folders"
    found = labels(tmp_path / "CK+48")
    assert [name.split("/")[0] for name in found] == list(names)
    assert set(found.values()) == set(EXPRESSIONS) - {"Neutral"}
    assert found["happy/S04_004_00000017.png"] == "Happiness"


HEADER = ("number", "exp", "val", "aro")


def numbers(root: Path, name: str = "train_set_annotation_without_lnd.csv") -> Path:
    """A list of AffectNet's numbers 0 to 7, each of its own label, and the faces of training."""
    for number in range(8):
        write_picture(root / "train_set" / "images" / f"{number}.jpg", number)
    write_csv(root / name, [HEADER, *((str(n), str(n), "0.1", "-0.2") for n in range(8))])
    return root


def test_a_list_of_numbers_is_asked_what_its_labels_mean(tmp_path: Path) -> None:
    assert detected(numbers(tmp_path)) == "csv-folder"
    with pytest.raises(DataError, match=r"(?s)numbers \(0 to 7\).*--label-order affectnet"):
        rows_of(tmp_path)
    expected = {f"train_set/images/{number}.jpg": EXPRESSIONS[number] for number in range(8)}
    assert labels(tmp_path, label_order="affectnet") == expected


def test_numbers_are_of_the_split_that_the_list_is_of(tmp_path: Path) -> None:
    """Each of AffectNet's splits counts from 0."""
    numbers(tmp_path, "val_set_annotation_without_lnd.csv")
    for number in range(4):
        write_picture(tmp_path / "val_set" / "images" / f"{number}.jpg", number)
    rows = rows_of(tmp_path, label_order="affectnet")
    assert list(kept(rows)) == [f"val_set/images/{number}.jpg" for number in range(4)]
    assert {reason for _, _, reason in reasons(rows)} == {"no such file"}
    # A list whose name tells no split is not guessed to be of one.
    (tmp_path / "val_set_annotation_without_lnd.csv").rename(tmp_path / "list.csv")
    rows = rows_of(tmp_path, label_order="affectnet")
    assert kept(rows) == {}
    told = "no such file; the name of the list does not say which it is of, train_set, val_set"
    assert {reason for _, _, reason in reasons(rows)} == {told}


def test_names_without_extension(tmp_path: Path) -> None:
    for name in ("images/a.PNG", "images/1.39.jpg", "images/below/b.jpeg", "12.png", "images/c"):
        write_picture(tmp_path / "made.png", 1)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made.png").rename(tmp_path / name)
    names = ["a", "1.39", "below/b", "12.0", "c", "d", "../a", "a"]
    write_csv(tmp_path / "list.csv", [("image", "label"), *((name, "happy") for name in names)])
    rows = rows_of(tmp_path)
    assert list(kept(rows)) == [
        "images/a.PNG",
        "images/1.39.jpg",
        "images/below/b.jpeg",
        "12.png",
        "c",
    ]
    assert [(line, reason) for _, line, reason in reasons(rows)] == [
        (7, "no such file"),
        (8, "image path leads out of the source"),
        (9, "line 2 names this image already"),
    ]


def test_a_number_that_two_images_have_is_of_none(tmp_path: Path) -> None:
    numbers(tmp_path)
    write_picture(tmp_path / "train_set" / "images" / "3.png", 3)
    write_picture(tmp_path / "images" / "4.png", 3)
    rows = rows_of(tmp_path, label_order="affectnet")
    assert reasons(rows) == [
        ("3", 5, "2 files have this name (images/3.jpg, images/3.png)"),
        ("4", 6, "2 files have this name (images/4.png, images/4.jpg)"),
    ]


def test_a_list_of_numbers_decides_nothing_that_was_decided(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_picture(numbers(one) / "happy" / "a.png", 0)
    assert labels(one) == {"happy/a.png": "Happiness"}
    write_csv(
        numbers(other) / "legend.csv", [("image", "label"), ("train_set/images/0.jpg", "sad")]
    )
    assert labels(other) == {"train_set/images/0.jpg": "Sadness"}


def test_a_link_out_of_the_source_is_not_followed_by_its_stem(tmp_path: Path) -> None:
    source = numbers(tmp_path / "source")
    write_picture(tmp_path / "secret.png", 9)
    (source / "train_set" / "images" / "5.jpg").unlink()
    (source / "train_set" / "images" / "5.png").symlink_to(tmp_path / "secret.png")
    rows = rows_of(source, label_order="affectnet")
    assert reasons(rows) == [("5", 7, "a link leads out of the source")]
