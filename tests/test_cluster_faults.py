"""What is wrong with a cluster is said by `check` and by `run-all`, in one message each."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import boto3
import moto.settings
import pytest

from datasets.prepare import synth
from tests import object_stores, ray_heads
from tests.ray_heads import QUICK, Head, command, error, red_lines, user

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

RUN = ("run-all", "--preset", "demo", "--only", "mobilenet")
ON_CPUS = ("--set", "resources.gpus_per_trial=0")
SMALL = ("--set", "data.drawn.train=8", "--set", "data.drawn.validation=8")


@dataclass(frozen=True)
class Bucket:
    """A bucket with the keys of one who may use it and of one who may not."""

    address: str
    may: dict[str, str]
    may_not: dict[str, str]


@contextmanager
def guarded_bucket() -> Iterator[Bucket]:
    """See `Bucket`."""
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
            yield Bucket(bucket, may, may_not)


def _keys(iam: object, name: str) -> dict[str, str]:
    iam.create_user(UserName=name)  # type: ignore[attr-defined]
    key = iam.create_access_key(UserName=name)["AccessKey"]  # type: ignore[attr-defined]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with NVIDIA's tool, which names the driver of the file `driver` beside it."""
    tools = tmp_path_factory.mktemp("tools")
    (tools / "nvidia-smi").write_text(f"#!/bin/sh\ncat {tools}/driver\n")
    (tools / "nvidia-smi").chmod(0o755)
    (tools / "driver").write_text("550.54.15\n")
    return tools


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with guarded_bucket() as one:
        yield one


@pytest.fixture(scope="module")
def head(tools: Path, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """Ray counts a GPU there, TensorFlow and JAX see none; it may not use the bucket.

    Its own environment names no backend.
    """
    own = {"PATH": f"{tools}:{os.environ['PATH']}", "KERAS_BACKEND": ""} | bucket.may_not
    home = tmp_path_factory.mktemp("head")
    with ray_heads.head(home, num_gpus=1, environment=own) as one:
        yield one


def test_too_old_a_driver(head: Head, tools: Path, tmp_path: Path):
    """Ray counts a GPU, NVIDIA's tool names an old driver, TensorFlow sees nothing."""
    (tools / "driver").write_text("470.82.01\n")
    home, run = user(tmp_path, head), tmp_path / "run"
    host = head.gcs.partition(":")[0]
    finding = (
        f"Ray counts 1 GPU on {host}, TensorFlow sees 0: its driver 470.82.01 is older than "
        "525.60.13, which CUDA 12 needs: update it; or set resources.gpus_per_trial=0"
    )
    assert red_lines(command(home, "check", "--address", head.gcs)) == [finding]
    refused = command(home, *RUN, *SMALL, "--address", head.gcs, "--run-dir", run)
    assert error(refused, run) == f"error: this cluster can't do the run: {finding}"


def test_nodes_are_judged_by_the_askers_backend(head: Head, tools: Path, tmp_path: Path):
    """KERAS_BACKEND comes with the question."""
    (tools / "driver").write_text("550.54.15\n")
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


def test_two_ray_versions(head: Head, tmp_path: Path):
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
    home, run = user(tmp_path, head), tmp_path / "run"
    where = ("--address", head.gcs)
    for words in (("check", *where), (*RUN, *SMALL, *where, "--run-dir", run)):
        line = error(command(home, *words, environment=older), run)
        assert line.startswith(f"error: Ray at {head.gcs} can't be reached: Version mismatch")
        assert "2.59.1" in line
        assert "2.60" in line


def test_a_storage_without_permission(head: Head, bucket: Bucket, tmp_path: Path):
    """Who gives the command may write there, the nodes may not."""
    home = user(tmp_path, head)
    words = ("--address", head.gcs, "--run-dir", f"{bucket.address}/run", *ON_CPUS)
    told = command(home, "check", *words, environment=bucket.may | QUICK)
    refused = command(home, *RUN, *SMALL, *words, environment=bucket.may | QUICK)
    mine = command(home, "check", *words, environment=bucket.may_not | QUICK)
    host = head.gcs.partition(":")[0]
    (finding,) = red_lines(told)
    assert finding.startswith(f"{host} can't use the run's storage: ")
    assert finding.endswith("give its machine the permission to read, write, list and delete there")
    assert "ACCESS_DENIED" in finding
    line = error(refused, None)
    assert line.startswith(f"error: this cluster can't do the run: {host} can't use the run's ")
    assert "ACCESS_DENIED" in line
    assert len(red_lines(mine)) == 1
    for keys in (bucket.may, bucket.may_not):
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


def test_a_full_disk(head: Head, full_disk: Path, tmp_path: Path):
    synth(tmp_path / "shards", train=320, validation=80, size=96, seed=0)  # 11 MB decoded
    home = user(tmp_path, head)
    words = ["--address", head.gcs, "--data", str(tmp_path / "shards"), *ON_CPUS]
    for setting in (
        f"data.cache_dir={full_disk}",
        "data.cache_mode=decoded",
        "recipe.image_size=96",
        "recipe.weights=none",
    ):
        words += ["--set", setting]
    host = head.gcs.partition(":")[0]
    (finding,) = red_lines(command(home, "check", *words, environment=QUICK))
    assert finding.startswith(f"{host} has 4 MiB free for the cache, which needs 267 MiB: ")
