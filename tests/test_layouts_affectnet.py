"""AffectNet's own two releases: lists with face boxes, and aligned faces with annotation files."""

import csv
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.errors import DataError
from datasets.images import decode_rgb
from datasets.labels import EXPRESSIONS
from datasets.manifest import Manifest
from datasets.prepare import prepare
from datasets.shards import read_checked
from datasets.sources import SOURCES, SourceOptions, SourceRow, choose_layout
from datasets.synthetic import Request
from tests.layout_checks import (
    SIZE,
    check_round_trip,
    drawn_layout,
    excluded,
    kept,
    prepared_truth,
    reasons,
    rows_of,
)
from tests.shard_data import files_of, write_csv, write_picture

BOTH = pytest.mark.parametrize("layout", ["affectnet-2017", "affectnet-aligned"])
HEADER = (
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height"),
    *("facial_landmarks", "expression", "valence", "arousal"),
)
LISTS = "Manually_Annotated_file_lists"
IMAGES = "Manually_Annotated_Images"


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [True, False])
@BOTH
def test_what_is_written_is_what_is_prepared(tmp_path: Path, layout: str, quirks: bool) -> None:
    truth = check_round_trip(tmp_path, layout, quirks)
    classes = Counter(EXPRESSIONS[one.label] for one in truth.kept.values())
    assert set(classes) == set(EXPRESSIONS)
    if quirks:
        assert set(truth.excluded) == {"None", "Uncertain", "No-Face"}


@pytest.mark.slow
@BOTH
def test_the_same_request_writes_the_same_bytes(tmp_path: Path, layout: str) -> None:
    for name in ("one", "two"):
        drawn_layout(tmp_path / name, layout)
    drawn_layout(tmp_path / "other", layout, seed=4)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert files_of(tmp_path / "one") != files_of(tmp_path / "other")


def stored_images(dest: Path, manifest: Manifest) -> dict[str, np.ndarray]:
    return {
        row.image_id: decode_rgb(row.image).astype(int)
        for shard in manifest.shards
        for row in read_checked(dest, manifest, shard)
    }


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [True, False])
def test_the_crop_is_the_face_that_was_drawn(tmp_path: Path, quirks: bool) -> None:
    source, dest = tmp_path / "source", tmp_path / "shards"
    truth = drawn_layout(source, "affectnet-2017", quirks)
    manifest = prepare(source, dest, image_size=SIZE, encoding="png", max_rejected=0.5)
    images = stored_images(dest, manifest)
    keys = Request(60, 24, SIZE, seed=3).keys()
    drawn = dict(zip(truth.kept, keys, strict=False))  # one more image was added as a quirk
    assert len(drawn) == 84
    faces = np.stack([key.draw().astype(int) for key in drawn.values()])
    for number, name in enumerate(drawn):
        # JPEG's loss is small beside the difference to another face, or to this one a pixel off.
        assert np.abs(faces - images[name]).mean(axis=(1, 2, 3)).argmin() == number
        own = faces[number, 1:-1, 1:-1]
        rows, columns = np.mgrid[0:3, 0:3]
        off = [
            np.abs(images[name][row : row + SIZE - 2, column : column + SIZE - 2] - own).mean()
            for row, column in zip(rows.ravel(), columns.ravel(), strict=True)
        ]
        assert int(np.argmin(off)) == 4  # row 1, column 1: where it was drawn


@pytest.mark.slow
def test_every_extension_and_oddity_is_written(tmp_path: Path) -> None:
    truth = drawn_layout(tmp_path, "affectnet-2017")
    extensions = {name.rpartition(".")[2] for name in truth.kept}
    assert extensions == {
        *("jpg", "JPG", "jpeg", "JPEG", "Jpeg", "png", "PNG", "bmp", "BMP", "tif", "TIF")
    }
    training = (tmp_path / LISTS / "training.csv").read_text()
    validation = (tmp_path / LISTS / "validation.csv").read_text()
    assert training.startswith("#subDirectory_filePath,face_x,")
    assert "face_x" not in validation
    lines = list(csv.reader(training.splitlines()))[1:]
    assert any(line[1].endswith(".0") for line in lines)
    assert any(line[2].startswith("-") for line in lines)
    assert {len(line[5].split(";")) for line in lines if len(line) == 9} == {136}
    assert (tmp_path / IMAGES / IMAGES / "1" / "Thumbs.db").is_file()


