"""Copies of which only the names tell are found, and names that tell nothing raise no alarm."""

from pathlib import Path

import pytest
from PIL import ImageOps

from datasets.audit import Audit, audit, leaked_train_ids
from datasets.copy_names import name_families
from datasets.manifest import SplitName
from datasets.shards import ShardRow
from tests.made_up_shards import write_shards
from tests.test_audit import SIZE, cropped, face, jpeg


def families(*image_ids: str, labels: list[int] | None = None) -> list[list[str]]:
    found = name_families(image_ids, labels or [0] * len(image_ids))
    return [[image_ids[number] for number in family] for family in found]


COPIES = [
    "X7.jpg0.jpg",
    "X7.jpg.jpg",
    "X7.jpg_rot.png",
    "X7_aug3.jpg",
    "X7_aug_3.PNG",
    "X7_augmented.jpg",
    "X7-aug.jpg",
    "X7(2).jpg",
    "X7_flip.jpg",
    "X7_hflip.jpg",
    "X7_mirrored.jpg",
    "X7_copy.jpg",
    "X7_copy_2.jpg",
    "X7-rotated.jpg",
    "X7_rot15.jpg",
    "X7_rot-15.jpg",
    "X7_rotate_7.5.jpg",
    "X7_rotated_15deg.jpg",
    "X7_crop.jpg",
    "X7_crop_0.9.jpg",
    "X7_inverted.jpg",
    "X7_shift_3_-5.jpg",
    "X7.noise.jpg",
    "X7_dark.jpg",
    "X7_horizontal_flip.jpg",
    "X7_rot_15_flip_aug2.jpg",
    "X7_0_5123.jpeg",
    "aug_0_X7.jpg",
    "aug-X7.jpg",
    "flip_X7.jpg",
    "rot10_X7.jpg",
    "copy_of_X7.jpg",
    "x7_AUG1.jpg",
]
WITH_BLANKS = (
    "X7 (1).jpg",
    "X7 - Copy.jpg",
    "X7 - Copy (2).jpg",
    "X7 copy 2.jpg",
    "Copy of X7.jpg",
)


@pytest.mark.parametrize("copy", [*COPIES, *WITH_BLANKS])
@pytest.mark.parametrize("original", ["X7.jpg", "train_00001_aligned.jpg", "0a1b" * 14 + ".jpg"])
def test_a_copy_is_known_by_its_name(copy: str, original: str) -> None:
    stem = original.removesuffix(".jpg")
    copy = copy.replace("X7", stem).replace("x7", stem.upper())
    assert families(f"val/{original}", f"train/{copy}") == [[f"val/{original}", f"train/{copy}"]]
    assert families(f"0/{copy}", f"0/{original}", "0/Y.jpg") == [[f"0/{original}", f"0/{copy}"]]


def test_copies_belong_together_without_their_original_where_names_leave_no_doubt() -> None:
    assert families("a/x7_aug1.jpg", "b/x7_aug2.jpg") == [["a/x7_aug1.jpg", "b/x7_aug2.jpg"]]
    assert families("a/x7.jpg0.jpg", "b/x7.jpg1.jpg") == [["a/x7.jpg0.jpg", "b/x7.jpg1.jpg"]]
    # These may number frames or say how a photo was taken.
    assert families("a/x7_crop_1.jpg", "b/x7_crop_2.jpg") == []
    assert families("a/x7_dark.jpg", "b/x7_bright.jpg") == []
    assert families("a/x7 (1).jpg", "b/x7 (2).jpg") == []
    assert families("a/face_aug1.jpg", "b/face_aug2.jpg") == []
    assert families("a/7_aug1.jpg", "b/7_aug2.jpg") == []
    assert families("a/7_aug1.jpg", "a/7_aug2.jpg") == [["a/7_aug1.jpg", "a/7_aug2.jpg"]]


def test_copies_of_copies_belong_to_the_one_original() -> None:
    names = ("a/x (7)_flip.jpg", "a/x (7).jpg", "b/x (7)_flip_rot5.jpg")
    assert families(*names) == [[names[1], names[0], names[2]]]


UNRELATED = (
    [f"image{number:07d}.jpg" for number in range(6, 400, 7)],
    [f"train_{number:05d}_aligned.jpg" for number in range(1, 60)],
    [f"test_{number:04d}_aligned.jpg" for number in range(1, 60)],
    [f"fer{number:07d}.png" for number in range(60)],
    [f"{number * 2654435761 % 2**61:056x}.jpg" for number in range(1, 60)],  # AffectNet's
    [f"Training_{number * 7919}.jpg" for number in range(60)],
    [f"S005_001_{number:08d}.png" for number in range(1, 60)],
    [f"KA.AN{number}.{number + 38}.tiff" for number in range(1, 4)],
    ["AF01ANS.JPG", "AF01ANHL.JPG", "BF01ANS.JPG"],
    [f"Alan_Jackson_{number:04d}.jpg" for number in range(1, 20)],
    [f"happy ({number}).jpg" for number in range(1, 60)],
    ["images.jpg", *(f"images ({number}).jpg" for number in range(1, 60))],
    [f"{number}.jpg" for number in range(60)],
    [f"aug_{number}.jpg" for number in range(60)],
    [f"aug_{number}_{number * 7919 % 10000}.jpg" for number in range(60)],
    [f"face_aug{number}.jpg" for number in range(60)],
    [f"person{person}_rot_{turn}.jpg" for person in range(4) for turn in (0, 15, 30)],
    [f"ffhq_{number}_jpg.rf.{number:032x}.jpg" for number in range(60)],
    [f"train-00000-of-00001.parquet:{number}" for number in range(60)],
)


