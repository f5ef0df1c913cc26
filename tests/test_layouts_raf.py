"""RAF-DB by its list and by folders, as copies spell them: its own labels, never AffectNet's."""

from pathlib import Path

import pytest

from datasets.errors import DataError
from datasets.label_orders import RAF_DB
from datasets.labels import EXPRESSIONS
from datasets.sources import SourceOptions, SourceRow, choose_layout
from datasets.sources.raf_db import UNALIGNED
from datasets.sources.raf_db_folders import CHANGED
from tests.layout_checks import (
    check_round_trip,
    drawn_layout,
    excluded,
    kept,
    reasons,
    remarks,
    rows_of,
)
from tests.shard_data import files_of, write_picture


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [True, False])
def test_what_is_written_is_what_is_prepared(tmp_path: Path, quirks: bool) -> None:
    truth = check_round_trip(tmp_path, "raf-db", quirks)
    found = {EXPRESSIONS[one.label] for one in truth.kept.values()}
    assert set(EXPRESSIONS) - found == {"Contempt"}


@pytest.mark.slow
def test_the_same_request_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        drawn_layout(tmp_path / name, "raf-db")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.fixture
def raf(tmp_path: Path) -> Path:
    """Four aligned images; the list is written by `list_labels`."""
    for number, name in enumerate(("train_00001", "train_00002", "test_0001", "test_0002")):
        write_picture(tmp_path / "Image" / "aligned" / f"{name}_aligned.jpg", number)
    return tmp_path


def list_labels(root: Path, text: str, name: str = "list_patition_label.txt") -> None:
    path = root / "EmoLabel" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("latin-1"))


@pytest.mark.parametrize("base", ["", "basic"])
@pytest.mark.parametrize("name", ["list_patition_label.txt", "list_partition_label.txt"])
def test_raf_db_labels_and_splits(tmp_path: Path, base: str, name: str) -> None:
    labels = ["Surprise", "Fear", "Disgust", "Happiness", "Sadness", "Anger", "Neutral"]
    lines = []
    for label in range(1, 8):
        image = f"train_{label:05d}.jpg" if label < 5 else f"test_{label:04d}.jpg"
        write_picture(tmp_path / base / "Image/aligned" / image.replace(".", "_aligned."), label)
        lines.append(f"{image} {label}")
    list_labels(tmp_path / base, "\n".join(lines), name)
    assert choose_layout(tmp_path, None, SourceOptions()) == "raf-db"
    rows = rows_of(tmp_path)
    found = [(split, EXPRESSIONS[label]) for split, label in kept(rows).values()]
    splits = ["train"] * 4 + ["validation"] * 3
    assert found == list(zip(splits, labels, strict=True))
    assert reasons(rows) == []


def test_raf_db_takes_the_aligned_image_first(raf: Path) -> None:
    write_picture(raf / "Image" / "original" / "train_00001.jpg", 7)
    (raf / "Image/aligned/test_0001_aligned.jpg").unlink()
    write_picture(raf / "Image" / "original" / "test_0001.jpg", 8)
    list_labels(raf, "train_00001.jpg 4\r\ntest_0001.jpg 5\r\n\r\n")
    rows = rows_of(raf)
    files = {row.image_id: row.image for row in rows if isinstance(row, SourceRow)}
    assert files == {
        "train_00001.jpg": raf / "Image/aligned/train_00001_aligned.jpg",
        "test_0001.jpg": raf / "Image/original/test_0001.jpg",
    }
    assert remarks(rows) == {UNALIGNED: 1}


def test_raf_db_broken_lines_are_rejected(raf: Path) -> None:
    outside = raf.parent / "outside.jpg"
    write_picture(outside, 1)
    (raf / "Image/aligned/train_00009_aligned.jpg").symlink_to(outside)
    form = "the name is not of the form train_00001.jpg or test_0001.jpg"
    broken = {
        "train_00002.jpg 0": "unknown label '0', expected 1 to 7",
        "train_00002.jpg 8": "unknown label '8', expected 1 to 7",
        "train_00002.jpg happy": "unknown label 'happy', expected 1 to 7",
        "train_00002.jpg": "1 word(s), expected an image and a label",
        "train_00002.jpg 4 4": "3 word(s), expected an image and a label",
        "train_00007.jpg 4": "no such file",
        "train_00009.jpg 4": "a link leads out of the source",
        "../train_00002.jpg 4": "image path leads out of the source",
        "/train_00002.jpg 4": "image path leads out of the source",
        "aligned/train_00002.jpg 4": form,
        "valid_00002.jpg 4": form,
        "train_00001.jpg 5": "line 1 names this image already",
        "tr\0ain_00001.jpg 4": "image path holds a NUL byte",
        "é 4": form,
        "x" * 1_000_000 + " 4": "1 word(s), expected an image and a label",
    }
    list_labels(raf, "\n".join(["train_00001.jpg 4", *broken, "test_0001.jpg 7"]))
    rows = rows_of(raf)
    assert kept(rows) == {"train_00001.jpg": ("train", 1), "test_0001.jpg": ("validation", 0)}
    assert [line for _, line, _ in reasons(rows)] == list(range(2, len(broken) + 2))
    for (*_, reason), expected in zip(reasons(rows), broken.values(), strict=True):
        assert reason.endswith(expected)


