"""What each source makes of folders as people have them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from datasets.errors import ConfigError, DataError
from datasets.numbered import named
from datasets.sources import (
    SOURCES,
    AnyRow,
    Excluded,
    Rejected,
    SourceOptions,
    SourceRow,
    choose_layout,
)
from datasets.sources.drawn import DrawnFaces
from tests.shard_data import write_csv, write_picture


def rows_of(path: Path, **options: str) -> list[AnyRow]:
    chosen = SourceOptions(**options)
    rows = SOURCES[choose_layout(path, None, chosen)].rows(path, chosen)
    return named(rows, chosen, str(path)).rows


def labels(rows: Sequence[AnyRow]) -> list[tuple[str, int]]:
    return [(row.image_id, row.label) for row in rows if isinstance(row, SourceRow)]


def reasons(rows: Sequence[AnyRow]) -> list[tuple[int | None, str]]:
    return [(row.origin.row, row.reason) for row in rows if isinstance(row, Rejected)]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    for number, name in enumerate("abcd"):
        write_picture(tmp_path / "images" / f"{name}.png", number)
    return tmp_path


def test_csv_labels_in_any_spelling(faces: Path) -> None:
    rows = [("a.png", "HAPPINESS"), ("b.png", " sad"), ("d.png", "Anger")]
    rows.insert(2, ("images/c.png", "3_surprise"))
    write_csv(faces / "legend.csv", [("image", "emotion"), *rows])
    assert labels(rows_of(faces)) == [
        ("a.png", 1),
        ("b.png", 2),
        ("images/c.png", 3),
        ("d.png", 6),
    ]


def test_csv_stray_rows_are_rejected_by_line(faces: Path) -> None:
    (faces / "legend.csv").write_bytes(
        b"image,emotion\na.png,happy\nimage,emotion\n\nb.png\nmissing.png,sad\na.png,sad\n,fear\n"
        b"c.png," + b"x" * 200_000 + b"\nnul\0.png,sad\nd.png,fear\n"
    )
    rows = rows_of(faces)
    assert labels(rows) == [("a.png", 1), ("d.png", 4)]
    assert reasons(rows) == [
        (3, "unknown label 'emotion'"),
        (5, "the line has 1 column(s) only"),
        (6, "no such file"),
        (7, "line 2 names this image already"),
        (8, "no image path"),
        (9, "the line can't be read: field larger than field limit (131072)"),
        (10, "image path holds a NUL byte"),
    ]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("../secret.png", "image path"),
        ("../images/b.png", "image path"),
        ("..\\secret.png", "image path"),
        ("/etc/passwd", "image path"),
        ("link.png", "a link"),
    ],
)
def test_csv_paths_that_leave_the_source_are_rejected(faces: Path, name: str, what: str) -> None:
    source = faces / "images"
    write_picture(faces / "secret.png", 9)
    (source / "link.png").symlink_to(faces / "secret.png")
    write_csv(source / "list.csv", [("image", "label"), (name, "joy"), ("a.png", "joy")])
    rows = rows_of(source)
    assert labels(rows) == [("a.png", 1)]
    assert reasons(rows) == [(2, f"{what} leads out of the source")]


def test_csv_excluded_labels_are_told_apart(faces: Path) -> None:
    rows = [("a.png", "1"), ("b.png", "8"), ("c.png", "no-face"), ("d.png", "11")]
    write_csv(faces / "list.csv", [("image", "label"), *rows])
    found = rows_of(faces, label_order="affectnet")
    assert sorted(row.reason for row in found if isinstance(row, Excluded)) == ["No-Face", "None"]
    assert reasons(found) == [(5, "label 11 is none of the numbers 0 to 10")]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_codings_and_line_ends(faces: Path, codec: str, newline: str) -> None:
    write_picture(faces / "images" / "é.png", 7)
    text = newline.join(["image,emotion", "é.png,happy", "a.png,sad", ""])
    (faces / "legend.csv").write_bytes(text.encode(codec))
    assert labels(rows_of(faces)) == [("é.png", 1), ("a.png", 2)]


def test_csv_columns_by_option(faces: Path) -> None:
    write_csv(faces / "x.csv", [("Wer", "label", "Was"), ("a.png", "0", "happy")])
    assert labels(rows_of(faces, csv="x.csv", image_column="wer", label_column="Was")) == [
        ("a.png", 1)
    ]
    with pytest.raises(DataError, match=r"no column 'Wo'.*Wer, label, Was.*--image-column"):
        rows_of(faces, csv="x.csv", image_column="Wo")
    with pytest.raises(DataError, match=r"no column of images.*--image-column"):
        rows_of(faces, csv="x.csv")
    with pytest.raises(DataError, match="no CSV file"):
        rows_of(faces, csv="y.csv")
    with pytest.raises(ConfigError, match="image_column is empty"):
        SourceOptions(image_column="")


def test_several_csv_files_need_a_name(faces: Path) -> None:
    for name in ("one.csv", "two.csv"):
        write_csv(faces / name, [("image", "label"), ("a.png", "joy")])
    with pytest.raises(DataError, match=r"one\.csv, two\.csv.*--csv"):
        rows_of(faces)
    assert labels(rows_of(faces, csv="two.csv")) == [("a.png", 1)]


def test_class_folders_in_any_spelling(tmp_path: Path) -> None:
    for number, folder in enumerate(
        ("HAPPY", "sadness", "3-Surprise", "Contemptuous", "none", "misc")
    ):
        write_picture(tmp_path / folder / "x.png", number)
    write_picture(tmp_path / "HAPPY" / "deeper" / "y.png", 8)
    for junk in ("Thumbs.db", ".hidden.png"):
        (tmp_path / "HAPPY" / junk).write_bytes(b"junk")
    (tmp_path / "HAPPY" / "notes.txt").write_text("notes")
    rows = rows_of(tmp_path)
    assert sorted(labels(rows)) == [
        ("3-Surprise/x.png", 3),
        ("Contemptuous/x.png", 7),
        ("HAPPY/deeper/y.png", 1),
        ("HAPPY/x.png", 1),
        ("sadness/x.png", 2),
    ]
    assert {row.split for row in rows if isinstance(row, SourceRow)} == {None}
    assert [row.reason for row in rows if isinstance(row, Excluded)] == ["None"]
    found = {row.origin.file: row.reason for row in rows if isinstance(row, Rejected)}
    assert found == {
        "HAPPY/notes.txt": "not an image file (extension '.txt')",
        "misc/x.png": "folder 'misc' names no expression",
    }


@pytest.mark.parametrize("name", ["val", "VALID", "validation", "test"])
def test_class_folders_under_their_splits(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / "train" / "fear" / "x.png", 0)
    write_picture(tmp_path / name / "fear" / "x.png", 1)
    rows = rows_of(tmp_path)
    assert [(row.image_id, row.split) for row in rows if isinstance(row, SourceRow)] == [
        ("train/fear/x.png", "train"),
        (f"{name}/fear/x.png", "validation"),
    ]


def test_a_class_folder_link_out_is_rejected(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_picture(source / "happy" / "x.png", 0)
    write_picture(tmp_path / "elsewhere" / "y.png", 0)
    (source / "sad").symlink_to(tmp_path / "elsewhere")
    rows = rows_of(source)
    assert labels(rows) == [("happy/x.png", 1)]
    assert [reason for _, reason in reasons(rows)] == ["a link leads out of the source"]


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no source"):
        choose_layout(tmp_path / "absent", None, SourceOptions())
    with pytest.raises(DataError, match="is empty"):
        choose_layout(tmp_path, None, SourceOptions())
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(DataError, match=r"class-folders, csv-folder.*--layout"):
        choose_layout(tmp_path, None, SourceOptions())
    with pytest.raises(ConfigError, match=r"'zip'.*csv-folder"):
        choose_layout(tmp_path, "zip", SourceOptions())
    with pytest.raises(DataError, match="named like an expression"):
        list(SOURCES["class-folders"].rows(tmp_path, SourceOptions()))
    with pytest.raises(DataError, match="--csv"):
        list(SOURCES["csv-folder"].rows(tmp_path, SourceOptions()))


def test_a_drawn_face_does_not_depend_on_how_many_are_drawn(tmp_path: Path) -> None:
    few = list(DrawnFaces(9, 8, 32, seed=3).rows(tmp_path, SourceOptions()))
    many = list(DrawnFaces(20, 16, 32, seed=3).rows(tmp_path, SourceOptions()))
    index = {row.image_id: row.image.index for row in many}  # type: ignore[union-attr]
    assert len(set(index.values())) == 36
    assert all(row.image.index == index[row.image_id] for row in few)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="validation 0"):
        DrawnFaces(1, 0, 32, seed=0)


def test_a_stray_quote_takes_its_own_line_alone(faces: Path) -> None:
    lines = ["image,emotion", 'a.png,"happy', '"b.png,sad', "c.png,sad", '"a.png","sad"']
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        write_picture(faces / "images" / name, number)
    (faces / "legend.csv").write_text("\n".join(lines))
    found = rows_of(faces)
    assert ("c.png", 2) in labels(found)
    kept = sum(isinstance(row, SourceRow) for row in found)
    assert kept + len(reasons(found)) == 4


@pytest.mark.parametrize(
    "options",
    [{"min_relfcs": 0.5}, {"csv": "legend.csv", "min_relfcs": 0.5}],
)
def test_an_option_that_a_layout_has_no_use_for_is_refused(
    faces: Path, options: dict[str, object]
) -> None:
    (faces / "legend.csv").write_text("image,emotion\na.png,happy\n")
    with pytest.raises(ConfigError, match=r"--min-relfcs means nothing .*csv-folder"):
        choose_layout(faces, None, SourceOptions(**options))  # type: ignore[arg-type]
