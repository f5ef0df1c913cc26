"""Images of one person or sequence stay in one split, or it is said that they do not."""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from datasets.division import Division, divide
from datasets.errors import ConfigError, DataError
from datasets.group_splits import GroupKey, validation_by_groups
from datasets.groups import FoundGroups, find_groups
from datasets.inspection import inspect_shards
from datasets.manifest import Manifest, SplitName, read_manifest
from datasets.prepare import prepare
from datasets.shards import read_checked
from datasets.sources import Origin, SourceOptions, SourceRow, choose_layout
from datasets.splits import held_out_count, validation_rows
from orchestrator.cli import app
from tests.layout_checks import rows_of
from tests.shard_data import picture, write_csv, write_picture

CONTEMPT = 7

# ---- the method -------------------------------------------------------------------------------


def grouped(most: int = 25) -> st.SearchStrategy[tuple[list[int], list[GroupKey]]]:
    """Labels and the groups of images: from groups of one class to groups of all."""

    def rows(by_group: list[list[int]]) -> tuple[list[int], list[GroupKey]]:
        labels = [label for members in by_group for label in members]
        groups = [("group", f"g{n}") for n, members in enumerate(by_group) for _ in members]
        return labels, groups

    members = st.lists(st.integers(0, 7), min_size=1, max_size=12)
    return st.lists(members, min_size=1, max_size=most).map(rows)


FRACTIONS = st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.5, 0.7])
SEEDS = st.integers(0, 2**64 - 1)


def held_groups(chosen: frozenset[int], groups: Sequence[GroupKey]) -> set[GroupKey]:
    return {groups[place] for place in chosen}


