"""`cluster.yaml` through Ray's own AWS provider: what it asks of AWS, read back from a stand-in."""

import copy
import fnmatch
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clouds import Aws, Shells, aws

pytestmark = pytest.mark.slow  # moto takes its time to list a region's instance types

ROOT = Path(__file__).parent.parent
POLICIES = ROOT / "clusters" / "aws"
GPU_DEMAND = {"CPU": 4, "GPU": 1}
TOKEN = "d" * 64


@dataclass
class Cluster:
    """A cluster that `ray up cluster.yaml` has brought up, with one worker of each type."""

    account: Aws
    laptop: Path
    config: dict[str, Any] = field(default_factory=dict)
    shells: Shells = field(default_factory=Shells)
    laptop_calls: set[str] = field(default_factory=set)
    head_calls: set[str] = field(default_factory=set)
    chosen: list[str] = field(default_factory=list)
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)  # as AWS has them, by type


def _machines(account: Aws) -> dict[str, dict[str, Any]]:
    found = account.client("ec2").describe_instances()["Reservations"]
    machines = [machine for reservation in found for machine in reservation["Instances"]]
    return {_tags(machine)["ray-user-node-type"]: machine for machine in machines}


def _tags(described: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described["Tags"]}


@pytest.fixture(scope="module")
def asked() -> dict[str, Any]:
    """The file, as a user who wants on-demand nodes too has edited it."""
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))
    config["available_node_types"]["gpu-3-on-demand"]["max_workers"] = 1
    return config


@pytest.fixture(scope="module")
def cluster(asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    laptop = tmp_path_factory.mktemp("laptop")
    (laptop / ".ray").mkdir()
    (laptop / ".ray" / "auth_token").write_text(TOKEN, encoding="utf-8")
    with aws(laptop) as account, pytest.MonkeyPatch.context() as patch:
        patch.chdir(_small_checkout(laptop))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster(account, laptop)
        _ray_up(cluster, copy.deepcopy(asked))
        cluster.laptop_calls = set(account.calls)
        account.calls.clear()
        _scale_up_and_down(cluster)
        cluster.head_calls = set(account.calls)
        yield cluster


def _small_checkout(laptop: Path) -> Path:
    """Ray hashes what it would sync: a folder without an environment and data."""
    checkout = laptop / "checkout"
    checkout.mkdir()
    (checkout / ".gitignore").write_text(".venv/\n", encoding="utf-8")
    return checkout


def _ray_up(cluster: Cluster, config: dict[str, Any]) -> None:
    """All of `ray up` but SSH."""
    from ray.autoscaler._private import commands

    cluster.config = commands._bootstrap_config(config, no_config_cache=True)
    commands.get_or_create_head_node(
        cluster.config,
        str(ROOT / "cluster.yaml"),
        no_restart=False,
        restart_only=False,
        yes=True,
        override_cluster_name=None,
        _runner=cluster.shells,
    )


def _scale_up_and_down(cluster: Cluster) -> None:
    """What the autoscaler on the head does, a GPU at a time, as spot types sell out."""
    from ray.autoscaler._private.event_summarizer import EventSummarizer
    from ray.autoscaler._private.node_launcher import BaseNodeLauncher
    from ray.autoscaler._private.node_provider_availability_tracker import (
        NodeProviderAvailabilityTracker,
    )
    from ray.autoscaler._private.providers import _get_node_provider
    from ray.autoscaler._private.util import ConcurrentCounter

    config = cluster.config
    provider = _get_node_provider(config["provider"], config["cluster_name"], use_cache=False)
    types = config["available_node_types"]
    tracker = NodeProviderAvailabilityTracker()
    pending = ConcurrentCounter()
    launcher = BaseNodeLauncher(
        provider, pending, EventSummarizer(), tracker, "session", node_types=types
    )
    for sold_out in (None, "g6.2xlarge", None, "g5.2xlarge", None):
        cluster.account.sold_out |= {sold_out} if sold_out else set()
        node_type = _next_type(types, tracker)
        cluster.chosen.append(node_type)
        pending.inc(node_type, 1)
        launcher.launch_node(config, 1, node_type)
    cluster.machines = _machines(cluster.account)
    provider.terminate_nodes(provider.non_terminated_nodes({"ray-node-type": "worker"}))


def _next_type(types: dict[str, Any], tracker: Any) -> str:
    from ray.autoscaler._private.resource_demand_scheduler import get_nodes_for

    from orchestrator.node_order import score

    scorer = partial(score, node_availability_summary=tracker.summary())
    nodes, unmet = get_nodes_for(types, {"head": 1}, "head", 8, [GPU_DEMAND], scorer)
    assert not unmet
    (node_type,) = nodes
    return node_type


def test_the_head_is_on_demand_and_the_workers_are_on_spot(cluster: Cluster):
    lifecycle = {name: one.get("InstanceLifecycle") for name, one in cluster.machines.items()}
    assert lifecycle == {
        "head": None,
        "gpu-1-g6-spot": "spot",
        "gpu-2-g5-spot": "spot",
        "gpu-3-on-demand": None,
    }


def test_a_type_that_is_sold_out_is_passed_over_for_the_next(cluster: Cluster):
    # Each of the first two is asked for once more when it has just sold out.
    assert cluster.chosen == [
        *["gpu-1-g6-spot"] * 2,
        *["gpu-2-g5-spot"] * 2,
        "gpu-3-on-demand",
    ]


@pytest.mark.parametrize("name", ["head", "gpu-1-g6-spot", "gpu-2-g5-spot", "gpu-3-on-demand"])
def test_each_machine_is_what_the_file_says(cluster: Cluster, asked: dict[str, Any], name: str):
    want = asked["available_node_types"][name]["node_config"]
    got = cluster.machines[name]
    assert got["InstanceType"] == want["InstanceType"]
    assert got["ImageId"] == want["ImageId"]  # EC2 itself would look it up
    assert got["IamInstanceProfile"]["Arn"].endswith(f"/{want['IamInstanceProfile']['Name']}")
    assert got["KeyName"] == asked["provider"]["key_pair"]["key_name"]
    assert [group["GroupName"] for group in got["SecurityGroups"]] == ["fer-orch"]
    assert _tags(got)["ray-cluster-name"] == "fer-orch"  # what the policies go by
    assert got["MetadataOptions"]["HttpTokens"] == "required"
    assert _disk(cluster.account, got) == _disk_asked(want)


def _disk(account: Aws, machine: dict[str, Any]) -> tuple[Any, ...]:
    (mapping,) = machine["BlockDeviceMappings"]
    volume_id = mapping["Ebs"]["VolumeId"]
    (volume,) = account.client("ec2").describe_volumes(VolumeIds=[volume_id])["Volumes"]
    return mapping["DeviceName"], volume["Size"], volume["VolumeType"]


def _disk_asked(node_config: dict[str, Any]) -> tuple[Any, ...]:
    (mapping,) = node_config["BlockDeviceMappings"]
    return mapping["DeviceName"], mapping["Ebs"]["VolumeSize"], mapping["Ebs"]["VolumeType"]


def test_ssh_alone_is_open_to_the_world(cluster: Cluster):
    ec2 = cluster.account.client("ec2")
    groups = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["fer-orch"]}])
    (group,) = groups["SecurityGroups"]
    within, ssh = sorted(group["IpPermissions"], key=lambda rule: str(rule["IpProtocol"]))
    assert within["IpProtocol"] == "-1"
    assert [pair["GroupId"] for pair in within["UserIdGroupPairs"]] == [group["GroupId"]]
    assert within["IpRanges"] == within["Ipv6Ranges"] == []
    assert (ssh["IpProtocol"], ssh["FromPort"], ssh["ToPort"]) == ("tcp", 22, 22)