def test_a_digit_of_another_script_is_no_label(raf: Path) -> None:
    list_labels(raf, "train_00001.jpg 4\n")
    (raf / "EmoLabel" / "list_patition_label.txt").write_text("train_00001.jpg 4\ntest_0001.jpg ²")
    assert [reason for *_, reason in reasons(rows_of(raf))] == [
        "unknown label '²', expected 1 to 7"
    ]


def test_raf_db_by_folders_is_not_taken_for_affectnet(tmp_path: Path) -> None:
    for number, name in enumerate(
        ("train/4/train_00001", "train/5/train_00002", "test/7/test_0001")
    ):
        write_picture(tmp_path / f"{name}_aligned.jpg", number)
    write_picture(tmp_path / "train/4/selfie.jpg", 5)
    write_picture(tmp_path / "train/8/train_00003_aligned.jpg", 5)
    (tmp_path / "train/4/Thumbs.db").write_bytes(b"junk")
    assert choose_layout(tmp_path, None, SourceOptions()) == "raf-db"
    rows = rows_of(tmp_path)
    assert {name: (split, EXPRESSIONS[label]) for name, (split, label) in kept(rows).items()} == {
        "test/7/test_0001_aligned.jpg": ("validation", "Neutral"),
        "train/4/train_00001_aligned.jpg": ("train", "Happiness"),
        "train/5/train_00002_aligned.jpg": ("train", "Sadness"),
    }
    assert reasons(rows) == [
        ("train/4/selfie.jpg", None, "the name is not of the form train_00001_aligned.jpg"),
        ("train/8/train_00003_aligned.jpg", None, "unknown label '8', expected 1 to 7"),
    ]


def test_class_folders_of_affectnet_are_not_taken_for_raf_db(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_picture(tmp_path / split / "4" / "image0000001.jpg", 0)
    assert choose_layout(tmp_path, None, SourceOptions()) == "class-folders"
    with pytest.raises(DataError, match=r"no EmoLabel/list_patition_label\.txt"):
        rows_of(tmp_path, "raf-db")


def tree(root: Path, *splits: str, name: str = "{part}_{number:05d}_aligned.jpg") -> dict[str, int]:
    """Write two images of each label under each split; their labels by name."""
    truth = {}
    for split in splits:
        part = "train" if "train" in split.casefold() else "test"
        for label, code in RAF_DB.items():
            for number in range(2):
                file = name.format(part=part, number=10 * label + number)
                place = root / split / str(label) / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
                truth[place.relative_to(root).as_posix()] = code
    return truth


def labels_of(path: Path) -> dict[str, int]:
    return {name: label for name, (_, label) in kept(rows_of(path)).items()}


def splits_of(path: Path) -> dict[str, str | None]:
    return {name.split("/")[-3]: split for name, (split, _) in kept(rows_of(path)).items()}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Train", "Test"), ("train", "validation")),
        (("TRAIN", "test_set"), ("train", "validation")),
        (("train", "valid"), ("train", "validation")),
        (("train_images", "Validation"), ("train", "validation")),
        (("train", "val", "test"), ("train", "validation", None)),
        (("train",), (None,)),
    ],
)
def test_folders_of_any_spelling(tmp_path: Path, names: tuple[str, ...], expected: tuple[str]):
    truth = tree(tmp_path, *names)
    assert choose_layout(tmp_path, None, SourceOptions()) == "raf-db"
    left_out = {name for name, split in zip(names, expected, strict=True) if name == "test"}
    wanted = {name: code for name, code in truth.items() if name.split("/")[0] not in left_out}
    assert labels_of(tmp_path) == wanted
    told = dict(zip(names, expected, strict=True))
    assert splits_of(tmp_path) == {name: told[name] for name in names if name not in left_out}
    assert excluded(rows_of(tmp_path)) == ({"test split": 14} if left_out else {})