@given(data=grouped(), fraction=FRACTIONS, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_no_group_is_parted(data, fraction, seed) -> None:
    labels, groups = data
    chosen = validation_by_groups(labels, groups, fraction, seed)
    inside = held_groups(chosen, groups)
    assert chosen == {place for place, group in enumerate(groups) if group in inside}


@given(data=grouped(most=8), fraction=FRACTIONS, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_each_class_that_can_be_is_in_both_splits(data, fraction, seed) -> None:
    labels, groups = data
    classes = defaultdict(set)
    for label, group in zip(labels, groups, strict=True):
        classes[label].add(group)
    several = [members for members in classes.values() if len(members) > 1]
    names = sorted(set(groups))
    held = held_groups(validation_by_groups(labels, groups, fraction, seed), groups)

    def all_are_in_both(chosen: set[GroupKey]) -> bool:
        return all(members & chosen and members - chosen for members in several)

    ways = product([False, True], repeat=len(names))
    if any(all_are_in_both({n for n, out in zip(names, way, strict=True) if out}) for way in ways):
        assert all_are_in_both(held)
    elif several:
        assert any(members & held and members - held for members in several)


def test_where_classes_rule_each_other_out_most_are_in_both() -> None:
    # Three groups, three classes, each in two of the groups: two of the classes at most.
    labels = [0, 1, 1, 2, 2, 0]
    groups = [("group", name) for name in "aabbcc"]
    for seed in range(9):
        held = held_groups(validation_by_groups(labels, groups, 0.3, seed), groups)
        members = [{("group", name) for name in pair} for pair in ("ac", "ab", "bc")]
        assert sum(bool(one & held and one - held) for one in members) == 2


@given(data=grouped(), fraction=FRACTIONS, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_no_group_could_change_its_split_and_bring_the_shares_nearer(data, fraction, seed) -> None:
    labels, groups = data
    images = Counter(labels)
    held = held_groups(validation_by_groups(labels, groups, fraction, seed), groups)

    def counts(chosen: set[GroupKey]) -> Counter[int]:
        pairs = zip(labels, groups, strict=True)
        return Counter(label for label, group in pairs if group in chosen)

    def distance(found: Counter[int]) -> Fraction:
        wanted = {label: held_out_count(n, fraction) for label, n in images.items()}
        return sum(
            (Fraction(found[one] - wanted[one], n) ** 2 for one, n in images.items()), Fraction()
        )

    def in_both(found: Counter[int]) -> set[int]:
        return {one for one, n in images.items() if 0 < found[one] < n}

    here = counts(held)
    for group in set(groups):
        there = counts(held ^ {group})
        if in_both(here) <= in_both(there):
            assert distance(there) > distance(here) - Fraction(1, 10**6)


@given(labels=st.lists(st.integers(0, 7), max_size=100), fraction=FRACTIONS, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_groups_of_one_image_are_as_stratified_as_images(labels, fraction, seed) -> None:
    groups = [("group", str(place)) for place in range(len(labels))]
    chosen = validation_by_groups(labels, groups, fraction, seed)
    for label, count in Counter(labels).items():
        held = sum(labels[place] == label for place in chosen)
        assert held == held_out_count(count, fraction)


@given(data=grouped(), seed=SEEDS, shuffle=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_rows_does_not_matter(data, seed, shuffle) -> None:
    labels, groups = data
    order = list(range(len(labels)))
    shuffle.shuffle(order)
    other_groups = [groups[place] for place in order]
    other = validation_by_groups([labels[place] for place in order], other_groups, 0.2, seed)
    mine = validation_by_groups(labels, groups, 0.2, seed)
    assert held_groups(mine, groups) == held_groups(other, other_groups)


def faces(persons: int, images: int) -> tuple[list[int], list[GroupKey]]:
    rng = random.Random(0)
    rows = [
        (rng.randrange(7), ("group", f"S{p:03}")) for p in range(persons) for _ in range(images)
    ]
    return [label for label, _ in rows], [group for _, group in rows]


def test_the_seed_decides_and_nothing_else() -> None:
    labels, groups = faces(30, 10)
    by_seed = [held_groups(validation_by_groups(labels, groups, 0.2, s), groups) for s in range(20)]
    assert len(set(map(frozenset, by_seed))) == 20
    assert by_seed[3] == held_groups(validation_by_groups(labels, groups, 0.2, 3), groups)
    # Each person is held out by some seeds, about as often as the others.
    often = Counter(group for one in by_seed for group in one)
    assert len(often) > 27
    assert max(often.values()) <= 10
    # The very persons: a changed method would change people's splits.
    assert sorted(name for _, name in by_seed[0]) == SEED_0


SEED_0 = ["S001", "S013", "S021", "S022", "S023", "S029"]


def test_shares_of_many_persons_are_near_the_fraction() -> None:
    labels, groups = faces(120, 8)
    for fraction in (0.1, 0.2, 0.5):
        chosen = validation_by_groups(labels, groups, fraction, 1)
        for label, count in Counter(labels).items():
            held = sum(labels[place] == label for place in chosen)
            assert abs(held / count - fraction) < 0.03


def test_without_groups_the_split_is_what_it_always_was() -> None:
    rng = random.Random(0)
    labels = [min(rng.randrange(12), 7) for _ in range(5000)]
    asked = ((0.2, 0), (0.05, 7), (0.5, 2**40))
    digests = [
        hashlib.sha256(repr(sorted(validation_rows(labels, *one))).encode()).hexdigest()[:16]
        for one in asked
    ]
    assert digests == ["fa1369d13f725bbb", "3fe5259d228e5526", "0f4865b74969f950"]


def test_a_fraction_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"1\.0"):
        validation_by_groups([0, 1], [("group", "a"), ("group", "b")], 1.0, 0)


# ---- what is a group --------------------------------------------------------------------------


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


# ---- what becomes of them ---------------------------------------------------------------------


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


def persons_of(dest: Path, manifest: Manifest) -> dict[str, set[str]]:
    """The persons in each split, by the first four characters of the file's name."""
    return {
        split: {
            row.image_id.split("/")[-1][:4]
            for shard in manifest.of_split(split)
            for row in read_checked(dest, manifest, shard)
        }
        for split in ("train", "validation")
    }


def ck48(root: Path) -> Path:
    """CK+48 in small: ten persons, two expressions each, three neighbouring frames of each."""
    for number, name in enumerate(CK48):
        expression = ("anger", "happy", "sadness")[(number // 6 + number % 6 // 3) % 3]
        write_picture(root / expression / name, number)
    return root


def test_ck_is_divided_by_person(tmp_path: Path) -> None:
    manifest = prepare(ck48(tmp_path / "CK+48"), tmp_path / "shards", image_size=24)
    persons = persons_of(tmp_path / "shards", manifest)
    assert persons["train"].isdisjoint(persons["validation"])
    assert len(persons["validation"]) == 2
    assert manifest.division == (
        "0.2 of each class held out, seed 0; of 10 groups (persons of CK+, by the names of the "
        "images; --group-by none turns it off) 2 whole ones held out"
    )
    assert inspect_shards(manifest).division == manifest.division
    for name in ("Anger", "Happiness", "Sadness"):
        assert manifest.classes["validation"][name] > 0
    assert prepare(tmp_path / "CK+48", tmp_path / "shards", image_size=24) == manifest


def test_the_request_has_the_option_and_another_one_is_another_request(tmp_path: Path) -> None:
    source, dest = ck48(tmp_path / "CK+48"), tmp_path / "shards"
    manifest = prepare(source, dest, image_size=24, group_by="none")
    assert manifest.request["group_by"] == "none"
    assert manifest.division == "0.2 of each class held out, seed 0"
    persons = persons_of(dest, manifest)
    assert persons["train"] & persons["validation"]
    with pytest.raises(DataError, match=r"group_by: 'none' there, None asked for"):
        prepare(source, dest, image_size=24)


def csv_of_persons(root: Path) -> Path:
    lines = [("image", "label", "Person", "other")]
    for n in range(40):
        write_picture(root / f"{n}.png", n)
        lines.append((f"{n}.png", ("happy", "sad")[n % 2], f" p{n // 4} ", "x"))
    write_csv(root / "list.csv", lines)
    return root


def test_a_column_of_a_csv_is_the_group(tmp_path: Path) -> None:
    source = csv_of_persons(tmp_path / "source")
    manifest = prepare(source, tmp_path / "shards", image_size=24, group_column="person")
    persons = [
        {
            int(row.image_id.split(".")[0]) // 4
            for row in read_checked(tmp_path / "shards", manifest, s)
        }
        for s in manifest.shards
    ]
    assert len(persons) == 2
    assert persons[0].isdisjoint(persons[1])
    assert manifest.request["group_column"] == "person"
    assert "of 10 groups (--group-column person) 2 whole ones held out" in manifest.division
    with pytest.raises(DataError, match=r"no column 'persona'; .*Person.*--group-column"):
        rows_of(source, group_column="persona")


def test_lines_without_a_group_stand_alone_if_they_are_few(tmp_path: Path) -> None:
    source = csv_of_persons(tmp_path / "source")
    lines = (source / "list.csv").read_text().splitlines()
    (source / "list.csv").write_text(
        "\n".join([*lines[:-2], *(ln.replace("p9", "") for ln in lines[-2:])])
    )
    rows = [row for row in rows_of(source, group_column="Person") if isinstance(row, SourceRow)]
    assert [row.group for row in rows[-4:]] == ["p9", "p9", None, None]
    options = SourceOptions(group_column="Person")
    assert list(find_groups(rows, options, "x").remarks.values()) == [2]
    with pytest.raises(DataError, match=r"--group-column Person gives 38 of 43 images"):
        find_groups([*rows, *rows[-1:] * 3], options, "x")


def test_a_column_of_groups_may_have_a_name_of_splits(tmp_path: Path) -> None:
    lines = [("image", "label", "subset")]
    for n in range(20):
        write_picture(tmp_path / f"{n}.png", n)
        lines.append((f"{n}.png", "happy", ("train", "val", "a", "b")[n % 4]))
    write_csv(tmp_path / "list.csv", lines)
    rows = [row for row in rows_of(tmp_path, group_column="subset") if isinstance(row, SourceRow)]
    assert {(row.split, row.group) for row in rows} == {
        (None, name) for name in ("train", "val", "a", "b")
    }


def parquet_of_persons(root: Path, persons: pa.Array, paths: Sequence[str | None]) -> Path:
    images = [{"bytes": png(n), "path": path} for n, path in enumerate(paths)]
    labels = [("happy", "sad")[n % 2] for n in range(len(paths))]
    table = pa.table({"image": images, "label": labels, "Person": persons})
    root.mkdir()
    pq.write_table(table, root / "faces.parquet", row_group_size=7)
    return root


def png(number: int) -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture(number)).save(stream, "PNG")
    return stream.getvalue()


def test_a_column_of_parquet_is_the_group(tmp_path: Path) -> None:
    numbers = pa.array([float(n // 4) if n else None for n in range(40)])
    source = parquet_of_persons(tmp_path / "source", numbers, [None] * 40)
    rows = [row for row in rows_of(source, group_column="person") if isinstance(row, SourceRow)]
    assert [row.group for row in rows] == [None, *(str(n // 4) for n in range(1, 40))]
    manifest = prepare(source, tmp_path / "shards", image_size=24, group_column="person")
    assert "of 10 groups (--group-column person)" in manifest.division
    table = pq.read_table(source / "faces.parquet").rename_columns(["image", "label", "subset"])
    words = pa.array([("train", "val")[n % 2] for n in range(40)])
    pq.write_table(table.set_column(2, "subset", words), source / "faces.parquet")
    rows = [row for row in rows_of(source, group_column="subset") if isinstance(row, SourceRow)]
    assert {(row.split, row.group) for row in rows} == {(None, "train"), (None, "val")}
    with pytest.raises(DataError, match=r"column 'image' holds struct.*no names or numbers of gr"):
        rows_of(source, group_column="image")
    with pytest.raises(DataError, match=r"no column 'persons'.*--group-column"):
        rows_of(source, group_column="persons")


def test_paths_in_parquet_tell_of_persons(tmp_path: Path) -> None:
    source = parquet_of_persons(tmp_path / "source", pa.array(["x"] * 60), CK48)
    manifest = prepare(source, tmp_path / "shards", image_size=24)
    assert "of 10 groups (persons of CK+," in manifest.division
    rows = [row for row in rows_of(source) if isinstance(row, SourceRow)]
    assert [row.path for row in rows] == CK48
    assert rows[0].image_id == "faces.parquet:0"
    assert group_names(find_groups(rows, SourceOptions(group_by=r"S\d+"), "x"))[-1] == "S019"


def test_paths_in_parquet_that_are_no_text_tell_nothing(tmp_path: Path) -> None:
    damaged = pa.array([b"\xff\xfe", b"S010"]).view(pa.string())
    for name, paths in (("a", damaged), ("b", pa.array([1, 2]))):
        images = pa.StructArray.from_arrays([pa.array([png(0), png(1)]), paths], ["bytes", "path"])
        pq.write_table(pa.table({"image": images, "label": ["happy"] * 2}), tmp_path / "x.parquet")
        rows = [row for row in rows_of(tmp_path) if isinstance(row, SourceRow)]
        assert [row.path for row in rows] == ["x.parquet:0", "x.parquet:1"], name


def test_without_paths_in_parquet_rows_are_known_by_file_and_number(tmp_path: Path) -> None:
    table = pa.table({"image": [png(n) for n in range(4)], "label": ["happy", "sad"] * 2})
    pq.write_table(table, tmp_path / "faces.parquet")
    rows = [row for row in rows_of(tmp_path) if isinstance(row, SourceRow)]
    assert [row.path for row in rows] == [f"faces.parquet:{n}" for n in range(4)]


# ---- at the terminal --------------------------------------------------------------------------


def command(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.slow
def test_what_was_grouped_is_printed_wherever_shards_are_looked_at(tmp_path: Path) -> None:
    source, dest = ck48(tmp_path / "CK+48"), tmp_path / "shards"
    words = ("data", "prepare", source, dest, "--size", 24, "--workers", 1)
    told = r"of 20 groups (--group-by S\d{3}_\d{3}) 3 whole ones held out"
    code, output = command(*words, "--group-by", r"S\d{3}_\d{3}")
    assert code == 0, output
    assert told in output
    assert told in command("data", "inspect", dest)[1]
    assert told in command("data", "audit", dest, "--csv", tmp_path / "a.csv", "--workers", 1)[1]
    assert read_manifest(dest).request["group_by"] == r"S\d{3}_\d{3}"
    for bad in (("--group-by", "["), ("--group-by", "^x"), ("--group-column", "person")):
        code, output = command("data", "prepare", source, tmp_path / "other", *bad)
        assert code == 2, output
        assert bad[0] in output


def test_faces_of_one_photograph_stay_in_one_split(tmp_path: Path) -> None:
    for number in range(12):
        write_picture(tmp_path / "origin" / f"{number}.png", number)
    lines = [f"{n}.png {face} 2 3 13 15 22.9 {face}" for n in range(12) for face in (0, 3, 6)]
    (tmp_path / "label.lst").write_text("\n".join(lines) + "\n")
    manifest = prepare(tmp_path, tmp_path.parent / f"{tmp_path.name}-shards", image_size=16)
    assert manifest.classes["validation"]["Anger"] == manifest.classes["validation"]["Neutral"] > 0
    assert "of 12 groups (what the layout tells" in manifest.division
    assert "both splits" not in manifest.division
