"""`fer-orch report` and `fer-orch status`: what the files of runs say."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from datasets.errors import ConfigError


def report_command(run: Annotated[Path, typer.Argument(help="A run directory.")]) -> None:
    """Write the report of a run, finished or not, from its result files alone."""
    from orchestrator.report import write_report

    typer.echo(write_report(run))


def status_command(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    watch: Annotated[
        bool, typer.Option("--watch", help="Every 2 s, until all trials are over or Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what results.json holds.")] = False,
) -> None:
    """Print where each trial of a run stands: the report's accuracy table."""
    from orchestrator.status import print_status, status_json, watch_status

    if watch and as_json:
        raise ConfigError("--json prints once: leave out --watch, or --json")
    if as_json:
        typer.echo(status_json(run))
    elif watch:
        watch_status(run, Console())
    else:
        print_status(run, Console())