def doubled_below(source: Path) -> None:
    home = source / "Manually_Annotated"
    home.mkdir()
    (source / IMAGES).rename(home / IMAGES)


def lists_at_the_root(source: Path) -> None:
    for file in (source / LISTS).iterdir():
        file.rename(source / file.name)
    (source / LISTS).rmdir()


def one_folder_deeper(source: Path) -> None:
    home = source / "AffectNet"
    home.mkdir()
    for name in (LISTS, IMAGES):
        (source / name).rename(home / name)


def images_beside_the_lists(source: Path) -> None:
    for folder in (source / IMAGES / IMAGES).iterdir():
        folder.rename(source / folder.name)
    shutil.rmtree(source / IMAGES)
    lists_at_the_root(source)


@pytest.mark.slow
@pytest.mark.parametrize(
    "move", [doubled_below, lists_at_the_root, one_folder_deeper, images_beside_the_lists]
)
def test_wherever_lists_and_images_lie(tmp_path: Path, move: Callable[[Path], None]) -> None:
    source = tmp_path / "source"
    truth = drawn_layout(source, "affectnet-2017")
    move(source)
    assert choose_layout(source, None, SourceOptions()) == "affectnet-2017"
    found = prepared_truth(source, tmp_path / "shards")
    assert found.kept == truth.kept
    assert found.rejected == truth.rejected


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A 2017 copy of three images in training and one in validation, headers in both lists."""
    for number, name in enumerate(("1/a.png", "1/b.png", "2/c.png", "2/d.png")):
        write_picture(tmp_path / IMAGES / name, number)
    write_lists(tmp_path, [line("1/a.png", 0), line("1/b.png", 1), line("2/c.png", 2)])
    return tmp_path


def line(name: str, label: object, box: tuple[object, ...] = (2, 3, 12, 14)) -> tuple[str, ...]:
    return (name, *map(str, box), "1;2;3", str(label), "0.1", "-0.2")


def write_lists(
    source: Path, training: list[tuple[str, ...]], header: tuple[str, ...] = HEADER
) -> None:
    write_csv(source / LISTS / "training.csv", [header, *training])
    write_csv(source / LISTS / "validation.csv", [HEADER, line("2/d.png", 3)])


def test_rows_have_split_label_and_box(lists: Path) -> None:
    rows = rows_of(lists)
    assert kept(rows) == {
        "1/a.png": ("train", 0),
        "1/b.png": ("train", 1),
        "2/c.png": ("train", 2),
        "2/d.png": ("validation", 3),
    }
    boxes = {tuple(row.box) for row in rows if isinstance(row, SourceRow) and row.box}
    assert boxes == {(2.0, 3.0, 12.0, 14.0)}


def test_columns_in_another_order(lists: Path) -> None:
    order = (6, 1, 0, 2, 4, 3, 8, 7, 5)
    turned = [tuple(row[place] for place in order) for row in (line("1/a.png", 5),)]
    write_lists(lists, turned, tuple(HEADER[place] for place in order))
    assert kept(rows_of(lists))["1/a.png"] == ("train", 5)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (line("1/a.png", 1, (0, 0, 0, 9)), "the face box has no size: 0x9 pixels"),
        (line("1/a.png", 1, (0, 0, -3, -3)), "the face box has no size: -3x-3 pixels"),
        (line("1/a.png", 1, ("x", 0, 9, 9)), "face_x is no number of pixels: 'x'"),
        (line("1/a.png", 1, (0, "nan", 9, 9)), "face_y is no number of pixels: 'nan'"),
        (line("1/a.png", 1, (0, 0, "inf", 9)), "face_width is no number of pixels: 'inf'"),
        (line("1/a.png", 1, (0, 0, 9, "1e99")), "face_height is no number of pixels: '1e99'"),
        (line("1/a.png", "joy!"), "unknown label 'joy!'"),
        (line("1/a.png", 11), "unknown label '11'"),
        (line("1/gone.png", 1), "no such file"),
        (line("../a.png", 1), "image path leads out of the source"),
        (line("/etc/passwd", 1), "image path leads out of the source"),
        (line("1/a\0.png", 1), "image path holds a NUL byte"),
        (("1/a.png", "1"), "the line has 2 column(s), not 9"),
        ((*line("1/a.png", 1), "more"), "the line has 10 column(s), not 9"),
        (line("x" * 1_000_000, 1), "the line can't be read: field larger than field limit"),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected_by_line(
    lists: Path, row: tuple[str, ...], reason: str
) -> None:
    write_lists(lists, [line("1/b.png", 1), row, line("2/c.png", 2)])
    rows = rows_of(lists)
    assert set(kept(rows)) == {"1/b.png", "2/c.png", "2/d.png"}
    [(_, number, found)] = reasons(rows)
    assert number == 3
    assert found.startswith(reason)


def test_a_box_outside_the_image_is_rejected_when_it_is_cropped(lists: Path) -> None:
    write_lists(lists, [line("1/a.png", 0, (24, 0, 9, 9)), line("1/b.png", 1)])
    prepare(lists, lists.parent / "shards", image_size=16, max_rejected=0.5)
    rejected = (lists.parent / "shards" / "rejected.csv").read_text()
    assert "1/a.png,2,the face box lies outside the image of 24x24 pixels" in rejected


@pytest.mark.slow
def test_a_margin_keeps_more_around_the_face(tmp_path: Path) -> None:
    source = tmp_path / "source"
    drawn_layout(source, "affectnet-2017", quirks=False)
    wide = tmp_path / "wide"
    manifests = [
        prepare(source, tmp_path / "close", image_size=SIZE, encoding="png"),
        prepare(source, wide, image_size=SIZE, encoding="png", margin=0.25),
    ]
    assert manifests[0].classes == manifests[1].classes
    assert manifests[0].fingerprint != manifests[1].fingerprint
    row = next(row for row in rows_of(source) if isinstance(row, SourceRow) and row.box)
    assert isinstance(row.image, Path)
    assert row.box
    photograph = decode_rgb(row.image.read_bytes())
    left, top, width, height = (int(value) for value in row.box)
    down, across = height // 4, width // 4
    part = photograph[
        max(top - down, 0) : top + height + down, max(left - across, 0) : left + width + across
    ]
    from PIL import Image

    expected = np.asarray(Image.fromarray(part).resize((SIZE, SIZE), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(stored_images(wide, manifests[1])[row.image_id], expected)


def test_an_image_of_both_lists_counts_once(lists: Path) -> None:
    write_csv(lists / LISTS / "validation.csv", [HEADER, line("1/a.png", 0), line("2/d.png", 3)])
    rows = rows_of(lists)
    assert kept(rows)["1/a.png"] == ("train", 0)
    assert reasons(rows) == [
        ("1/a.png", 2, f"line 2 of {LISTS}/training.csv names this image already")
    ]


def test_excluded_codes_count_apart_whatever_their_box(lists: Path) -> None:
    odd = [line("9/gone.png", code, (-5, -5, -5, -5)) for code in (8, 9, 10, "10.0")]
    write_lists(lists, [*odd, line("1/a.png", 0)])
    assert excluded(rows_of(lists)) == {"None": 1, "Uncertain": 1, "No-Face": 2}


def test_a_link_out_of_the_release_is_rejected(lists: Path, tmp_path: Path) -> None:
    secret = tmp_path.parent / "secret.png"
    write_picture(secret, 9)
    (lists / IMAGES / "1" / "a.png").unlink()
    (lists / IMAGES / "1" / "a.png").symlink_to(secret)
    assert reasons(rows_of(lists)) == [("1/a.png", 2, "a link leads out of the source")]


@pytest.mark.parametrize("coding", ["utf-8-sig", "latin-1", "utf-8"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_lists_in_any_coding_and_with_any_line_end(lists: Path, coding: str, end: str) -> None:
    write_picture(lists / IMAGES / "1" / "é.png", 5)
    rows = [HEADER, line("1/é.png", 4), line("1/a.png", 0)]
    text = "".join(",".join(row) + end for row in rows)
    (lists / LISTS / "training.csv").write_bytes(text.encode(coding))
    assert kept(rows_of(lists)) == {
        "1/é.png": ("train", 4),
        "1/a.png": ("train", 0),
        "2/d.png": ("validation", 3),
    }


def test_a_release_without_one_of_its_parts_is_refused(lists: Path) -> None:
    shutil.move(lists / LISTS / "validation.csv", lists / "kept.csv")
    with pytest.raises(DataError, match=r"there is no list .*validation\.csv"):
        rows_of(lists, "affectnet-2017")
    shutil.move(lists / "kept.csv", lists / LISTS / "validation.csv")
    shutil.rmtree(lists / IMAGES)
    with pytest.raises(DataError, match=f"no folder {IMAGES}"):
        rows_of(lists, "affectnet-2017")


def test_an_empty_list_is_refused(lists: Path) -> None:
    (lists / LISTS / "training.csv").write_text("")
    with pytest.raises(DataError, match=r"training\.csv is empty"):
        rows_of(lists, "affectnet-2017")


def test_several_copies_are_refused_by_name(lists: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    for name in ("one", "two"):
        shutil.copytree(lists / LISTS, both / name / LISTS)
        shutil.copytree(lists / IMAGES, both / name / IMAGES)
    with pytest.raises(DataError, match=r"several copies .*one.*two"):
        rows_of(both, "affectnet-2017")


@pytest.fixture
def aligned(tmp_path: Path) -> Path:
    """An aligned copy: images 0, 2, 10 in training and 1 in validation."""
    for folder, number, label in (
        *(("train_set", 0, "0"), ("train_set", 2, "2"), ("train_set", 10, "1")),
        ("val_set", 1, "7"),
    ):
        write_picture(tmp_path / folder / "images" / f"{number}.jpg", number)
        annotations = tmp_path / folder / "annotations"
        annotations.mkdir(exist_ok=True)
        np.save(annotations / f"{number}_exp.npy", np.array(label))
    return tmp_path


def test_aligned_faces_come_by_number(aligned: Path) -> None:
    assert list(kept(rows_of(aligned)).items()) == [
        ("train_set/images/0.jpg", ("train", 0)),
        ("train_set/images/2.jpg", ("train", 2)),
        ("train_set/images/10.jpg", ("train", 1)),
        ("val_set/images/1.jpg", ("validation", 7)),
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.array(["1", "2"]), "holds 2 values, not one"),
        (np.array([], dtype="<U1"), "holds 0 values, not one"),
        (np.array("anger?"), "unknown label 'anger?'"),
        (np.array(2.5), "unknown label '2.5'"),
        (np.array(True), "unknown label 'True'"),
        (b"", "empty file"),
        (b"\x93NUMPY\x01\x00", "not a NumPy array of one value"),
        (b"x" * 5000, "over 4096 bytes"),
    ],
)
def test_an_annotation_that_is_no_label_is_rejected(
    aligned: Path, value: "np.ndarray | bytes", reason: str
) -> None:
    file = aligned / "train_set" / "annotations" / "2_exp.npy"
    if isinstance(value, bytes):
        file.write_bytes(value)
    else:
        np.save(file, value)
    [(name, row, found)] = reasons(rows_of(aligned))
    assert (name, row) == ("train_set/images/2.jpg", None)
    assert found.startswith(f"annotation 2_exp.npy: {reason}")


def test_a_label_is_never_run_as_code(aligned: Path, tmp_path: Path) -> None:
    from datasets.synthetic.affectnet_aligned import _RunsCode

    file = aligned / "train_set" / "annotations" / "2_exp.npy"
    np.save(file, np.array([_RunsCode()], dtype=object))
    with pytest.raises(SystemExit, match="run as code"):
        np.load(file, allow_pickle=True)  # the trap is live
    [(_, _, found)] = reasons(rows_of(aligned))
    assert "not a NumPy array of one value" in found


def test_a_huge_array_is_refused_by_its_header(aligned: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (aligned / "train_set" / "annotations" / "2_exp.npy").write_bytes(data)
    [(_, _, found)] = reasons(rows_of(aligned))
    assert found == "annotation 2_exp.npy: holds 99999999999 values, not one"


def test_one_image_per_number(aligned: Path) -> None:
    write_picture(aligned / "train_set" / "images" / "2.png", 7)
    rows = rows_of(aligned)
    assert reasons(rows) == [("train_set/images/2.png", None, "2.jpg has this number already")]


def test_an_aligned_release_without_a_split_is_refused(aligned: Path) -> None:
    shutil.rmtree(aligned / "val_set")
    with pytest.raises(DataError, match=r"there is no .*val_set"):
        rows_of(aligned, "affectnet-aligned")
    with pytest.raises(DataError, match="not AffectNet's aligned release"):
        list(SOURCES["affectnet-aligned"].rows(aligned / "train_set", SourceOptions()))
