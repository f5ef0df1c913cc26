"""What is kept of an audit beside the shards: right figures, and no change of the data."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from datasets.audit import audit
from datasets.audit_record import AUDIT_NAME, read_record, record_of, write_record
from datasets.folder import LocalFolder
from datasets.images import load_stored
from datasets.manifest import MANIFEST_NAME, Manifest, SplitName, read_manifest
from datasets.prepare import prepare, synth
from datasets.shards import ShardRow
from datasets.verify import verify
from orchestrator.cli import app
from orchestrator.data_tables import print_audit
from orchestrator.preflight import audit_text
from orchestrator.report import write_report
from orchestrator.run_store import RunStore
from tests.made_up_runs import MadeUpRun, write_run
from tests.made_up_shards import write_shards
from tests.shard_data import csv_source, files_of
from tests.test_audit import CHANGES, SIZE, Rows, face, jpeg
from tests.test_cli import begin


def printed(directory: Path, manifest: Manifest) -> list[str]:
    record = record_of(audit(directory, manifest, workers=1), manifest)
    console = Console(width=200)
    with console.capture() as captured:
        print_audit(record, console)
    return captured.get().splitlines()


def test_equal_pixels_count_also_where_a_resized_copy_is_closer(tmp_path: Path) -> None:
    resized = CHANGES["half the size and back"][1](face(1))
    rows: Rows = {
        "train": [ShardRow("train/a.jpg", 1, jpeg(face(1))), ShardRow("b.jpg", 1, jpeg(face(1)))],
        "validation": [
            ShardRow("v/c.jpg", 1, jpeg(resized)),
            ShardRow("v/d.jpg", 1, jpeg(face(2))),
        ],
    }
    lines = printed(tmp_path, write_shards(tmp_path, rows, image_size=SIZE))
    assert lines[1:4] == [
        "images with a duplicate: 3 (2 with equal pixels)",
        "training images that validation holds too: 2 (0 with equal pixels)",
        "validation images that training holds too: 1 (0 with equal pixels)",
    ]


def random_rows(seed: int) -> Rows:
    """Small pictures of few kinds: many with equal pixels, within a split and across."""
    generator = np.random.default_rng(seed)
    rows: Rows = {"train": [], "validation": []}
    for number in range(90):
        kind = int(generator.integers(0, 60))
        picture = face(kind, size=32)
        data = jpeg(picture, 95, progressive=bool(generator.integers(0, 2)))
        split: SplitName = "train" if generator.random() < 0.7 else "validation"
        rows[split].append(ShardRow(f"{number}.jpg", int(generator.integers(0, 3)), data))
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_equal_pixels_are_those_that_a_dictionary_counts(seed: int, tmp_path: Path) -> None:
    rows = random_rows(seed)
    manifest = write_shards(tmp_path, rows, image_size=32)
    pixels = {
        row.image_id: load_stored(row.image, "jpeg", 32, 32).tobytes()
        for each in rows.values()
        for row in each
    }
    counts = Counter(pixels.values())
    splits: dict[bytes, set[SplitName]] = defaultdict(set)
    for split, each in rows.items():
        for row in each:
            splits[pixels[row.image_id]].add(split)
    found = audit(tmp_path, manifest, workers=1)
    equal = {one.image_id: one.equal for one in found.members() if one.equal}
    assert equal == {name: counts[data] - 1 for name, data in pixels.items() if counts[data] > 1}
    assert found.num_equal() == len(equal) > 20
    for split, each in rows.items():
        leaks = sum(len(splits[pixels[row.image_id]]) == 2 for row in each)
        assert found.num_leaked(split, "exact") == leaks > 0


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    dest = tmp_path / "shards"
    prepare(csv_source(tmp_path / "source"), dest, image_size=24)
    return dest


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def audit_command(dest: Path, *words: str) -> str:
    return run("data", "audit", dest, "--csv", dest.parent / "audit.csv", "--workers", 1, *words)


def test_a_stored_audit_is_no_change_of_the_shards(prepared: Path, tmp_path: Path) -> None:
    before = files_of(prepared)
    audit_command(prepared)
    record = json.loads((prepared / AUDIT_NAME).read_text())
    manifest = read_manifest(prepared)
    assert record["fingerprint"] == manifest.fingerprint
    assert (record["threshold"], record["images"]) == (6, manifest.num_rows)
    verify(prepared, manifest)
    assert prepare(tmp_path / "source", prepared, image_size=24) == manifest
    after = files_of(prepared)
    stored = after.pop(AUDIT_NAME)
    assert after == before
    audit_command(prepared)
    assert files_of(prepared) == {**before, AUDIT_NAME: stored}


def test_shards_that_are_prepared_again_lose_the_audit_of_the_old(
    prepared: Path, tmp_path: Path
) -> None:
    before = files_of(prepared)
    audit_command(prepared)
    # As after an interruption, with what a killed audit leaves.
    (prepared / MANIFEST_NAME).unlink()
    (prepared / ".audit.0123abcd.tmp.json").write_text("{")
    prepare(tmp_path / "source", prepared, image_size=24)
    assert files_of(prepared) == before


def test_an_audit_of_other_shards_or_a_damaged_one_counts_as_none(prepared: Path) -> None:
    manifest = read_manifest(prepared)
    assert read_record(prepared, manifest) is None
    record = record_of(audit(prepared, manifest, workers=1), manifest)
    write_record(prepared, record)
    assert read_record(prepared, manifest) == record
    assert read_record(prepared, manifest.model_copy(update={"fingerprint": "1" * 64})) is None
    (prepared / AUDIT_NAME).write_bytes((prepared / AUDIT_NAME).read_bytes()[:50])
    assert read_record(prepared, manifest) is None


def test_where_nothing_can_be_stored_a_line_says_so(prepared: Path) -> None:
    assert AUDIT_NAME not in audit_command(prepared, "--no-store")
    assert not (prepared / AUDIT_NAME).exists()
    (prepared / AUDIT_NAME).mkdir()  # root may write where others may not; over a folder nobody may
    assert f"{prepared}/{AUDIT_NAME} can't be written (Is a directory)" in audit_command(prepared)
    assert "audit: none is stored" in run("data", "inspect", prepared)


def test_inspect_tells_of_the_audit(prepared: Path) -> None:
    audit_command(prepared)
    images = read_manifest(prepared).num_rows
    assert f"audit: Of {images} images " in run("data", "inspect", prepared)


@pytest.mark.slow
def test_a_run_carries_the_audit_of_its_shards(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    synth(shards, train=16, validation=8, size=96, seed=0)
    audit_command(shards)
    words = ["run-all", "--preset", "demo", "--data", shards, "--run-dir", tmp_path / "run"]
    begin(words)
    store = RunStore(tmp_path / "run")
    document = store.read()
    assert document is not None
    assert document.data.audit.startswith("Of 24 images 0 (0 with equal pixels) have a duplicate.")
    # It goes on with another copy of the shards, without the file.
    (shards / AUDIT_NAME).unlink()
    manifest = read_manifest(shards)
    assert audit_text(store, LocalFolder(shards), manifest) == document.data.audit
    other = manifest.model_copy(update={"fingerprint": "1" * 64})
    assert audit_text(store, LocalFolder(shards), other) == ""


@pytest.mark.slow
def test_the_report_shows_the_audit_and_reads_runs_from_before(tmp_path: Path) -> None:
    store = write_run(tmp_path / "run", MadeUpRun(trials=("mobilenet-s0",)))
    path = store.root / "run.yaml"
    document = yaml.safe_load(path.read_text())
    del document["data"]["audit"]  # as written before there was one
    path.write_text(yaml.safe_dump(document))
    write_report(store.root)
    text = (store.report_dir / "report.md").read_text()
    assert "Duplicates, by" not in text
    document["data"]["audit"] = "Of 9 images 4 (2 with equal pixels) have a duplicate."
    path.write_text(yaml.safe_dump(document))
    write_report(store.root)
    text = (store.report_dir / "report.md").read_text().replace("\\", "")
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    (data,) = [one for one in section if one.startswith("Data\n")]
    assert "Of 9 images 4 (2 with equal pixels) have a duplicate." in data
    results = json.loads((store.report_dir / "results.json").read_text())
    assert results["data"]["audit"] == document["data"]["audit"]