def test_cpus_and_gpus_are_those_of_the_instance_types(cluster: Cluster):
    types = cluster.config["available_node_types"]
    resources = {name: one["resources"] for name, one in types.items()}
    assert resources["head"] == {"CPU": 4}
    assert {(one["CPU"], one["GPU"]) for name, one in resources.items() if name != "head"} == {
        (8, 1)
    }


def test_the_key_is_made_and_closed(cluster: Cluster):
    key = cluster.laptop / ".ssh" / "fer-orch.pem"
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600


def test_what_ray_up_runs_on_the_head_says_no_secret(cluster: Cluster):
    commands = [" ".join(command) for command in cluster.shells.commands]
    assert any("ray start --head" in command for command in commands)
    (synced,) = [command for command in commands if command.endswith(":~/fer-orch/")]
    assert "--filter dir-merge,- .gitignore" in synced
    assert any(command.endswith("~/.ray/auth_token") for command in commands)
    assert not any(TOKEN in command for command in commands)
    assert TOKEN not in json.dumps(cluster.config)


@pytest.mark.parametrize(
    ("who", "policies"),
    [("laptop_calls", ["up", "launch"]), ("head_calls", ["launch"])],
)
def test_the_policies_allow_what_is_called_and_little_else(
    cluster: Cluster, who: str, policies: list[str]
):
    called = {call for call in getattr(cluster, who) if call.startswith("ec2:")}
    allowed = {action for name in policies for action in _actions(name)}
    assert called <= allowed
    # A spot request of a parameter's image, with a role, calls for these on the side.
    unused = allowed - called - {"ssm:GetParameters", "iam:PassRole"}
    # The laptop tags and ends nodes too, as the head does, and so is allowed what the head is.
    assert unused <= {"ec2:TerminateInstances", "ec2:CreateTags"}


def _actions(policy: str) -> list[str]:
    document = json.loads((POLICIES / f"{policy}.json").read_text(encoding="utf-8"))
    found: list[str] = []
    for statement in document["Statement"]:
        action = statement["Action"]
        found += [action] if isinstance(action, str) else action
    return found


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.json")), ids=lambda path: path.name)
def test_the_policies_name_single_actions(path: Path):
    for action in _actions(path.stem):
        assert "*" not in action
        assert fnmatch.fnmatch(action, "*:*")
