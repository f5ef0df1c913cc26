"""What tests change in a shipped cluster file, and what they leave."""

from pathlib import Path

import pytest

from tests.clusters import variant
from tests.hosts import Host

SHIPPED = {
    "cluster_name": "fer-orch",
    "max_workers": 9,
    "provider": {"type": "local", "head_ip": "HEAD", "worker_ips": ["A", "B", "C"]},
    "auth": {"ssh_user": "USER", "ssh_private_key": "~/.ssh/id"},
    "file_mounts": {"~/.ray/auth_token": "~/.ray/auth_token"},
    "setup_commands": ["make setup"],
    "head_start_ray_commands": [
        "ray stop",
        "ulimit -n 65536; ~/fer-orch/.venv/bin/ray start --head --num-cpus=32 --port=6379",
    ],
    "worker_start_ray_commands": ["ray stop", "ray start --address=$RAY_HEAD_IP:6379"],
}


@pytest.fixture
def made() -> list[Host]:
    return [
        Host(name, f"10.77.1.1{number}", "root", Path("key"), Path(name), f"cable-{number}")
        for number, name in enumerate(("head", "one", "other"))
    ]


def test_addresses_user_and_key_are_the_tests(made: list[Host]):
    config = variant(SHIPPED, made[0], tuple(made[1:]))
    assert config["provider"] == {
        "type": "local",
        "head_ip": "10.77.1.10",
        "worker_ips": ["10.77.1.11", "10.77.1.12"],
    }
    assert config["auth"] == {"ssh_user": "root", "ssh_private_key": "~/.ssh/id_ed25519"}
    assert config["min_workers"] == config["max_workers"] == 2


def test_start_commands_are_the_shipped_ones_made_small(made: list[Host]):
    config = variant(SHIPPED, made[0], tuple(made[1:]), cpus=2)
    small = "--num-cpus=2 --object-store-memory=100000000"
    assert config["head_start_ray_commands"] == [
        "ray stop",
        f"ulimit -n 65536; ~/fer-orch/.venv/bin/ray start {small} --head --port=6379",
    ]
    assert config["worker_start_ray_commands"] == [
        "ray stop",
        f"ray start {small} --address=$RAY_HEAD_IP:6379",
    ]


def test_set_up_is_the_environment_that_is_there_and_the_rest_as_shipped(made: list[Host]):
    config = variant(SHIPPED, made[0], tuple(made[1:]), venv="~/fer-orch/.venv")
    (link,) = config["setup_commands"]
    assert link.startswith("mkdir -p ~/fer-orch && ln -sfn /")
    assert config["file_mounts"] == SHIPPED["file_mounts"]
    assert SHIPPED["setup_commands"] == ["make setup"]
