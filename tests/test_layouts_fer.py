"""FER2013 with and without FER+: other labels, mapped to the same eight."""

import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from datasets.errors import DataError
from datasets.labels import EXPRESSIONS
from datasets.sources import SourceOptions, SourceRow, choose_layout
from datasets.sources.fer2013 import DISAGREE, GreyImage
from datasets.synthetic import Request
from tests.layout_checks import (
    check_round_trip,
    drawn_layout,
    excluded,
    kept,
    reasons,
    remarks,
    rows_of,
)
from tests.shard_data import files_of, write_csv

PIXELS = " ".join(str(number % 256) for number in range(48 * 48))
FER = ("emotion", "pixels", "Usage")
VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [True, False])
def test_what_is_written_is_what_is_prepared(tmp_path: Path, quirks: bool) -> None:
    truth = check_round_trip(tmp_path, "fer2013", quirks)
    found = {EXPRESSIONS[one.label] for one in truth.kept.values()}
    # FER+ alone has Contempt; the drawn FER2013 has FER+ among its quirks.
    assert set(EXPRESSIONS) - found == (set() if quirks else {"Contempt"})


@pytest.mark.slow
def test_the_same_request_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        drawn_layout(tmp_path / name, "fer2013")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [True, False])
def test_each_row_of_fer2013_gives_its_own_image(tmp_path: Path, quirks: bool) -> None:
    drawn_layout(tmp_path, "fer2013", quirks)
    rows = [row for row in rows_of(tmp_path) if isinstance(row, SourceRow)]
    keys = Request(train=60, validation=24, size=48, seed=3).keys()
    keys = [key for key in keys if quirks or EXPRESSIONS[key.label] != "Contempt"]
    for row, key in zip(rows, keys, strict=True):
        assert (row.split, row.label) == (key.split, key.label)
        assert isinstance(row.image, GreyImage)
        luma = key.draw() @ np.array([0.299, 0.587, 0.114])
        assert np.abs(row.image() - luma[..., None]).max() <= 1.0


def fer_csv(path: Path, rows: Iterable[Sequence[str]], header: Sequence[str] = FER) -> Path:
    write_csv(path, [header, *rows])
    return path


def votes_csv(folder: Path, lines: Sequence[str]) -> None:
    (folder / "fer2013new.csv").write_text("\n".join([VOTES, *lines]) + "\n")


def test_fer2013_labels_splits_and_names(tmp_path: Path) -> None:
    usages = ("Training", "PublicTest", "PrivateTest", "training", " PublicTest ", "Training")
    rows = [(str(emotion), PIXELS, usage) for emotion, usage in enumerate(usages)]
    fer_csv(tmp_path / "fer2013.csv", [*rows, ("6", PIXELS, "Training")])
    assert choose_layout(tmp_path, None, SourceOptions()) == "fer2013"
    found = rows_of(tmp_path)
    assert {name: (split, EXPRESSIONS[label]) for name, (split, label) in kept(found).items()} == {
        "fer0000000.png": ("train", "Anger"),
        "fer0000001.png": ("validation", "Disgust"),
        "fer0000003.png": ("train", "Happiness"),
        "fer0000004.png": ("validation", "Sadness"),
        "fer0000005.png": ("train", "Surprise"),
        "fer0000006.png": ("train", "Neutral"),
    }
    assert excluded(found) == {"test split": 1}
    assert remarks(found) == {}


def test_fer2013_pixels(tmp_path: Path) -> None:
    fer_csv(tmp_path / "fer2013.csv", [("0", f" {PIXELS}  ", "Training")])
    row = rows_of(tmp_path)[0]
    assert isinstance(row, SourceRow)
    assert isinstance(row.image, GreyImage)
    image = pickle.loads(pickle.dumps(row.image))()
    assert image.dtype == np.uint8
    expected = np.arange(48 * 48).reshape(48, 48) % 256
    assert all(np.array_equal(image[..., channel], expected) for channel in range(3))


