"""`fer-orch check`, and the same questions before a run on a cluster."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datasets import cache
from datasets.cache import Room, stage
from datasets.prepare import synth
from orchestrator import hardware, node_facts
from orchestrator.check import _shared_file
from orchestrator.cli import app
from orchestrator.node_facts import Questions, facts_here, try_storage

NOBODY = 65534


def check(*words: object, code: int) -> str:
    result = CliRunner().invoke(app, ["check", *map(str, words)], env={"COLUMNS": "300"})
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def no_framework_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds to start; that its GPUs are counted is another test's."""
    monkeypatch.setattr(node_facts, "_seen_gpus", lambda backend: 0)


@pytest.mark.usefixtures("no_framework_needed")
class TestThisMachine:
    def test_one_that_can_do_a_run(self, tmp_path: Path):
        output = check("--run-dir", tmp_path / "run", "--set", f"data.cache_dir={tmp_path}", code=0)
        assert "all is well" in output
        assert "MB/s" in output
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("backend", "title", "other"),
        [("tensorflow", "TensorFlow", "JAX"), ("jax", "JAX", "TensorFlow")],
    )
    def test_the_tables_are_of_what_keras_computes_with(
        self, backend: str, title: str, other: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("KERAS_BACKEND", backend)
        monkeypatch.setattr(node_facts, "version", lambda name: f"1.0-{name}")
        output = check(code=0)
        assert output.count(title) == 2  # its version, and its GPUs
        assert f"1.0-{backend}" in output
        assert other not in output

    def test_storage_without_permission(self, tmp_path: Path):
        (tmp_path / "file").write_text("in the way")
        output = check("--run-dir", tmp_path / "file" / "run", code=2)
        assert "this machine can't use the run's storage: " in output
        assert str(tmp_path / "file") in output
        assert "give its machine the permission" in output

    @pytest.mark.slow  # the store's client tries for seconds
    def test_a_bucket_that_is_not_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        output = check("--run-dir", "s3://no-such-bucket/run", code=2)
        assert "can't use the run's storage" in output

    def test_a_disk_too_small_for_the_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        synth(tmp_path / "shards", train=16, validation=8, size=32, seed=0)
        monkeypatch.setattr(cache, "_free_bytes", lambda _: 1000)
        words = ("--data", tmp_path / "shards", "--set", "recipe.image_size=32")
        output = check(*words, "--set", "data.cache_mode=decoded", code=2)
        assert "this machine has 0 MiB free for the cache, which needs 256 MiB" in output
        assert "data.cache_mode=encoded" in output
        # Other data's cache is no room, a complete one of this data needs none.
        place = tmp_path / "cache"
        words = (*words, "--set", f"data.cache_dir={place}")
        (place / "other").mkdir(parents=True)
        (place / "other" / "train.arrow").write_bytes(bytes(1 << 20))
        assert "this machine has 0 MiB free" in check(*words, code=2)
        with monkeypatch.context() as patch:
            patch.setattr(cache, "_free_bytes", lambda _: 1 << 40)
            stage(tmp_path / "shards", place, 32, mode="encoded")
        assert "all is well" in check(*words, code=0)

    def test_an_unknown_key_is_refused_before_anything_is_asked(self):
        assert "nonsense" in check("--set", "data.nonsense=1", code=2)


@contextmanager
def any_user() -> Iterator[None]:
    """Within the block this process may do what any user may: root may look into any folder."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_folder_that_can_not_be_looked_into_is_a_finding(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    questions = Questions(closed / "cache")
    try:
        with any_user(), pytest.raises(PermissionError):
            (closed / "cache").exists()  # as of Python 3.11
        with any_user():
            room = node_facts._cache_room(questions)
        with any_user(), _shared_file(str(closed / "run")) as file:
            assert file is None
    finally:
        closed.chmod(0o700)  # for who tidies up
    assert room == f"{closed}/cache (Permission denied)"


class TestFacts:
    def test_a_driver_and_a_watcher_are_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        tool = tmp_path / "nvidia-smi"
        tool.write_text("#!/bin/sh\necho 470.82.01\necho 470.82.01\n")
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        assert hardware.gpu_driver() == "470.82.01"
        (tmp_path / "17").mkdir()
        (tmp_path / "17" / "cmdline").write_bytes(b"python\0fer-orch\0status\0")
        assert not node_facts._watches(tmp_path)
        (tmp_path / "18").mkdir()
        (tmp_path / "18" / "cmdline").write_bytes(b"python\0fer-orch\0watch-preemption\0")
        assert node_facts._watches(tmp_path)

    @pytest.mark.slow
    @pytest.mark.parametrize("backend", ["tensorflow", "jax"])
    def test_what_keras_computes_with_is_started_and_asked(
        self, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("KERAS_BACKEND", backend)
        facts = facts_here(Questions(tmp_path / "cache"))
        assert facts.seen_gpus is not None
        assert facts.backend == backend
        assert {"tensorflow", "jax"} & facts.versions.keys() == {backend}
        assert ("jaxlib" in facts.versions) == (backend == "jax")
        assert isinstance(facts.cache, Room)
        assert facts.cache.free
        assert not (tmp_path / "cache").exists()
        assert facts.versions["ray"].startswith("2.60")

    def test_a_framework_that_does_not_start_sees_no_number_of_gpus(
        self, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setitem(node_facts._COUNT_GPUS, "jax", "raise ImportError")
        assert node_facts._seen_gpus("jax") is None

    def test_storage_is_measured_and_left_as_it_was(self, tmp_path: Path):
        measured = try_storage(Questions(tmp_path, storage=str(tmp_path)))
        assert measured.problem is None
        assert measured.write_rate
        assert measured.read_rate
        assert list(tmp_path.iterdir()) == []
