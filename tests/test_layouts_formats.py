"""Every layout as Arrow and as TFRecord: the same content, the same counts, the same cache."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from datasets.cache import stage
from datasets.cache_format import split_path
from datasets.inspection import inspect_shards
from datasets.labels import EXPRESSIONS
from datasets.manifest import SPLITS
from datasets.prepare import prepare
from datasets.synthetic import LAYOUTS
from datasets.verify import verify
from tests.layout_checks import SIZE, drawn_layout
from tests.shard_data import csv_source, files_of, write_csv, write_picture


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_formats_hold_what_was_drawn(tmp_path: Path, layout: str) -> None:
    truth = drawn_layout(tmp_path / "source", layout)
    drawn = Counter((kept.split, EXPRESSIONS[kept.label]) for kept in truth.kept.values())
    fingerprints, caches = set(), set()
    for kind in ("arrow", "tfrecord"):
        shards = tmp_path / kind
        manifest = prepare(
            tmp_path / "source", shards, image_size=SIZE, format=kind, max_rejected=0.5
        )
        verify(shards, manifest)
        lines = inspect_shards(manifest).classes
        assert {
            (split, one.expression): one.images[split] for one in lines for split in SPLITS
        } == {(split, name): drawn[split, name] for name in EXPRESSIONS for split in SPLITS}
        fingerprints.add(manifest.fingerprint)
        staged = stage(shards, tmp_path / f"cache of {kind}", SIZE)
        caches.add(tuple(split_path(staged.directory, split).read_bytes() for split in SPLITS))
    assert len(fingerprints) == 1
    assert len(caches) == 1


def test_a_csv_full_of_hostile_fields(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "source", per_class=6)
    good = [(f"{label}_{n}.png", EXPRESSIONS[label]) for label in range(8) for n in range(6)]
    hostile = [
        ("x" * 1_000_000, "happy"),
        ("1_0.png", "y" * 1_000_000),
        ("1_\x000.png", "happy"),
        ("1_0.png\x00.jpg", "happy"),
        ("", ""),
        ("1_0.png",),
    ]
    write_csv(source / "legend.csv", [("image", "emotion"), *good, *hostile])
    manifest = prepare(source, tmp_path / "shards", image_size=24, max_rejected=0.2)
    assert manifest.num_rows == len(good)
    assert manifest.rejected == len(hostile)
    listed = (tmp_path / "shards" / "rejected.csv").read_text()
    assert len(listed.splitlines()) == 1 + len(hostile)
    assert len(listed) < 10_000  # a field of a million characters is cut


def test_a_name_in_latin_1_is_found(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "source")
    write_picture(source / "images" / "müde.png", 99)
    text = (source / "legend.csv").read_text() + "müde.png,sad\n"
    (source / "legend.csv").write_bytes(text.replace("\n", "\r\n").encode("latin-1"))
    manifest = prepare(source, tmp_path / "shards", image_size=24)
    assert manifest.num_rows == 4 * 8 + 1


@pytest.mark.parametrize("format", ["arrow", pytest.param("tfrecord", marks=pytest.mark.slow)])
def test_a_disk_that_fills_up_leaves_no_half_shard(tmp_path: Path, format: str) -> None:
    """The kernel refuses every byte of a file past a limit, as it does on a full disk."""
    source = csv_source(tmp_path / "source", per_class=20, size=64)
    expected, dest = tmp_path / "undisturbed", tmp_path / "shards"
    request = f"image_size=64, encoding='raw', format={format!r}, rows_per_shard=20"
    code = (
        "import resource, signal; from pathlib import Path; from datasets.prepare import prepare; "
        "from datasets.errors import DataError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        f"    prepare(Path({str(source)!r}), Path({str(dest)!r}), {request})\n"
        "except DataError as error:\n"
        "    print(error); raise SystemExit(2)\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert child.returncode == 2, child.stderr
    assert "free space" in child.stdout
    assert not (dest / "manifest.json").exists()
    assert not [name for name in files_of(dest) if name.endswith((".arrow", ".tfrecord"))]
    options = {"image_size": 64, "encoding": "raw", "format": format, "rows_per_shard": 20}
    prepare(source, expected, **options)  # type: ignore[arg-type]
    prepare(source, dest, **options)  # type: ignore[arg-type]
    assert files_of(dest) == files_of(expected)
