"""`fer-orch check`: whether the nodes of a cluster, or this machine, can do a run."""

from pathlib import Path
from typing import Annotated

import typer

from datasets.folder import absolute
from orchestrator.terminal import Terminal


def check_command(
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster (auto, HOST:PORT); default: this machine.")
    ] = None,
    run_dir: Annotated[
        str | None, typer.Option(help="Try this storage too: a folder, s3://… or gs://….")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Shards whose cache must fit on each node's disk.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of the run.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, like data.cache_dir=/mnt/cache.")
    ] = None,
) -> None:
    """Ask every node for versions, GPUs, storage, disk, clock, watcher; exit 2 if one is wrong."""
    from orchestrator.check import CheckRequest, run_check
    from orchestrator.config_sources import load_config

    resolved = load_config(file=config, shards=data, settings=settings)
    storage = None if run_dir is None else absolute(run_dir)
    raise typer.Exit(run_check(CheckRequest(resolved, address, storage), Terminal()))
