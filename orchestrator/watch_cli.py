"""`fer-orch watch-preemption`: runs on each node of a cluster, beside Ray."""

import logging
from typing import Annotated

import typer

from datasets.errors import ConfigError
from orchestrator.cloud_notices import Notice, find_cloud
from orchestrator.preemption import PreemptionWatch
from orchestrator.ray_environment import prepare_environment


def watch_preemption_command(
    cloud: Annotated[
        str, typer.Option(help="aws, gcp, azure, or auto: the one that answers.")
    ] = "auto",
    address: Annotated[str, typer.Option(help="The Ray cluster that this node is in.")] = "auto",
    interval: Annotated[float, typer.Option(help="Seconds between two looks.")] = 5.0,
    rebalance: Annotated[
        bool,
        typer.Option("--rebalance", help="AWS: drain at a rebalance recommendation too."),
    ] = False,
    metadata_url: Annotated[
        str | None, typer.Option(help="Of the metadata service; default: the cloud's own.")
    ] = None,
    node_id: Annotated[
        str | None, typer.Option(help="Ray node to drain; default: the one on this machine.")
    ] = None,
) -> None:
    """Drain this node in Ray as soon as its cloud says that it will be taken away."""
    if interval <= 0:
        raise ConfigError(f"--interval {interval:g}: give seconds above 0")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    service = find_cloud(cloud, metadata_url, rebalance=rebalance)
    prepare_environment(address)  # now: in the moment of a notice nobody could mend a missing token
    logging.getLogger(__name__).info("watching %s every %g s", service.name, interval)

    def drain(notice: Notice) -> None:
        from orchestrator.ray_drain import drain_node

        drain_node(address, notice, node_id)

    PreemptionWatch(service, drain).run(interval)