@pytest.mark.parametrize("names", UNRELATED, ids=lambda names: names[0])
def test_names_of_known_sets_are_no_copies(names: list[str]) -> None:
    assert families(*names) == []
    assert families(*(f"{n % 3}/{name}" for n, name in enumerate(names))) == []
    # Numbers that begin anew in each split and class.
    assert families(*(f"{folder}/{name}" for folder in "abc" for name in names)) == []


def test_numbers_that_begin_anew_in_each_folder_are_not_mixed_up() -> None:
    both = [f"{split}/0/{name}" for split in ("train", "val") for name in ("i1.jpg", "i1_flip.jpg")]
    assert families(*both) == [both[:2], both[2:]]
    # Whose copy it is can't be told, nor of which numbers another label's are.
    assert families("train/0/i1.jpg", "val/0/i1.jpg", "more/i1_flip.jpg") == []
    assert families("train/1.jpg", "val/1_flip.jpg", labels=[2, 3]) == []
    assert families("a/i1_aug0.jpg", "b/i1_aug0.jpg", "b/i1_aug1.jpg") == [
        ["b/i1_aug0.jpg", "b/i1_aug1.jpg"]
    ]


CHANGES = {
    "rot12": lambda one: one.rotate(12),
    "crop": lambda one: cropped(one, 0.1, 0.1, 0.0, 0.05),
    "inverted": ImageOps.invert,
}
COPIED = 60


@pytest.fixture(scope="module")
def rows() -> dict[SplitName, list[ShardRow]]:
    """Faces in training; in validation others, and changed copies of most of training's."""

    def changed(number: int) -> ShardRow:
        word = list(CHANGES)[number % 3]
        return ShardRow(f"val/img{number}_{word}.jpg", 1, jpeg(CHANGES[word](face(number))))

    return {
        "train": [ShardRow(f"train/img{n}.jpg", 1, jpeg(face(n))) for n in range(COPIED + 5)],
        "validation": [ShardRow(f"val/v{n}.jpg", 2, jpeg(face(100 + n))) for n in range(5)]
        + [changed(number) for number in range(COPIED)],
    }


def audited(directory: Path, rows: dict[SplitName, list[ShardRow]]) -> Audit:
    return audit(directory, write_shards(directory, rows, image_size=SIZE), workers=1)


@pytest.mark.slow
def test_rotated_cropped_and_inverted_copies_are_found_by_name(
    rows: dict[SplitName, list[ShardRow]], tmp_path: Path
) -> None:
    nameless = {
        split: [row._replace(image_id=f"{split}{n}.jpg") for n, row in enumerate(each)]
        for split, each in rows.items()
    }
    assert audited(tmp_path / "nameless", nameless).groups == ()
    found = audited(tmp_path / "named", rows)
    assert {group.kind for group in found.groups} == {"name"}
    assert found.num_named() == found.num_duplicates() == 2 * COPIED
    for split in ("train", "validation"):
        assert found.num_leaked(split) == found.num_leaked(split, "name") == COPIED
    for one in found.members():
        number = one.image_id.split("img")[1].split("_")[0].removesuffix(".jpg")
        assert one.duplicate_of.split("img")[1].split("_")[0].removesuffix(".jpg") == number
        assert (one.leak, one.equal, one.conflict) == (True, 0, False)
        assert one.similarity < 0.97
    assert leaked_train_ids(found) == frozenset()  # a name may lie: they are only told


def test_what_pixels_tell_comes_before_names(tmp_path: Path) -> None:
    rows: dict[SplitName, list[ShardRow]] = {
        "train": [
            ShardRow("train/img1.jpg", 1, jpeg(face(1))),
            ShardRow("train/other.jpg", 1, jpeg(face(1))),
            ShardRow("train/img2.jpg", 1, jpeg(face(2))),
            ShardRow("train/img2_rot20.jpg", 1, jpeg(face(2).rotate(20))),
        ],
        "validation": [
            ShardRow("val/img1_rot20.jpg", 1, jpeg(face(1).rotate(20))),
            ShardRow("val/img2_copy.jpg", 1, jpeg(face(2))),
        ],
    }
    found = audited(tmp_path, rows)
    told = {one.image_id: (one.kind, one.duplicate_of, one.equal) for one in found.members()}
    assert told == {
        "train/img1.jpg": ("name", "val/img1_rot20.jpg", 1),
        "train/other.jpg": ("name", "val/img1_rot20.jpg", 1),  # it has the pixels of img1
        "train/img2.jpg": ("exact", "val/img2_copy.jpg", 1),
        "train/img2_rot20.jpg": ("name", "val/img2_copy.jpg", 0),
        "val/img1_rot20.jpg": ("name", "train/img1.jpg", 0),
        "val/img2_copy.jpg": ("exact", "train/img2.jpg", 1),
    }
    assert [group.kind for group in found.groups] == ["name", "near"]
