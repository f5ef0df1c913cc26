"""Which images are one group: by what the user says, or by the names of a known set."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from datasets.division import Division, divide
from datasets.errors import ConfigError, DataError
from datasets.groups import FoundGroups, find_groups
from datasets.manifest import SplitName
from datasets.sources import Origin, SourceOptions, SourceRow, choose_layout
from tests.shard_data import write_picture

CONTEMPT = 7


def source_rows(
    names: Sequence[str], labels: Sequence[int] | None = None, split: SplitName | None = None
) -> list[SourceRow]:
    """Rows of these names; labels in turn where none are given."""
    labels = [place % 7 for place in range(len(names))] if labels is None else labels
    return [
        SourceRow(name, label, split, Path(name), Origin(name))
        for name, label in zip(names, labels, strict=True)
    ]


def found(names: Sequence[str], labels: Sequence[int] | None = None, **options) -> FoundGroups:
    return find_groups(source_rows(names, labels), SourceOptions(**options), "SOURCE")


def group_names(found: FoundGroups) -> list[str]:
    assert found.groups is not None
    return [name for _, name in found.groups.keys]


def test_the_first_capture_group_or_the_whole_match_is_the_group() -> None:
    names = ["happy/p1_a.png", "sad/p1_b.png", "sad/p20_a.png"]
    for pattern in (r"p\d+", r"/(p\d+)_([ab])", r"(?<=/)p\d+"):
        assert group_names(found(names, group_by=pattern)) == ["p1", "p1", "p20"]
    assert group_names(found(names, group_by="^[a-z]+")) == ["happy", "sad", "sad"]


def test_images_of_no_group_stand_alone_and_are_counted() -> None:
    names = [f"p{n // 4}_{n}.png" for n in range(20)]
    groups, remarks = found([*names, "x.png", "_.png"], group_by=r"^(p\d+)?")
    assert groups is not None
    assert groups.keys[-2:] == [("image", "x.png"), ("image", "_.png")]
    assert len(groups.names) == 5
    assert remarks == {r"without a group by --group-by ^(p\d+)?, so each a group of its own": 2}


def test_a_pattern_that_groups_too_few_is_refused_with_an_example() -> None:
    names = [f"p{n}.png" for n in range(8)] + ["x.png", "y.png"]
    with pytest.raises(DataError, match=r"gives 8 of 10 images of SOURCE a group.*'x\.png'.*90 %"):
        found(names, group_by=r"p\d")
    with pytest.raises(DataError, match=r"gives 0 of 10 images of SOURCE a group"):
        found(names, group_by=r"S\d{3}")


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--group-by '\(' is no regular expression \(missing"):
        SourceOptions(group_by="(")
    with pytest.raises(ConfigError, match="give one"):
        SourceOptions(group_by="x", group_column="y")
    with pytest.raises(ConfigError, match="group_by is empty"):
        SourceOptions(group_by="")
    write_picture(tmp_path / "happy" / "a.png", 1)
    with pytest.raises(ConfigError, match=r"--group-column means nothing .*hub-parquet, csv-fold"):
        choose_layout(tmp_path, None, SourceOptions(group_column="person"))
    assert choose_layout(tmp_path, None, SourceOptions(group_by="x")) == "class-folders"


CK48 = [f"S{10 + n // 6:03}_00{n % 6 // 3 + 1}_000000{n % 3 + 15}.png" for n in range(60)]
JAFFE = [
    f"{person}.{emotion}{take}.{10 * n + take}.tiff"
    for n, person in enumerate(("KA", "KL", "YM"))
    for emotion in ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
    for take in (1, 2, 3)
]
KDEF = [
    f"{session}{person}{emotion}{angle}.JPG"
    for session in "AB"
    for person in ("F01", "M01", "F35")
    for emotion in ("AF", "AN", "DI", "HA", "NE", "SA", "SU")
    for angle in ("S", "HL", "FR")
]


@pytest.mark.parametrize(
    ("names", "persons", "told"),
    [
        (CK48, {f"CK+ S{n:03}" for n in range(10, 20)}, "persons of CK+,"),
        (["S005_001_00000011.png"] * 4, {"CK+ S005"}, "persons of CK+,"),
        (JAFFE, {"JAFFE KA", "JAFFE KL", "JAFFE YM"}, "persons of JAFFE,"),
        (KDEF, {"KDEF F01", "KDEF M01", "KDEF F35"}, "persons of KDEF,"),
        ([name.lower() for name in KDEF], {"KDEF F01", "KDEF M01", "KDEF F35"}, "of KDEF,"),
        (
            [*CK48[:6], *JAFFE[:21]],
            {"CK+ S010", "JAFFE KA"},
            "persons of CK+ and JAFFE,",
        ),
    ],
)
def test_known_sets_know_their_persons(names: list[str], persons: set[str], told: str) -> None:
    paths = [f"train/angry/{name}" for name in names]
    known = found(paths)
    assert set(group_names(known)) == persons
    assert known.groups is not None
    assert told in known.groups.told
    assert "--group-by none turns it off" in known.groups.told
    assert known.remarks == {}
    assert found(paths, group_by="none") == FoundGroups(None, {})


def test_a_set_is_known_by_nine_in_ten_of_its_names() -> None:
    assert found([*CK48, *(f"extra{n}.png" for n in range(7))]).groups is None
    groups, remarks = found([*CK48, *(f"extra{n}.png" for n in range(6))])
    assert groups is not None
    assert len(groups.names) == 10
    assert list(remarks.values()) == [6]
    assert found(CK48, group_by=r"_(\d{3})_").groups != groups


def test_names_like_subject_and_sequence_are_pointed_at() -> None:
    names = [f"sub{n // 6:02}_img{n % 6}.png" for n in range(120)]
    groups, remarks = found(names)
    assert groups is None
    assert remarks == {
        "names look like several images of one person or sequence (such as sub00_img0.png and "
        "sub00_img1.png): give --group-by to keep them in one split": 120
    }
    assert found(names, group_by="none") == FoundGroups(None, {})
    # Sequences of one label each, in more prefixes than there could be classes.
    labels = [n // 6 % 7 for n in range(300)]
    assert found([f"{n // 6:03}-03-{n % 6:04}.jpg" for n in range(300)], labels).remarks
    copies = [f"happy/image{n // 3:07}_{n % 3}.jpg" for n in range(150)]
    assert found(copies, [1] * 150).remarks


def numbers(pattern: str, count: int = 400) -> list[str]:
    return [pattern.format(n) for n in range(count)]


def digests(pattern: str, count: int = 400) -> list[str]:
    return [pattern.format(hashlib.md5(str(n).encode()).hexdigest(), n) for n in range(count)]


NO_PERSONS = {
    "AffectNet on Kaggle": [*numbers("happy/image{:07}.jpg"), *numbers("sad/ffhq_{}.png")],
    "AffectNet 2017": digests("103/{0}.jpg"),
    "AffectNet aligned": numbers("train_set/images/{}.jpg"),
    "RAF-DB": [*numbers("train_{:05}_aligned.jpg"), *numbers("test_{:04}_aligned.jpg")],
    "RAF-DB, originals": [*numbers("train_{:05}.jpg"), *numbers("test_{:04}.jpg")],
    "FER2013": numbers("fer{:07}.png"),
    "FER2013 as folders": [*numbers("Training_{}.jpg"), *numbers("PublicTest_{}.jpg")],
    "FER2013, other folders": numbers("train/angry/im{}.png"),
    "YOLO": digests("train/images/image{1:07}_jpg.rf.{0}.jpg"),
    "YOLO with copies": digests("train/images/ffhq_{1}_png.rf.{0}.jpg"),
    "Parquet": numbers("data/train-00000-of-00003.parquet:{}"),
    "ExpW": [f"{word}_actor_{n}.jpg" for word in ("angry", "happy", "sad") for n in range(99)],
    "ExpW, crops": [f"awe_struck_{n - n % 4 // 3}_{n % 4}.jpg" for n in range(200)],
    "one prefix": numbers("affectnet8_{:06}.png"),
    "a crop of each image": numbers("image{:07}_0.jpg"),
    "UTKFace": [f"{n % 90}_{n % 2}_{n % 5}_20170116174525{n:03}.jpg" for n in range(400)],
    "films": [f"Airheads_{n:09}_00000005.png" for n in range(400)],
    "drawn": numbers("drawn/train/{:06}"),
    "parts of a set": [f"part{n % 5}_{n}.png" for n in range(400)],
    "large parts of a set": [f"part{n % 10}_{n}.png" for n in range(6000)],
    "few": ["a1_1.png", "a1_2.png", "b1_1.png"],
}


@pytest.mark.parametrize("name", NO_PERSONS)
def test_no_false_alarm(name: str) -> None:
    assert found(NO_PERSONS[name]) == FoundGroups(None, {})


@pytest.mark.parametrize("pattern", ["{0}_{1:04}.png", "train_{0}_{1:05}.jpg", "{0}-img{1}.png"])
def test_a_label_before_the_number_is_no_person(pattern: str) -> None:
    labels = [place % 8 for place in range(400)]
    names = [pattern.format(label, place) for place, label in enumerate(labels)]
    assert found(names, labels) == FoundGroups(None, {})


def divided(rows: list[SourceRow], **options) -> Division:
    groups = find_groups(rows, SourceOptions(**options), "SOURCE").groups
    return divide(rows, groups, 0.2, 0)


def test_groups_of_a_divided_source_are_counted_and_not_moved() -> None:
    rows = [
        *source_rows([f"train/{name}" for name in CK48[:36]], split="train"),
        *source_rows([f"val/{name}" for name in CK48[30:]], split="validation"),
    ]
    found = divided(rows)
    assert found.by_split == {"train": list(range(36)), "validation": list(range(36, 66))}
    assert found.told.startswith("the source's own; of 10 groups (persons of CK+,")
    assert found.told.endswith(") 1 are in both splits")
    assert divided(rows, group_by="none").told == "the source's own"


def test_no_line_on_names_where_the_source_is_divided() -> None:
    rows = source_rows([f"sub{n // 6:02}_img{n % 6}.png" for n in range(120)], split="train")
    assert find_groups(rows, SourceOptions(), "SOURCE") == FoundGroups(None, {})


def test_images_beside_a_split_go_where_their_group_is() -> None:
    kinds: list[tuple[str, SplitName | None]] = [
        *(("a1", "train"), ("a2", None), ("b1", "validation"), ("b2", None)),
        *(("c1", "train"), ("c2", "validation"), ("c3", None)),
    ]
    rows = [source_rows([name], [1], split)[0] for name, split in kinds]
    for seed in range(9):
        groups = find_groups(rows, SourceOptions(group_by="^[a-z]"), "SOURCE").groups
        found = divide(rows, groups, 0.2, seed)
        assert found.by_split == {"train": [0, 1, 4, 6], "validation": [2, 3, 5]}
    assert found.told.endswith("of 3 groups (--group-by ^[a-z]) 1 are in both splits")


def test_a_class_of_one_group_is_told() -> None:
    names = [f"p{n // 8}_{n % 8}.png" for n in range(80)]
    labels = [CONTEMPT if n // 8 == 3 and n % 8 > 4 else n % 2 + 1 for n in range(80)]
    found = divided(source_rows(names, labels), group_by=r"p\d")
    places = [place for place, label in enumerate(labels) if label == CONTEMPT]
    (where,) = {split for split in found.by_split if places[0] in found.by_split[split]}
    other = "train" if where == "validation" else "validation"
    remark = f"Contempt has no image in {other}: all its images are of one group"
    assert found.remarks == {remark: 3}
    assert "2 whole ones held out" in found.told


def test_classes_that_rule_each_other_out_are_told() -> None:
    rows = source_rows(["a0", "a1", "b1", "b2", "c2", "c0"], [0, 1, 1, 2, 2, 0])
    (remark,) = divided(rows, group_by="^[abc]").remarks
    assert remark.endswith(": because of the groups")


def test_groups_that_can_not_be_divided_are_refused() -> None:
    one = source_rows(["p1_a.png", "p1_b.png"], [1, 2])
    with pytest.raises(
        DataError, match=r"no image for validation.* 1 group\(s\) .*--group-by none"
    ):
        divided(one, group_by="p1")
    by_class = source_rows([f"{n % 2}_{n}.png" for n in range(20)], [n % 2 for n in range(20)])
    with pytest.raises(DataError, match=r"2 group\(s\) \(--group-by \^\.\), of which no two have"):
        divided(by_class, group_by="^.")
