"""Folders per class with Kaggle's labels.csv, and AffectNet as detection data (YOLO)."""

from collections import Counter
from pathlib import Path

import pytest

from datasets.errors import ConfigError, DataError
from datasets.labels import EXPRESSIONS
from datasets.sources import SourceOptions, choose_layout
from datasets.sources.class_folders import UNLISTED
from datasets.sources.kaggle_csv import DISAGREE
from datasets.sources.split_names import roles
from datasets.sources.yolo import SMALL_BOX
from datasets.synthetic import Request, write_layout
from tests.layout_checks import (
    check_round_trip,
    drawn_layout,
    excluded,
    kept,
    reasons,
    remarks,
    rows_of,
)
from tests.shard_data import files_of, write_csv, write_picture

ALPHABET = ["Anger", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
HEADER = ("pth", "label", "relFCs")


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [True, False])
@pytest.mark.parametrize("layout", ["class-folders", "yolo"])
def test_what_is_written_is_what_is_prepared(tmp_path: Path, layout: str, quirks: bool) -> None:
    truth = check_round_trip(tmp_path, layout, quirks)
    classes = Counter(EXPRESSIONS[one.label] for one in truth.kept.values())
    assert set(classes) == set(EXPRESSIONS)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["class-folders", "yolo"])
def test_the_same_request_writes_the_same_bytes(tmp_path: Path, layout: str) -> None:
    for name in ("one", "two"):
        drawn_layout(tmp_path / name, layout)
    drawn_layout(tmp_path / "other", layout, seed=4)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert files_of(tmp_path / "one") != files_of(tmp_path / "other")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train", "val"], {"train": "train", "val": "validation"}),
        (["Train", "TEST", "x"], {"Train": "train", "TEST": "validation"}),
        (
            ["train", "valid", "test"],
            {"train": "train", "valid": "validation", "test": "test split"},
        ),
        (["train"], {"train": None}),
        (["val", "test"], {"val": None, "test": "test split"}),
        (["happy"], {}),
    ],
)
def test_what_a_split_is_used_for(names: list[str], expected: dict[str, str | None]) -> None:
    assert roles(names) == expected


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Class folders with two images each: `happy/0.png`, `happy/1.png`, `Sad/0.png`, ..."""
    for label, name in enumerate(("happy", "Sad", "surprised")):
        for number in range(2):
            write_picture(tmp_path / name / f"{number}.png", label * 2 + number)
    return tmp_path


def test_labels_csv_wins_over_the_folder(folders: Path) -> None:
    lines = [
        ("", *HEADER),
        ("0", "happy/0.png", "fear", "0.9"),
        ("1", "surprised/1.png", "SURPRISE", "1"),
    ]
    write_csv(folders / "labels.csv", lines)
    rows = rows_of(folders)
    assert list(kept(rows).items()) == [
        ("happy/0.png", (None, 4)),
        ("surprised/1.png", (None, 3)),
        ("Sad/0.png", (None, 2)),
        ("Sad/1.png", (None, 2)),
        ("happy/1.png", (None, 1)),
        ("surprised/0.png", (None, 3)),
    ]
    assert remarks(rows) == {DISAGREE: 1, UNLISTED: 4}
    assert reasons(rows) == []


def test_min_relfcs_leaves_out_what_is_below_or_not_listed(folders: Path) -> None:
    values = [("happy/0.png", "0.5"), ("happy/1.png", "0.4999"), ("Sad/0.png", "high")]
    values += [("Sad/1.png", "nan"), ("surprised/0.png", "")]
    write_csv(folders / "labels.csv", [HEADER, *((pth, "happy", value) for pth, value in values)])
    rows = rows_of(folders, min_relfcs=0.5)
    assert kept(rows) == {"happy/0.png": (None, 1)}
    assert excluded(rows) == {"relFCs below 0.5": 1, "not in labels.csv, so without relFCs": 1}
    assert reasons(rows) == [
        ("Sad/0.png", 4, "relFCs 'high' is no number"),
        ("Sad/1.png", 5, "relFCs 'nan' is no number"),
        ("surprised/0.png", 6, "relFCs '' is no number"),
    ]
    # Without the filter a broken relFCs is still a broken line, and its image is not used.
    assert set(kept(rows_of(folders))) == {"happy/0.png", "happy/1.png", "surprised/1.png"}


def test_min_relfcs_needs_relfcs(folders: Path) -> None:
    with pytest.raises(DataError, match=r"no labels\.csv.*--min-relfcs"):
        rows_of(folders, min_relfcs=0.5)
    write_csv(folders / "labels.csv", [("pth", "label"), ("surprised/0.png", "happy")])
    with pytest.raises(DataError, match=r"labels\.csv has no column relFCs.*--min-relfcs"):
        rows_of(folders, min_relfcs=0.5)
    assert kept(rows_of(folders))["surprised/0.png"] == (None, 1)


def test_broken_lines_are_rejected_and_their_images_do_not_come_back(folders: Path) -> None:
    lines = [
        ("happy/0.png", "joyless", "0.9"),
        ("happy/1.png", "none", "0.9"),
        ("Sad/0.png", "sad", "0.9"),
        ("./Sad/0.png", "sad", "0.9"),
        ("Sad/gone.png", "sad", "0.9"),
        ("../Sad/1.png", "sad", "0.9"),
        ("/Sad/1.png", "sad", "0.9"),
        ("outside/x.png", "sad", "0.9"),
        ("labels.csv", "sad", "0.9"),
        ("pth",),
        ("x" * 200_000, "sad", "0.9"),
    ]
    write_csv(folders / "labels.csv", [HEADER, *lines])
    rows = rows_of(folders)
    assert set(kept(rows)) == {"Sad/0.png", "Sad/1.png", "surprised/0.png", "surprised/1.png"}
    assert excluded(rows) == {"None": 1}
    assert reasons(rows) == [
        ("happy/0.png", 2, "unknown label 'joyless'"),
        ("./Sad/0.png", 5, "line 4 names this image already"),
        ("Sad/gone.png", 6, "no such file"),
        ("../Sad/1.png", 7, "image path leads out of the source"),
        ("/Sad/1.png", 8, "image path leads out of the source"),
        ("outside/x.png", 9, "no such file"),
        ("labels.csv", 10, "lies in no class folder"),
        ("labels.csv", 11, "the line has 1 column(s) only"),
        ("labels.csv", 12, "the line can't be read: field larger than field limit (131072)"),
    ]


def test_paths_of_labels_csv_are_found_under_the_splits(tmp_path: Path) -> None:
    for name in ("train/Happy/0.png", "val/happy/1.png", "train/sad/2.png", "val/sad/2.png"):
        write_picture(tmp_path / name, 0)
    write_picture(tmp_path / "test" / "sad" / "3.png", 0)
    lines = [("happy/0.png", "happy"), ("happy/1.png", "fear"), ("sad/2.png", "sad")]
    lines += [("val/sad/2.png", "sad"), ("sad/3.png", "sad")]
    write_csv(tmp_path / "labels.csv", [HEADER, *((*line, "1") for line in lines)])
    rows = rows_of(tmp_path)
    assert kept(rows) == {
        "train/Happy/0.png": ("train", 1),
        "val/happy/1.png": ("validation", 4),
        "val/sad/2.png": ("validation", 2),
        "train/sad/2.png": ("train", 2),
    }
    assert reasons(rows) == [
        ("sad/2.png", 4, "2 files have this name (train/sad/2.png, val/sad/2.png)")
    ]
    assert excluded(rows) == {"test split": 1}


def test_a_link_out_of_the_class_folders_is_rejected(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_picture(source / "happy" / "0.png", 0)
    write_picture(tmp_path / "elsewhere.png", 1)
    (source / "happy" / "1.png").symlink_to(tmp_path / "elsewhere.png")
    write_csv(source / "labels.csv", [HEADER, ("happy/1.png", "sad", "1")])
    rows = rows_of(source)
    assert set(kept(rows)) == {"happy/0.png"}
    assert [(file, line) for file, line, _ in reasons(rows)] == [("happy/1.png", 2)]
    assert DISAGREE not in remarks(rows)


def test_which_csv_belongs_to_the_class_folders(folders: Path) -> None:
    assert choose_layout(folders, None, SourceOptions()) == "class-folders"
    # Another list of images and labels may be the source itself, or a model's answers.
    write_csv(folders / "legend.csv", [("image", "emotion"), ("surprised/0.png", "happy")])
    with pytest.raises(DataError, match="--layout class-folders or --layout csv-folder"):
        choose_layout(folders, None, SourceOptions())
    assert kept(rows_of(folders, "class-folders"))["surprised/0.png"] == (None, 3)
    assert kept(rows_of(folders, "csv-folder")) == {"surprised/0.png": (None, 1)}
    write_csv(folders / "labels.csv", [HEADER, ("surprised/0.png", "fear", "1")])
    assert choose_layout(folders, None, SourceOptions()) == "class-folders"
    assert kept(rows_of(folders))["surprised/0.png"] == (None, 4)


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """Two training images and a validation one, of the classes 0 to 2 of eight."""
    (tmp_path / "data.yaml").write_text(f"names: {ALPHABET}\n")
    for number, name in enumerate(("train/images/a", "train/images/b", "valid/images/c")):
        write_picture(tmp_path / f"{name}.png", number)
        write_label(tmp_path, name.replace("images", "labels"), f"{number} 0.5 0.5 1 1")
    return tmp_path


def write_label(source: Path, name: str, text: str | bytes) -> None:
    path = source / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def test_yolo_names_its_classes_by_yaml_or_by_option(boxes: Path) -> None:
    def labels(**options: object) -> list[str]:
        return [EXPRESSIONS[label] for _, label in kept(rows_of(boxes, **options)).values()]

    assert choose_layout(boxes, None, SourceOptions()) == "yolo"
    assert labels() == ["Anger", "Contempt", "Disgust"]
    (boxes / "data.yaml").write_text("nc: 3\nnames: [sad, HAPPY, fear]\n")
    assert labels() == ["Sadness", "Happiness", "Fear"]
    (boxes / "data.yaml").write_text("names:\n  0: fear\n  2: sad\n  1: none\n")
    assert labels() == ["Fear", "Sadness"]
    assert excluded(rows_of(boxes)) == {"None": 1}
    for text in ("nc: 3\n", "names: ['0', '1', '2']\n"):
        (boxes / "data.yaml").write_text(text)
        with pytest.raises(DataError, match="nothing says what they mean"):
            labels()
        assert labels(label_order="ferplus") == ["Neutral", "Happiness", "Surprise"]
    (boxes / "data.yaml").unlink()
    with pytest.raises(DataError, match="nothing says what they mean"):
        labels()
    assert labels(label_names="Neutral, surprise,fear") == ["Neutral", "Surprise", "Fear"]
    with pytest.raises(ConfigError, match=r"'joyless' names no expression.*Neutral,Happiness"):
        rows_of(boxes, label_names="happy,joyless")


@pytest.mark.parametrize(
    "text", ["names: {a: b}", "names: x", "names: []", "[: {", "a: &a [*a]\x00"]
)
def test_a_data_yaml_that_cannot_be_read_is_named(boxes: Path, text: str) -> None:
    (boxes / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=r"data\.yaml.*--label-names"):
        rows_of(boxes)


def test_names_nested_without_bound_are_not_written_out(boxes: Path) -> None:
    levels = [f"- &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    text = "\n".join(["names:", "- &l0 [x, x]", *levels])
    (boxes / "data.yaml").write_text(text + "\n")
    assert reasons(rows_of(boxes))[0] == (
        "train/images/a.png",
        None,
        "label 0 is 'a list', which names no expression",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "0 lines, expected one"),
        (b"\n\r\n ", "0 lines, expected one"),
        (b"1 .5 .5 1 1\n1 .5 .5 1 1", "2 lines, expected one"),
        (b"1 .5 .5 1", "4 numbers, expected class cx cy w h"),
        (b"1 .5 .5 1 1 .9", "6 numbers, expected class cx cy w h"),
        (b"1.0 .5 .5 1 1", "'1.0' is no class"),
        (b"\xc2\xb2 .5 .5 1 1", "'²' is no class"),
        (b"1 .5 .5 x 1", "the box is not made of numbers"),
        (b"1 .5 .5 nan 1", "the box is not a part of the image from 0 to 1"),
        (b"1 .5 .5 0 1", "the box is not a part of the image from 0 to 1"),
        (b"1 112 112 224 224", "the box is not a part of the image from 0 to 1"),
        (b"\xff\xfe\0", "1 numbers, expected class cx cy w h"),
        (b"1 " * 50_000, "larger than 64 KiB"),
    ],
)
def test_broken_label_files_are_rejected(boxes: Path, text: bytes, reason: str) -> None:
    write_label(boxes, "train/labels/b", text)
    rows = rows_of(boxes)
    assert set(kept(rows)) == {"train/images/a.png", "valid/images/c.png"}
    assert reasons(rows) == [("train/images/b.png", None, f"label file: {reason}")]


def test_images_and_labels_that_have_no_partner(boxes: Path) -> None:
    (boxes / "train/labels/a.txt").unlink()
    (boxes / "valid/images/c.png").unlink()
    write_label(boxes, "train/labels/b", "8 0.5 0.5 1 1")
    (boxes / "train/images/d.gif.txt").write_text("notes")
    rows = rows_of(boxes)
    assert kept(rows) == {}
    assert reasons(rows) == [
        ("train/images/a.png", None, "no label file"),
        ("train/images/b.png", None, "label 8 is none of the 8 classes"),
        ("train/images/d.gif.txt", None, "not an image file (extension '.txt')"),
        ("valid/labels/c.txt", None, "no image of this name"),
    ]


def test_yolo_keeps_the_whole_image_and_says_so(boxes: Path) -> None:
    write_label(boxes, "train/labels/a", "0 0.5 0.5 0.7 0.7")
    write_label(boxes, "train/labels/b", "1 0.5 0.5 0.8 0.8\r\n")
    rows = rows_of(boxes)
    assert len(kept(rows)) == 3
    assert remarks(rows) == {SMALL_BOX: 1}


def test_yolo_without_valid_has_its_test_split(boxes: Path) -> None:
    for kind in ("images", "labels"):
        (boxes / "test").mkdir(exist_ok=True)
        (boxes / "valid" / kind).rename(boxes / "test" / kind)
    assert kept(rows_of(boxes))["test/images/c.png"] == ("validation", 5)


def test_a_label_file_that_leads_out_is_not_read(tmp_path: Path, boxes: Path) -> None:
    secret = tmp_path.parent / "secret.txt"
    secret.write_text("1 0.5 0.5 1 1")
    (boxes / "train/labels/a.txt").unlink()
    (boxes / "train/labels/a.txt").symlink_to(secret)
    rows = rows_of(boxes)
    assert set(kept(rows)) == {"train/images/b.png", "valid/images/c.png"}
    assert "leads out of the source" in reasons(rows)[0][2]


def test_what_is_not_yolo_is_refused(folders: Path) -> None:
    with pytest.raises(DataError, match="no folders train/images and train/labels"):
        rows_of(folders, "yolo")


def test_a_drawing_that_is_broken_off_can_begin_again(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > 5:
            raise KeyboardInterrupt

    request = Request(train=16, validation=16, size=32)
    with pytest.raises(KeyboardInterrupt):
        write_layout(tmp_path / "faces", "yolo", request, stop)
    write_layout(tmp_path / "faces", "yolo", request)
