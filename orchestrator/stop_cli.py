"""`fer-orch stop`."""

from typing import Annotated

import typer

from orchestrator.terminal import Terminal


def stop_command(
    run: Annotated[str, typer.Argument(help="A run directory, here or in an object store.")],
    address: Annotated[
        str | None,
        typer.Option(help="The run's Ray cluster; default: the one that its driver has noted."),
    ] = None,
) -> None:
    """Stop a run as Ctrl-C does: its trials checkpoint, and the same command continues it."""
    from orchestrator.run_store import RunStore
    from orchestrator.stopping import stop_run

    stop_run(RunStore.at(run), address, Terminal())
