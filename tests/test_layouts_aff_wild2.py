"""Aff-Wild2: a number a frame, named by the list's first line; what has none is counted."""

from pathlib import Path

import pytest

from datasets.errors import DataError
from datasets.labels import EXPRESSIONS
from datasets.sources import SourceOptions, choose_layout
from datasets.sources.aff_wild2 import NO_FACE, NO_LABEL, OTHER
from tests.layout_checks import excluded, kept, reasons, rows_of
from tests.shard_data import write_picture

NAMES = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"


def video(root: Path, split: str, name: str, *labels: str, names: str = NAMES) -> None:
    """A list, and an image of each of its frames."""
    file = root / "EXPR_Set" / split / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([names, *labels]) + "\n")
    for number in range(1, len(labels) + 1):
        write_picture(root / "cropped_aligned" / name / f"{number:05d}.jpg", number)


def labels_of(path: Path) -> dict[str, tuple[str | None, str]]:
    return {name: (split, EXPRESSIONS[code]) for name, (split, code) in kept(rows_of(path)).items()}


def test_each_frame_has_the_label_of_its_line(tmp_path: Path) -> None:
    video(tmp_path, "Train_Set", "12-24", *map(str, range(8)), "-1")
    video(tmp_path, "Validation_Set", "7", "4")
    assert choose_layout(tmp_path, None, SourceOptions()) == "aff-wild2"
    names = NAMES.split(",")[:-1]
    expected = {f"12-24/{n + 1:05d}.jpg": ("train", name) for n, name in enumerate(names)}
    assert labels_of(tmp_path) == expected | {"7/00001.jpg": ("validation", "Happiness")}
    assert excluded(rows_of(tmp_path)) == {OTHER: 1, NO_LABEL: 1}


def test_the_lists_own_names_say_what_numbers_mean(tmp_path: Path) -> None:
    video(tmp_path, "Train_Set", "a", "0", "6", names=",".join(NAMES.split(",")[::-1]))
    assert labels_of(tmp_path) == {"a/00002.jpg": (None, "Anger")}
    assert excluded(rows_of(tmp_path)) == {OTHER: 1}


def test_frames_without_a_face_do_not_move_the_others(tmp_path: Path) -> None:
    video(tmp_path, "Train_Set", "a", "1", "4", "5")
    (tmp_path / "cropped_aligned" / "a" / "00002.jpg").unlink()
    assert labels_of(tmp_path) == {
        "a/00001.jpg": (None, "Anger"),
        "a/00003.jpg": (None, "Sadness"),
    }
    assert excluded(rows_of(tmp_path)) == {NO_FACE: 1}


def test_lines_that_are_no_label_are_rejected(tmp_path: Path) -> None:
    video(tmp_path, "Train_Set", "a", "8", "happy", "²", "1.0", "0" * 4 + "9" * 5000, "4")
    assert list(labels_of(tmp_path)) == ["a/00006.jpg"]
    assert [line for _, line, _ in reasons(rows_of(tmp_path))] == [2, 3, 4, 5, 6]


def test_lists_without_their_frames_are_refused(tmp_path: Path) -> None:
    video(tmp_path, "Train_Set", "a", "1")
    (tmp_path / "cropped_aligned").rename(tmp_path.parent / f"{tmp_path.name}-frames")
    with pytest.raises(DataError, match=r"cropped_aligned/a: give the folder that holds both"):
        rows_of(tmp_path)


def test_other_lists_of_numbers_are_not_taken_for_it(tmp_path: Path) -> None:
    video(tmp_path, "train", "a", "1", names="1")
    with pytest.raises(DataError):
        choose_layout(tmp_path, None, SourceOptions())
    with pytest.raises(DataError, match="has no lists of Aff-Wild2"):
        rows_of(tmp_path, "aff-wild2")