def test_a_folder_too_high_and_a_folder_too_deep(tmp_path: Path) -> None:
    truth = tree(tmp_path / "archive" / "DATASET", "train", "test")
    above = {f"DATASET/{name}": code for name, code in truth.items()}
    assert labels_of(tmp_path / "archive") == above
    inside = tmp_path / "archive" / "DATASET" / "train"
    of_train = {name.partition("/")[2]: code for name, code in truth.items() if "train/" in name}
    assert labels_of(inside) == of_train


def test_without_folders_of_splits_the_names_tell_the_part(tmp_path: Path) -> None:
    tree(tmp_path, "train", "test")
    for file in list((tmp_path / "test").rglob("*.jpg")):
        file.rename(tmp_path / "train" / file.parent.name / file.name)
    rows = kept(rows_of(tmp_path / "train"))
    assert len(rows) == 28
    assert all(
        split == ("train" if "/train_" in name else "validation")
        for name, (split, _) in rows.items()
    )


@pytest.mark.parametrize(
    "name",
    [
        "{part}_{number:05d}_aligned_aug3.jpg",
        "{part}_{number:05d}_aligned.jpg0.jpg",
        "aug_0_{part}_{number:05d}_aligned.jpg",
        "{part}_{number:05d}_aligned (1).JPG",
    ],
)
def test_names_of_changed_copies(tmp_path: Path, name: str) -> None:
    truth = tree(tmp_path, "train", "test", name=name)
    assert labels_of(tmp_path) == truth
    assert remarks(rows_of(tmp_path)) == {CHANGED: len(truth)}


def test_other_numbers_than_its_own_are_not_taken_for_its(tmp_path: Path) -> None:
    tree(tmp_path, "train", "test")
    for split in ("train", "test"):
        write_picture(tmp_path / split / "0" / f"{split}_00001_aligned.jpg", 0)
    with pytest.raises(DataError, match="nothing says what they mean"):
        rows_of(tmp_path)


def test_names_that_any_set_may_have_are_not_taken_for_its(tmp_path: Path) -> None:
    tree(tmp_path, "train", "test", name="{part}_{number}.jpg")
    with pytest.raises(DataError, match=r"(?s)nothing says what they mean.*raf-db"):
        rows_of(tmp_path)


@pytest.mark.parametrize("beside", ["extra", "noisy copies"])
def test_what_lies_beside_the_splits_is_counted(tmp_path: Path, beside: str) -> None:
    truth = tree(tmp_path, "train", "test")
    write_picture(tmp_path / beside / "a.jpg", 0)
    assert labels_of(tmp_path) == truth
    assert list(excluded(rows_of(tmp_path))) == [
        f"in {beside!r}, which names no split beside those that do"
    ]


def test_a_split_that_is_not_its_own_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, "train")
    write_picture(tmp_path / "valid" / "1" / "x.jpg", 0)
    with pytest.raises(DataError, match=r"valid is named as a split, .*those of .*train"):
        rows_of(tmp_path)


def test_the_compound_set_is_refused_whatever_may_be_rejected(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    tree(one, "train", "test", name="{part}_{number:04d}_aligned.jpg")
    tree(other, "train", "test")
    for label in (8, 9, 10, 11):
        write_picture(other / "train" / str(label) / "train_90001_aligned.jpg", label)
    for path in (one, other):
        with pytest.raises(DataError, match="compound set"):
            rows_of(path)


def test_the_compound_list_is_refused(tmp_path: Path) -> None:
    for name, text in {
        "names": "train_0001.jpg 1\ntrain_0002.jpg 2\ntest_0001.jpg 3\n",
        "labels": "".join(f"test_{label:04d}.jpg {label}\n" for label in range(1, 12)),
    }.items():
        home = tmp_path / name / "compound"
        (home / "Image" / "aligned").mkdir(parents=True)
        list_labels(home, text)
        with pytest.raises(DataError, match="compound set"):
            rows_of(tmp_path / name)


def test_folders_of_the_release_in_any_case_and_one_deeper(tmp_path: Path) -> None:
    home = tmp_path / "RAF-DB" / "Basic"
    for number, name in enumerate(("train_00001", "test_0001")):
        write_picture(home / "image" / "Aligned" / f"{name}_aligned.jpg", number)
    folder = home / "emolabel"
    folder.mkdir()
    (folder / "list_patition_label.txt").write_text("train_00001.jpg 1\ntest_0001.jpg 7\n")
    expected = {"train_00001.jpg": ("train", 3), "test_0001.jpg": ("validation", 0)}
    assert kept(rows_of(tmp_path)) == expected
    assert kept(rows_of(tmp_path / "RAF-DB")) == expected
    with pytest.raises(DataError, match=r"not its images: give .*Basic"):
        rows_of(folder)
