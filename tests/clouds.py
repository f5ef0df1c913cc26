"""A stand-in for AWS' machines, on this machine, and for the SSH commands that `ray up` runs."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import boto3
from botocore.client import BaseClient
from moto.server import ThreadedMotoServer

REGION = "us-west-2"


@dataclass
class Aws:
    """What was asked of AWS, as `service:Operation`, and which types it has no spot machine of."""

    calls: list[str] = field(default_factory=list)
    sold_out: set[str] = field(default_factory=set)

    def client(self, service: str) -> Any:
        """A client for the test's own questions, which count among the calls too."""
        return boto3.client(service, region_name=REGION)


@contextmanager
def aws(home: Path) -> Iterator[Aws]:
    """An account with the default network and the instance profiles of docs/cluster.md.

    `home` is the laptop's home folder: Ray writes its key there.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(home),
    }
    account = Aws()
    try:
        with mock.patch.dict("os.environ", environment):
            _forget_clients()
            _make_profiles(account)
            with mock.patch.object(BaseClient, "_make_api_call", _watched(account)):
                yield account
    finally:
        _forget_clients()
        server.stop()


def _make_profiles(account: Aws) -> None:
    iam = account.client("iam")
    for name in ("fer-orch-head", "fer-orch-worker"):
        iam.create_instance_profile(InstanceProfileName=name)


def _forget_clients() -> None:
    """Ray keeps its clients for the life of the process, whatever account they are of."""
    from ray.autoscaler._private.aws import config, utils

    utils.resource_cache.cache_clear()
    utils.client_cache.cache_clear()
    config._get_subnets_or_die.cache_clear()
    boto3.DEFAULT_SESSION = None


def _watched(account: Aws) -> Any:
    real = BaseClient._make_api_call

    def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        account.calls.append(f"{client.meta.service_model.service_name}:{operation}")
        spot = "InstanceMarketOptions" in arguments
        if spot and arguments["InstanceType"] in account.sold_out:
            error = {"Error": {"Code": "InsufficientInstanceCapacity", "Message": "none left"}}
            raise client.exceptions.ClientError(error, operation)
        return real(client, operation, arguments)

    return call


@dataclass
class Shells:
    """In the place of `subprocess` in Ray's node updater: keeps commands and runs none."""

    commands: list[list[str]] = field(default_factory=list)
    DEVNULL: ClassVar[int] = subprocess.DEVNULL
    PIPE: ClassVar[int] = subprocess.PIPE

    def check_call(self, command: list[str], *_: Any, **__: Any) -> int:
        self.commands.append(command)
        return 0

    def check_output(self, command: list[str], *_: Any, **__: Any) -> bytes:
        self.commands.append(command)
        return b""

    def call(self, command: list[str], *_: Any, **__: Any) -> int:
        return self.check_call(command)
