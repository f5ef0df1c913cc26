"""The command line: thin commands over callable functions, and the one place that catches errors.

Exit codes: 0 done; 1 finished, but some trial failed; 2 the request is wrong and nothing was
started; 130 interrupted, the same command continues; 141 nobody read the output any more (128 and
SIGPIPE; a run goes on); 70 an unexpected error, with its traceback.
"""

import json
import os
import shlex
import shutil
import signal
import sys
import traceback
from contextlib import suppress
from importlib.metadata import version as package_version
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from datasets.errors import ConfigError, FerOrchError
from orchestrator.check_cli import check_command
from orchestrator.data_cli import data_app
from orchestrator.multistage_cli import multistage_command
from orchestrator.predict_cli import predict_command
from orchestrator.report_cli import report_command, status_command
from orchestrator.stop_cli import stop_command
from orchestrator.terminal import ReaderGoneError, Terminal, drop_output, reader_is_gone
from orchestrator.texts import visible
from orchestrator.watch_cli import watch_preemption_command

_BACKEND = "KERAS_BACKEND"
_WRONG_REQUEST = 2
_INTERRUPTED = 130
_NO_READER = 128 + signal.SIGPIPE  # as of a program that the signal ended
_UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h: 1 would say that a report was written


class _Commands(TyperGroup):
    """Turns our errors into one message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except FerOrchError as error:
            _complain(f"error: {error}")
            raise typer.Exit(_WRONG_REQUEST) from error
        except KeyboardInterrupt as error:
            _complain(f"interrupted; the same command continues where it stopped: {_command()}")
            raise typer.Exit(_INTERRUPTED) from error
        except Exception as error:
            if isinstance(error, (typer.Exit, typer.Abort)) or hasattr(error, "exit_code"):
                raise
            if isinstance(error, BrokenPipeError) and _is_of_output(error):
                raise typer.Exit(_NO_READER) from error
            traceback.print_exc()
            _complain("unexpected error, probably a fault of fer-orch; a run can be continued")
            raise typer.Exit(_UNEXPECTED) from error


def _is_of_output(error: BrokenPipeError) -> bool:
    """Whether it was standard output that broke, and not a connection; then that is dropped."""
    if isinstance(error, ReaderGoneError):
        return True
    if not reader_is_gone():
        return False
    drop_output()
    return True


def _command() -> str:
    """The command as it was given, by a name that the shell finds, with its `KERAS_BACKEND`."""
    program = Path(sys.argv[0]).name
    if program == "__main__.py":
        words = ["python", "-m", "orchestrator"]
    else:
        words = [program if shutil.which(program) else sys.argv[0]]
    backend = os.environ.get(_BACKEND)  # a run keeps its own, and is refused on another
    chosen = [f"{_BACKEND}={backend}"] if backend and backend != "tensorflow" else []
    return shlex.join([*chosen, *words, *sys.argv[1:]])


def _complain(text: str) -> None:
    # A terminal that is gone must not change the exit code, as rich would have it.
    with suppress(OSError, SystemExit):
        Console(stderr=True).print(
            visible(text),
            style="bold red",
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=True,
        )


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train the fourteen CNNs of the facial-expression benchmark and write one report.",
)
app.add_typer(data_app, name="data")
app.command("report")(report_command)
app.command("status")(status_command)
app.command("multistage")(multistage_command)
app.command("stop")(stop_command)
app.command("predict")(predict_command)
app.command("check")(check_command)
app.command("watch-preemption")(watch_preemption_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fer-orch {package_version('fer-orch')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """Train the fourteen CNNs of the facial-expression benchmark and write one report."""


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _seeds(text: str | None) -> list[int] | None:
    words = _list(text)
    try:
        return None if words is None else [int(word) for word in words]
    except ValueError as error:
        raise ConfigError(f"--seeds {text!r}: write whole numbers, like 0,1,2") from error


@app.command("run-all")
def run_all_command(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="YAML file over the preset.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="demo or paper; default: paper with data, else demo.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Shards made by `data prepare`; default: drawn faces.")
    ] = None,
    run_dir: Annotated[
        str | None,
        typer.Option(help="Where everything goes, also s3://… or gs://…; default: runs/PRESET."),
    ] = None,
    only: Annotated[str | None, typer.Option(help="Architecture ids, comma-separated.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, comma-separated; default: 0.")] = None,
    probes: Annotated[
        str | None,
        typer.Option(help="Folder of pictures front, occluded, right, left; default: drawn."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, like recipe.epochs=10.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster (auto, HOST:PORT); default: this machine.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
) -> None:
    """Train all architectures and write the report; the same command continues a run."""
    from orchestrator.config_sources import load_config, repeated_run
    from orchestrator.run import RunRequest, run_all

    resolved = load_config(
        preset=preset,
        file=config,
        shards=data,
        only=_list(only),
        seeds=_seeds(seeds),
        probes=probes,
        settings=settings,
    )
    place = run_dir or Path("runs") / resolved.preset
    repeats = repeated_run(config)
    request = RunRequest(resolved, place, address, dry_run, repeats=repeats)
    # Who calls the command from Python may give it other `Machines`.
    raise typer.Exit(run_all(request, Terminal(lasting=True), context.obj))


@app.command("models")
def models_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the fourteen architectures; parameters are counted from the built Keras models."""
    from orchestrator.models import model_rows

    rows = model_rows()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    # What fits on 80 characters; --json has the rest.
    shown = {
        "id": "id",
        "title": "architecture",
        "parameters": "parameters",
        "gmacs": "1e9 multiply-adds",
        "min_image_size": "smallest image",
    }
    table = Table(title=f"{len(rows)} architectures", title_justify="left")
    for key, header in shown.items():
        text = key in ("id", "title")
        table.add_column(header, justify="left" if text else "right", no_wrap=key == "id")
    for row in rows:
        cells = [row[key] for key in shown]
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells))
    Terminal().print(table)


def _raise_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point. SIGTERM, which clusters send before they take a machine, acts like Ctrl-C."""
    signal.signal(signal.SIGTERM, _raise_interrupt)
    app()
