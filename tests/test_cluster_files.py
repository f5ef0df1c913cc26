"""The cluster files: Ray's own offline check, and what docs/cluster.md promises of them."""

import itertools
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
FILES = [ROOT / "cluster.yaml", ROOT / "clusters" / "gcp.yaml", ROOT / "clusters" / "on-prem.yaml"]
CLOUDS = {"aws": FILES[0], "gcp": FILES[1]}
SCRIPTS = sorted((ROOT / "clusters").glob("*.sh"))
DOCS = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return config


def starts(config: dict[str, Any], kind: str) -> list[str]:
    commands: list[str] = config[f"{kind}_start_ray_commands"]
    return commands


def options(command: str) -> dict[str, str]:
    """Of `ray start`: --name=value, and the rest of the command under ''."""
    return dict(re.findall(r"--([a-z-]+)=(\S+)", command))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_ray_takes_the_file(path: Path):
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(read(path)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_is_in_the_file(path: Path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"RAY_AUTH_TOKEN|AKIA|PRIVATE KEY|password|credentials", text, re.I)
    assert not re.search(r"\b[0-9a-f]{32,}\b", text)
    assert read(path)["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_ports_are_pinned_and_the_dashboard_is_the_heads_own(path: Path):
    config = read(path)
    (head,) = [command for command in starts(config, "head") if "ray start" in command]
    (worker,) = [command for command in starts(config, "worker") if "ray start" in command]
    given = options(head)
    assert "--head" in head
    assert given["dashboard-host"] == "127.0.0.1"
    assert given["port"] == "6379"
    assert options(worker)["address"] == "$RAY_HEAD_IP:6379"
    for name in ("object-manager-port", "node-manager-port"):
        assert given[name] == options(worker)[name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("kind", ["head", "worker"])
def test_no_node_starts_ray_without_the_environment(path: Path, kind: str):
    for command in starts(read(path), kind):
        if re.search(r"\bray (start|stop)\b", command):
            assert command.startswith(". ~/fer-orch/clusters/node-env.sh; ")


@pytest.mark.parametrize(("cloud", "kind"), list(itertools.product(CLOUDS, ["head", "worker"])))
def test_a_watch_runs_on_every_node_of_a_cloud(cloud: str, kind: str):
    last = starts(read(CLOUDS[cloud]), kind)[-1]
    assert last == f"~/fer-orch/clusters/watch-node.sh {cloud}"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_workers_are_on_spot_of_two_types_with_a_last_resort_that_is_off(cloud: str):
    config = read(CLOUDS[cloud])
    types = config["available_node_types"]
    workers = [name for name in types if name != config["head_node_type"]]
    assert workers == sorted(workers)  # the order in which they are tried
    *spot, last = workers
    assert len(spot) == 2
    assert all(_is_spot(types[name]["node_config"]) for name in spot)
    assert types[last]["max_workers"] == 0
    assert not _is_spot(types[last]["node_config"])
    assert not _is_spot(types[config["head_node_type"]]["node_config"])
    assert 0 < config["idle_timeout_minutes"] <= 10


def _is_spot(node: dict[str, Any]) -> bool:
    return "spot" in (
        node.get("InstanceMarketOptions", {}).get("MarketType", ""),
        node.get("scheduling", {}).get("provisioningModel", "").lower(),
    )


def test_disks_of_workers_hold_the_decoded_cache():
    for name, node in read(CLOUDS["aws"])["available_node_types"].items():
        (disk,) = node["node_config"]["BlockDeviceMappings"]
        if name != "head":
            assert disk["Ebs"]["VolumeType"] == "gp3"
            assert disk["Ebs"]["VolumeSize"] >= 43 + 100  # the image, the packages, room
            # What gp3 allows: 0.25 MiB/s for each I/O per second.
            assert 125 < disk["Ebs"]["Throughput"] <= disk["Ebs"]["Iops"] / 4
    for name, node in read(CLOUDS["gcp"])["available_node_types"].items():
        (disk,) = node["node_config"]["disks"]
        assert name == "head" or disk["initializeParams"]["diskSizeGb"] >= 43 + 100


def test_the_first_autoscaler_runs_with_our_order_of_nodes():
    from ray.autoscaler._private.loader import load_function_or_class

    from orchestrator.node_order import score

    # `ray up` exports the 1; what is sourced after it counts.
    command = "export RAY_enable_autoscaler_v2=1 OMP_NUM_THREADS=1; . clusters/node-env.sh; env"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    environment = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert environment["RAY_AUTH_MODE"] == "token"
    assert int(environment["RAY_JOB_STOP_WAIT_TIME_S"]) >= 600  # Ray's three seconds are too few
    assert environment["RAY_enable_autoscaler_v2"] == "0"
    assert "OMP_NUM_THREADS" not in environment
    assert load_function_or_class(environment["RAY_AUTOSCALER_UTILIZATION_SCORER"]) is score


def test_ray_still_does_not_fall_back_by_itself():
    """When this fails, the second autoscaler has learned what `orchestrator.node_order` is for."""
    from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import (
        CloudResourceMonitor,
    )
    from ray.core.generated.instance_manager_pb2 import Instance, InstanceUpdateEvent

    monitor = CloudResourceMonitor()
    refused = InstanceUpdateEvent(
        instance_type="gpu-1", new_instance_status=Instance.ALLOCATION_FAILED
    )
    monitor.notify([refused])
    assert monitor.get_recoverable_resource_availabilities() == {}
    assert monitor.get_resource_availabilities() == {}


def test_nodes_get_the_locked_versions():
    setup = (ROOT / "clusters" / "setup-node.sh").read_text(encoding="utf-8")
    assert "requirements.lock" in setup
    assert "requirements-gpu.lock" in setup
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.11,<3.12"' in project
    assert "python3.11" in setup
    lock = _locked("requirements.lock")
    assert lock["ray"].startswith("2.60.")
    assert "boto3" in lock  # what the autoscaler on an AWS head speaks to AWS with


def test_the_gpu_lock_is_what_the_locked_tensorflow_needs():
    lock = _locked("requirements-gpu.lock")
    asked = [Requirement(line) for line in requires("tensorflow") or [] if "and-cuda" in line]
    assert {requirement.name for requirement in asked} == set(lock)
    for requirement in asked:
        assert requirement.specifier.contains(lock[requirement.name])


def _locked(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.M))


def test_the_environment_and_the_results_of_the_checkout_are_not_synced(tmp_path: Path):
    """What rsync is told by Ray: `_create_rsync_filter_args` of its command runner."""
    if shutil.which("rsync") is None:
        pytest.skip("needs rsync")
    here, there = tmp_path / "here", tmp_path / "there"
    for name in (".venv/bin/python", "runs/a/run.yaml", "data/x", "datasets/x.py", ".git/HEAD"):
        (here / name).parent.mkdir(parents=True)
        (here / name).write_text("", encoding="utf-8")
    shutil.copy(ROOT / ".gitignore", here)
    filters = [
        word
        for name in read(FILES[0])["rsync_filter"]
        for word in ("--filter", f"dir-merge,- {name}")
    ]
    subprocess.run(["rsync", "-az", *filters, f"{here}/", f"{there}/"], check=True)
    found = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
    assert found == {".gitignore", "datasets/x.py", ".git/HEAD"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path: Path):
    tool = Path(sys.executable).with_name("shellcheck")  # the lock has it; no PATH need
    subprocess.run([tool, "-x", path], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_docs_list_what_a_user_must_edit(path: Path):
    marked = {
        found[1]
        for line in path.read_text(encoding="utf-8").splitlines()
        if "EDIT" in line and (found := re.match(r"\s*(?:- )?(\w+):", line))
    }
    assert marked
    name = str(path.relative_to(ROOT))
    (row,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{name}` |")]
    assert marked == set(re.findall(r"`(\w+)`", row.split("|")[2]))
