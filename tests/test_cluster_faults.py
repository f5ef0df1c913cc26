"""What is wrong with a cluster is said by `check` and by `run-all`, in one message each."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import boto3
import moto.settings
import pytest

from datasets.prepare import synth
from tests import object_stores, ray_heads
from tests.ray_heads import Head, command, write_token

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RUN = ("run-all", "--preset", "demo", "--only", "mobilenet")
SMALL = ("--set", "data.drawn.train=8", "--set", "data.drawn.validation=8")


@pytest.fixture(scope="module")
def cpu_head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_heads.head(tmp_path_factory.mktemp("head")) as one:
        yield one


def user(folder: Path, head: Head) -> Path:
    """A home with the head's token."""
    home = folder / "home"
    home.mkdir()
    write_token(home, head.token)
    return home


def red_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What `check` found: the lines between its tables and its last."""
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[-1] == "1 to mend", done.stdout
    return [line for line in lines[1:-1] if line[:1].isalnum()][1:]


def error(done: subprocess.CompletedProcess[str], run: Path | None) -> str:
    """The one line with which a command refused; it has drawn no faces and left no folder."""
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert run is None or not run.exists()
    return line


def test_no_gpu(cpu_head: Head, tmp_path: Path):
    home, run = user(tmp_path, cpu_head), tmp_path / "run"
    words = ("--address", cpu_head.gcs, "--set", "resources.gpus_per_trial=1")
    assert red_lines(command(home, "check", *words)) == [
        "a trial asks for 1 GPU and no node has one in Ray: add GPU nodes, or set "
        "resources.gpus_per_trial=0 to train on CPUs"
    ]
    assert error(command(home, *RUN, *SMALL, *words, "--run-dir", run), run) == (
        "error: a trial asks for 1 CPU and 1 GPU on one node; there is 1 node of 2 CPUs and "
        "0 GPUs: set resources.gpus_per_trial=0 to train on CPUs"
    )


def test_too_old_a_driver(tmp_path: Path):
    """Ray counts a GPU, NVIDIA's tool names an old driver, TensorFlow sees nothing."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text("#!/bin/sh\necho 470.82.01\n")
    (tools / "nvidia-smi").chmod(0o755)
    path = {"PATH": f"{tools}:{os.environ['PATH']}"}
    (tmp_path / "head").mkdir()
    with ray_heads.head(tmp_path / "head", num_gpus=1, environment=path) as head:
        home, run = user(tmp_path, head), tmp_path / "run"
        told = command(home, "check", "--address", head.gcs)
        refused = command(home, *RUN, *SMALL, "--address", head.gcs, "--run-dir", run)
    host = head.gcs.partition(":")[0]
    finding = (
        f"Ray counts 1 GPU on {host}, TensorFlow sees 0: its driver 470.82.01 is older than "
        "525.60.13, which CUDA 12 needs: update it; or set resources.gpus_per_trial=0"
    )
    assert red_lines(told) == [finding]
    assert error(refused, run) == f"error: this cluster can't do the run: {finding}"


