"""`fer-orch multistage`: the paper's Figure 7 as a command."""

from pathlib import Path
from typing import Annotated

import typer

from datasets.errors import ConfigError
from orchestrator.terminal import Terminal


def multistage_command(
    context: typer.Context,
    architecture: Annotated[str, typer.Option(help="Architecture id.")],
    stages: Annotated[str, typer.Option(help="Epochs of each stage.")] = "45,30,25",
    config: Annotated[Path | None, typer.Option(help="YAML file over the preset.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="demo or paper; default: paper with data, else demo.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Shards made by `data prepare`; default: drawn faces.")
    ] = None,
    run_dir: Annotated[
        str | None, typer.Option(help="Files go to multistage/ in it; default: runs/PRESET.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights and image order.")] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, like recipe.batch_size=8.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster (auto, HOST:PORT); default: this machine.")
    ] = None,
) -> None:
    """Train one architecture in one go and in stages, each in new processes, and compare."""
    from orchestrator.config_sources import load_config
    from orchestrator.multistage import MultistageRequest, run_multistage

    epochs = _epochs(stages)
    if run_dir and "://" in run_dir:
        raise ConfigError(
            "multistage needs a --run-dir in a file system; run-all may have one in an object store"
        )
    for setting in settings or []:
        if setting.partition("=")[0].strip() == "recipe.epochs":
            raise ConfigError(f"--set {setting}: the epochs are the sum of --stages {stages}")
    resolved = load_config(
        preset=preset,
        file=config,
        shards=data,
        only=[architecture],
        seeds=[seed],
        settings=[*(settings or []), f"recipe.epochs={sum(epochs)}"],
    )
    place = Path(run_dir) if run_dir else Path("runs") / resolved.preset
    request = MultistageRequest(resolved, epochs, place, address)
    raise typer.Exit(run_multistage(request, Terminal(lasting=True), context.obj))


def _epochs(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--stages {text!r}: write whole numbers, like 45,30,25") from error
