"""`prepare` interrupted, repeated, and spread over workers: always the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datasets.errors import ConfigError, DataError
from datasets.journal import JOURNAL_NAME
from datasets.prepare import prepare
from datasets.shard_pool import OnThisMachine
from tests.shard_data import csv_source, files_of, flip_byte, write_picture
from tests.whole_runs import is_running

ROOT = Path(__file__).parent.parent


def undisturbed(source: Path, dest: Path) -> dict[str, bytes]:
    prepare(source, dest, image_size=24, rows_per_shard=5)
    return files_of(dest)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = csv_source(tmp_path / "source", per_class=6)
    with (folder / "legend.csv").open("a") as stream:
        stream.write("broken.png,happy\n")
    (folder / "images" / "broken.png").write_bytes(b"broken")
    return folder


@pytest.fixture(autouse=True)
def _more_may_be_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "__kwdefaults__", prepare.__kwdefaults__ | {"max_rejected": 0.1})


class StopError(Exception):
    """Stands for a crash between two shards."""


@pytest.mark.parametrize("after", [1, 3, 8])
def test_a_stopped_prepare_goes_on_and_ends_with_the_same_bytes(
    source: Path, tmp_path: Path, after: int
) -> None:
    expected = undisturbed(source, tmp_path / "undisturbed")
    dest = tmp_path / "shards"
    calls = 0

    def stop(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == after:
            raise StopError

    with pytest.raises(StopError):
        prepare(source, dest, image_size=24, rows_per_shard=5, progress=stop)
    done = sorted(dest.glob("*/*.arrow"))
    assert len(done) == after
    before = [file.stat().st_mtime_ns for file in done]
    # Half of a shard, as a killed process leaves it.
    (dest / "train" / ".00007.ab12.tmp.arrow").write_bytes(b"half")
    prepare(source, dest, image_size=24, rows_per_shard=5)
    assert [file.stat().st_mtime_ns for file in done] == before  # recalled, not written again
    assert files_of(dest) == expected


def test_a_damaged_or_outdated_shard_is_written_anew(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "shards"

    def stop(done: int, total: int) -> None:
        if done > 24:
            raise StopError

    with pytest.raises(StopError):
        prepare(source, dest, image_size=24, rows_per_shard=5, progress=stop)
    flip_byte(dest / "train" / "00000.arrow", at=300)
    (dest / "train" / "00001.arrow").write_bytes(b"")
    entry = dest / JOURNAL_NAME / "train-00002.json"
    entry.write_text(entry.read_text()[:-40])
    # An image of a finished shard changes in the meantime.
    first = json.loads((dest / JOURNAL_NAME / "train-00003.json").read_text())
    assert first["shard"]["rows"] == 5
    for number in range(8):
        write_picture(source / "images" / f"{number}_3.png", 90 + number)
    prepare(source, dest, image_size=24, rows_per_shard=5)
    assert files_of(dest) == undisturbed(source, tmp_path / "undisturbed")


def test_a_source_that_shrank_leaves_no_old_shard(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "shards"

    def stop(done: int, total: int) -> None:
        if done == total:
            raise StopError

    with pytest.raises(StopError):
        prepare(source, dest, image_size=24, rows_per_shard=5, progress=stop)
    lines = (source / "legend.csv").read_text().splitlines(keepends=True)
    (source / "legend.csv").write_text("".join(lines[:25]))
    prepare(source, dest, image_size=24, rows_per_shard=5)
    assert files_of(dest) == undisturbed(source, tmp_path / "undisturbed")


def test_another_request_begins_anew(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "shards"

    def stop(done: int, total: int) -> None:
        raise StopError

    with pytest.raises(StopError):
        prepare(source, dest, image_size=16, rows_per_shard=5, progress=stop)
    prepare(source, dest, image_size=24, rows_per_shard=5)
    assert files_of(dest) == undisturbed(source, tmp_path / "undisturbed")


def test_two_at_once_are_refused(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "shards"

    def meanwhile(done: int, total: int) -> None:
        with pytest.raises(DataError, match="another process prepares"):
            prepare(source, dest, image_size=24, rows_per_shard=5)

    prepare(source, dest, image_size=24, rows_per_shard=5, progress=meanwhile)
    assert files_of(dest) == undisturbed(source, tmp_path / "undisturbed")


@pytest.mark.slow
def test_one_two_and_four_workers_write_the_same_bytes(source: Path, tmp_path: Path) -> None:
    expected = undisturbed(source, tmp_path / "undisturbed")
    for workers in (1, 2, 4):
        dest = tmp_path / f"by-{workers}"
        run = OnThisMachine(workers)
        prepare(source, dest, image_size=24, rows_per_shard=5, run=run)
        assert files_of(dest) == expected
    with pytest.raises(ConfigError, match="workers 0"):
        OnThisMachine(0)


@pytest.mark.slow
@pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_prepare_goes_on(tmp_path: Path, deadly: signal.Signals) -> None:
    source = csv_source(tmp_path / "source", per_class=40)
    expected = undisturbed(source, tmp_path / "undisturbed")
    dest = tmp_path / "shards"
    code = (
        "import time; from pathlib import Path; from datasets.prepare import prepare; "
        "from datasets.shard_pool import OnThisMachine\n"
        "def wait(done, total):\n"  # or it may end before it is killed
        "    time.sleep(60 if done >= 20 else 0)\n"
        "if __name__ == '__main__':\n"
        f"    prepare(Path({str(source)!r}), Path({str(dest)!r}), image_size=24, rows_per_shard=5,"
        " run=OnThisMachine(2), max_rejected=0.1, progress=wait)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    child = subprocess.Popen(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    while len(list(dest.glob("*/*.arrow"))) < 4:
        assert child.poll() is None, "it ended before it could be killed"
        time.sleep(0.001)
    os.killpg(child.pid, deadly)
    assert child.wait(60) != 0
    assert not (dest / "manifest.json").exists()
    assert (dest / JOURNAL_NAME).is_dir()
    prepare(source, dest, image_size=24, rows_per_shard=5)
    assert files_of(dest) == expected


@pytest.mark.slow
def test_workers_of_a_killed_process_end(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import time; from datasets.parallel import process_pool\n"
        "if __name__ == '__main__':\n"
        "    pool = process_pool(2)\n"
        "    waiting = [pool.submit(time.sleep, 1) for _ in range(2)]\n"
        "    for one in waiting: one.result()\n"
        "    print(*pool._processes, flush=True)\n"
        "    time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    workers = [int(text) for text in child.stdout.readline().split()]
    assert len(workers) == 2
    assert all(map(is_running, workers))
    child.kill()
    child.wait()
    child.stdout.close()
    end = time.monotonic() + 120
    while any(map(is_running, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(is_running, workers))


def test_who_allows_more_rejected_rows_keeps_what_is_done(source: Path, tmp_path: Path) -> None:
    expected = undisturbed(source, tmp_path / "undisturbed")
    dest = tmp_path / "shards"
    with pytest.raises(DataError, match="--max-rejected"):
        prepare(source, dest, image_size=24, rows_per_shard=5, max_rejected=0)
    done = {path: path.stat().st_mtime_ns for path in dest.glob("*/*.arrow")}
    assert done
    prepare(source, dest, image_size=24, rows_per_shard=5)
    assert {path: path.stat().st_mtime_ns for path in dest.glob("*/*.arrow")} == done
    assert files_of(dest) == expected


def test_paths_may_be_relative(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed(source, tmp_path / "undisturbed")
    monkeypatch.chdir(tmp_path)
    prepare(Path("source"), "shards", image_size=24, rows_per_shard=5)
    assert files_of(tmp_path / "shards") == expected


def test_a_destination_in_the_source_is_refused(source: Path) -> None:
    with pytest.raises(DataError, match="lies in the source"):
        prepare(source, source / "shards", image_size=24)
    assert not (source / "shards").exists()
