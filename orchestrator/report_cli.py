"""`fer-orch report` and `fer-orch status`: what the files of runs say."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from datasets.errors import ConfigError
from orchestrator.terminal import Terminal


def report_command(
    runs: Annotated[
        list[str],
        typer.Argument(help="Run directories, here or in an object store.", metavar="RUN..."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes; default: report/ in the one run.")
    ] = None,
    allow_different_data: Annotated[
        bool,
        typer.Option("--allow-different-data", help="Runs of different data too, marked as such."),
    ] = False,
) -> None:
    """Write the report of runs, finished or not, from their result files alone."""
    from orchestrator.report import write_runs
    from orchestrator.run_store import REPORT_DIR, RunStore

    if out is None and len(runs) > 1:
        raise ConfigError(f"{len(runs)} runs need --out DIR: a place for their common report")
    stores = [RunStore.at(run) for run in runs]
    for store in stores:
        store.refresh()
        store.trials()  # one that is no run is told by the name that the user gave
    place = out or stores[0].report_dir
    roots = [store.root for store in stores]
    index = write_runs(roots, place, allow_different_data=allow_different_data)
    if out is None:
        stores[0].publish(REPORT_DIR)
    typer.echo(index)


def status_command(
    run: Annotated[str, typer.Argument(help="A run directory, here or in an object store.")],
    watch: Annotated[
        bool, typer.Option("--watch", help="Every 2 s, until all trials are over or Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what results.json holds.")] = False,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster of a run in an object store: asks it, to the second."),
    ] = None,
) -> None:
    """Print where each trial of a run stands: the report's accuracy table."""
    from orchestrator.board_reader import look_at_board
    from orchestrator.run_store import RunStore
    from orchestrator.status import print_status, status_json, watch_status

    if watch and as_json:
        raise ConfigError("--json prints once: leave out --watch, or --json")
    store = RunStore.at(run)
    with nullcontext(RunStore.look) if address is None else look_at_board(store, address) as look:
        if as_json:
            typer.echo(status_json(store, look))
        elif watch:
            watch_status(store, Terminal(), look)
        else:
            print_status(store, Terminal(), look)