def test_fer2013_broken_rows_are_rejected_by_line(tmp_path: Path) -> None:
    many = PIXELS.split(" ")
    broken = [
        ("0", " ".join(many[1:]), "Training"),
        ("0", " ".join([*many, "1"]), "Training"),
        ("0", " ".join(["256", *many[1:]]), "Training"),
        ("0", " ".join(["-1", *many[1:]]), "Training"),
        ("0", " ".join(["1.5", *many[1:]]), "Training"),
        ("0", " ".join(["²", *many[1:]]), "Training"),
        ("0", "", "Training"),
        ("7", PIXELS, "Training"),
        ("", PIXELS, "Training"),
        ("²", PIXELS, "Training"),
        ("happy", PIXELS, "Training"),
        ("0", PIXELS, "Testing"),
        ("0", PIXELS),
        ("0", "1 " * 100_000, "Training"),
        FER,
        ("0", PIXELS, "Training"),
    ]
    fer_csv(tmp_path / "fer2013.csv", broken)
    rows = rows_of(tmp_path)
    assert list(kept(rows)) == ["fer0000015.png"]
    assert {file for file, *_ in reasons(rows)} == {"fer2013.csv"}
    assert [(line, reason) for _, line, reason in reasons(rows)] == [
        (2, "2303 pixels, expected 2304"),
        (3, "2305 pixels, expected 2304"),
        (4, "pixel '256' is no number from 0 to 255"),
        (5, "pixel '-1' is no number from 0 to 255"),
        (6, "pixel '1.5' is no number from 0 to 255"),
        (7, "pixel '²' is no number from 0 to 255"),
        (8, "0 pixels, expected 2304"),
        (9, "emotion '7' is none of 0 to 6"),
        (10, "emotion '' is none of 0 to 6"),
        (11, "emotion '²' is none of 0 to 6"),
        (12, "emotion 'happy' is none of 0 to 6"),
        (13, "unknown Usage 'Testing'"),
        (14, "the line has 2 column(s) only"),
        (15, "the line can't be read: field larger than field limit (131072)"),
        (16, "unknown Usage 'Usage'"),
    ]


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013/fer2013.csv", "icml_face_data.csv"])
def test_where_fer2013_lies_and_how_its_columns_are_written(tmp_path: Path, name: str) -> None:
    header = ("emotion", " Usage", " pixels")
    file = fer_csv(tmp_path / name, [("3", "Training", PIXELS), ("9", "", "")], header)
    for path in (tmp_path, file):
        assert choose_layout(path, None, SourceOptions()) == "fer2013"
        assert kept(rows_of(path)) == {"fer0000000.png": ("train", 1)}
    assert reasons(rows_of(tmp_path)) == [(name, 3, "unknown Usage ''")]


