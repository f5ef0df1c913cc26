"""Groups from a source to the manifest: no person of it is in both splits."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from datasets.errors import DataError
from datasets.groups import find_groups
from datasets.inspection import inspect_shards
from datasets.manifest import Manifest, read_manifest
from datasets.prepare import prepare
from datasets.shards import read_checked
from datasets.sources import SourceOptions, SourceRow
from orchestrator.cli import app
from tests.layout_checks import rows_of
from tests.shard_data import picture, write_csv, write_picture
from tests.test_groups import CK48, group_names


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