def test_nodes_are_judged_by_the_askers_backend(tmp_path: Path):
    """The head's own environment names none: KERAS_BACKEND comes with the question."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text("#!/bin/sh\necho 550.54.15\n")
    (tools / "nvidia-smi").chmod(0o755)
    path = {"PATH": f"{tools}:{os.environ['PATH']}", "KERAS_BACKEND": ""}
    (tmp_path / "head").mkdir()
    with ray_heads.head(tmp_path / "head", num_gpus=1, environment=path) as head:
        home, words = user(tmp_path, head), ("check", "--address", head.gcs)
        on_jax = command(home, *words, environment={"KERAS_BACKEND": "jax"})
        on_tensorflow = command(home, *words, environment={"KERAS_BACKEND": "tensorflow"})
    host = head.gcs.partition(":")[0]
    assert red_lines(on_jax) == [
        f"Ray counts 1 GPU on {host}, JAX sees 0: install jax[cuda12] there, which brings JAX's "
        "CUDA libraries; or set resources.gpus_per_trial=0"
    ]
    assert version("jax") in on_jax.stdout
    assert "TensorFlow" not in on_jax.stdout
    (finding,) = red_lines(on_tensorflow)
    assert "TensorFlow sees 0: install fer-orch[gpu] there" in finding


def test_two_ray_versions(cpu_head: Head, tmp_path: Path):
    """Ray itself refuses who is of another version: here the one who asks."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Older:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name != 'ray._version':\n"
        "            return None\n"
        "        from importlib.util import spec_from_file_location\n"
        f"        return spec_from_file_location(name, {str(tmp_path / 'version.py')!r})\n"
        "sys.meta_path.insert(0, Older())\n"
    )
    (tmp_path / "version.py").write_text("version = '2.59.1'\ncommit = 'another'\n")
    older = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    home, run = user(tmp_path, cpu_head), tmp_path / "run"
    where = ("--address", cpu_head.gcs)
    for words in (("check", *where), (*RUN, *SMALL, *where, "--run-dir", run)):
        line = error(command(home, *words, environment=older), run)
        assert line.startswith(f"error: Ray at {cpu_head.gcs} can't be reached: Version mismatch")
        assert "2.59.1" in line
        assert "2.60" in line


@contextmanager
def guarded_bucket() -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """A bucket with the keys of one who may use it and of one who may not."""
    with object_stores.s3() as bucket:
        endpoint = os.environ["AWS_ENDPOINT_URL"]
        iam = boto3.client("iam", endpoint_url=endpoint)
        may, may_not = (_keys(iam, name) for name in ("may", "may-not"))
        policy = {"Version": "2012-10-17"} | {
            "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
        }
        iam.put_user_policy(UserName="may", PolicyName="s3", PolicyDocument=json.dumps(policy))
        # From here on the server looks at who asks.
        with mock.patch.object(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0):
            yield bucket, may, may_not


def _keys(iam: object, name: str) -> dict[str, str]:
    iam.create_user(UserName=name)  # type: ignore[attr-defined]
    key = iam.create_access_key(UserName=name)["AccessKey"]  # type: ignore[attr-defined]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def test_a_storage_without_permission(tmp_path: Path):
    """Who gives the command may write there, the nodes may not."""
    (tmp_path / "head").mkdir()
    with (
        guarded_bucket() as (bucket, may, may_not),
        ray_heads.head(tmp_path / "head", environment=may_not) as head,
    ):
        home = user(tmp_path, head)
        words = ("--address", head.gcs, "--run-dir", f"{bucket}/run")
        told = command(home, "check", *words, environment=may)
        refused = command(home, *RUN, *SMALL, *words, environment=may)
        mine = command(home, "check", *words, environment=may_not)
    host = head.gcs.partition(":")[0]
    (finding,) = red_lines(told)
    assert finding.startswith(f"{host} can't use the run's storage: ")
    assert finding.endswith("give its machine the permission to read, write, list and delete there")
    assert "ACCESS_DENIED" in finding
    line = error(refused, None)
    assert line.startswith(f"error: this cluster can't do the run: {host} can't use the run's ")
    assert "ACCESS_DENIED" in line
    assert len(red_lines(mine)) == 1
    for keys in (may, may_not):
        for done in (told, refused, mine):
            assert keys["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB; where this user may not mount one the test is skipped."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(cpu_head: Head, full_disk: Path, tmp_path: Path):
    synth(tmp_path / "shards", train=320, validation=80, size=96, seed=0)  # 11 MB decoded
    home, run = user(tmp_path, cpu_head), tmp_path / "run"
    words = ["--address", cpu_head.gcs, "--data", str(tmp_path / "shards")]
    for setting in (
        f"data.cache_dir={full_disk}",
        "data.cache_mode=decoded",
        "recipe.image_size=96",
        "recipe.weights=none",
    ):
        words += ["--set", setting]
    host = cpu_head.gcs.partition(":")[0]
    (finding,) = red_lines(command(home, "check", *words))
    assert finding.startswith(f"{host} has 4 MiB free for the cache, which needs 267 MiB: ")
    line = error(command(home, *RUN, *words, "--run-dir", run), run)
    assert line == f"error: this cluster can't do the run: {finding}"
