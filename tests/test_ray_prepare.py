"""`prepare` as Ray tasks: the same bytes, and errors in words."""

import subprocess
import sys
from pathlib import Path

import pytest

from datasets.prepare import prepare
from tests.scripts import with_root
from tests.shard_data import csv_source, files_of

pytestmark = pytest.mark.slow


def on_ray(source: str, dest: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Prepare in a process of its own, in `folder`."""
    code = (
        "import sys; from pathlib import Path; from datasets.prepare import prepare\n"
        "from datasets.errors import DataError\n"
        "from orchestrator.ray_environment import prepare_environment; prepare_environment()\n"
        "from orchestrator.ray_prepare import OnRay\n"
        "try:\n"
        "    prepare(Path(sys.argv[1]), sys.argv[2], image_size=24, rows_per_shard=5,"
        " run=OnRay(None))\n"
        "except DataError as error:\n"
        "    print(error); raise SystemExit(2)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, source, dest],
        cwd=folder,
        env=with_root(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_ray_writes_the_same_bytes_also_by_relative_paths(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "source")
    prepare(source, tmp_path / "here", image_size=24, rows_per_shard=5)
    ended = on_ray("source", "by ray", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert files_of(tmp_path / "by ray") == files_of(tmp_path / "here")


def test_what_a_node_can_not_write_is_told_in_words(tmp_path: Path) -> None:
    csv_source(tmp_path / "source")
    dest = tmp_path / "dest"
    dest.mkdir()
    (dest / "train").write_text("in the way")
    ended = on_ray("source", "dest", tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert "train" in ended.stdout
    assert "Traceback" not in ended.stdout