def test_fer2013_without_its_columns_is_refused(tmp_path: Path) -> None:
    fer_csv(tmp_path / "fer2013.csv", [("3", PIXELS)], ("emotion", "pixels"))
    with pytest.raises(DataError, match=r"fer2013\.csv has no column usage"):
        rows_of(tmp_path)
    with pytest.raises(DataError, match=r"no fer2013\.csv"):
        rows_of(tmp_path, "fer2013", csv="other.csv")
    (tmp_path / "fer2013.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"no fer2013\.csv"):
        rows_of(tmp_path, "fer2013")


def test_the_votes_of_ferplus_decide(tmp_path: Path) -> None:
    votes = {
        "fer0000000.png,10,0,0,0,0,0,0,0,0,0": "Neutral",
        "fer0000001.png,0,10,0,0,0,0,0,0,0,0": "Happiness",
        "fer0000002.png,0,0,6,0,0,0,4,0,0,0": "Surprise",
        "fer0000003.png,1,2,0,3,1,1,0,1,1,0": "Sadness",
        "fer0000004.png,0,0,0,0,10,0,0,0,0,0": "Anger",
        "fer0000005.png,0,0,0,0,0,10,0,0,0,0": "Disgust",
        "fer0000006.png,0,0,0,0,0,0,10,0,0,0": "Fear",
        "fer0000007.png,0,0,0,0,0,0,0,10,0,0": "Contempt",
        ",0,0,0,0,0,0,0,0,0,10": "dropped by FER+",
        "fer0000008.png,5,5,0,0,0,0,0,0,0,0": "Uncertain",
        "fer0000009.png,5,0,0,0,0,0,0,0,5,0": "Uncertain",
        "fer0000010.png,4,0,0,0,0,0,0,0,6,0": "Uncertain",
        "fer0000011.png,0,0,0,0,0,0,0,0,0,0": "Uncertain",
        "fer0000012.png,4,0,0,0,0,0,0,0,0,6": "No-Face",
    }
    # The emotions of FER2013 say Happy throughout, and once nothing that it has.
    rows = [("3", PIXELS, "Training")] * (len(votes) - 1)
    fer_csv(tmp_path / "fer2013.csv", [("x", PIXELS, "Training"), *rows])
    votes_csv(tmp_path, [f"Training,{line}" for line in votes])
    found = rows_of(tmp_path)
    assert [(name, EXPRESSIONS[label]) for name, (_, label) in kept(found).items()] == [
        (line.split(",")[0], label) for line, label in votes.items() if label in EXPRESSIONS
    ]
    assert excluded(found) == {"dropped by FER+": 1, "Uncertain": 4, "No-Face": 1}
    assert remarks(found) == {DISAGREE: 6}
    assert reasons(found) == []


def test_broken_votes_are_rejected_in_their_own_file(tmp_path: Path) -> None:
    fer_csv(tmp_path / "fer2013.csv", [("3", PIXELS, "Training")] * 6 + [("3", "", "Training")])
    ones = "1,9,0,0,0,0,0,0,0,0"
    votes_csv(
        tmp_path,
        [
            f"Training,a.png,{ones}",
            f"PublicTest,b.png,{ones}",
            "Training,c.png,1,9,0,0,0,0,0,0,0,-1",
            "Training,d.png,1,9",
            f"Training,a.png,{ones}",
            "x" * 200_000,
            f"Training,f.png,{ones}",
        ],
    )
    rows = rows_of(tmp_path)
    assert kept(rows) == {"a.png": ("train", 1)}
    assert reasons(rows) == [
        ("fer2013new.csv", 3, "Usage 'publictest', but 'Training' in FER2013's row"),
        ("fer2013new.csv", 4, "the votes are not all whole numbers"),
        ("fer2013new.csv", 5, "the line has 4 column(s) only"),
        ("fer2013new.csv", 6, "line 2 has this image name already"),
        ("fer2013new.csv", 7, "the line can't be read: field larger than field limit (131072)"),
        ("fer2013.csv", 8, "0 pixels, expected 2304"),
    ]


@pytest.mark.parametrize("rows", [2, 4])
def test_ferplus_of_another_length_is_refused(tmp_path: Path, rows: int) -> None:
    fer_csv(tmp_path / "fer2013.csv", [("3", PIXELS, "Training")] * 3)
    votes_csv(tmp_path, [f"Training,{n}.png,1,9,0,0,0,0,0,0,0,0" for n in range(rows)])
    with pytest.raises(DataError, match=rf"fer2013\.csv has 3 rows and the FER\+ .* {rows}"):
        rows_of(tmp_path)


def test_ferplus_without_a_column_is_refused(tmp_path: Path) -> None:
    fer_csv(tmp_path / "fer2013.csv", [("3", PIXELS, "Training")])
    (tmp_path / "fer2013new.csv").write_text("Usage,Image name,neutral\nTraining,a.png,1\n")
    with pytest.raises(DataError, match=r"fer2013new\.csv has no column happiness.*NF|nf"):
        rows_of(tmp_path)
