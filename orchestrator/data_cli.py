"""`fer-orch data …`: make and check shards."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from datasets.labels import EXPRESSIONS
from datasets.manifest import Encoding, Manifest, ShardFormat
from orchestrator.preflight import bar

data_app = typer.Typer(no_args_is_help=True, help="Make and check data sets.")

_Format = Annotated[ShardFormat, typer.Option("--format", help="Kind of shard file.")]
_Encoding = Annotated[Encoding, typer.Option(help="How images are stored.")]
_Size = Annotated[int, typer.Option(help="Side of the square images, pixels.")]


def _print_manifest(manifest: Manifest, dest: Path, console: Console) -> None:
    table = Table(title=Text(str(dest)), title_justify="left")
    table.add_column("expression")
    for split in manifest.classes:
        table.add_column(split, justify="right")
    for expression in EXPRESSIONS:
        counts = [manifest.classes[split].get(expression, 0) for split in manifest.classes]
        table.add_row(expression, *(f"{count:,}" for count in counts))
    table.add_section()
    table.add_row("all", *(f"{manifest.rows(split):,}" for split in manifest.classes))
    console.print(table)
    console.print(
        f"{manifest.image_size} pixels, {manifest.encoding} in {manifest.format}, "
        f"{len(manifest.shards)} shards, {manifest.rejected} rows rejected, "
        f"{sum(manifest.excluded.values())} excluded; fingerprint {manifest.fingerprint}",
        highlight=False,
        soft_wrap=True,
    )


@data_app.command("synth")
def synth_command(
    dest: Annotated[Path, typer.Argument(help="Directory to write.")],
    train: Annotated[int, typer.Option(help="Training faces.")] = 8000,
    validation: Annotated[int, typer.Option(help="Validation faces.")] = 800,
    size: _Size = 224,
    seed: Annotated[int, typer.Option(help="Other seeds draw other faces.")] = 0,
    file_format: _Format = "arrow",
    encoding: _Encoding = "jpeg",
) -> None:
    """Draw faces with the eight expressions and write them as shards."""
    from datasets.prepare import synth

    console = Console()
    with bar("drawing faces", console) as advance:
        manifest = synth(
            dest,
            train=train,
            validation=validation,
            size=size,
            seed=seed,
            format=file_format,
            encoding=encoding,
            progress=advance,
        )
    _print_manifest(manifest, dest, console)


@data_app.command("prepare")
def prepare_command(
    source: Annotated[Path, typer.Argument(help="The data set as you have it.")],
    dest: Annotated[Path, typer.Argument(help="Directory to write.")],
    layout: Annotated[
        str | None, typer.Option(help="csv-folder or class-folders; default: detected.")
    ] = None,
    file_format: _Format = "arrow",
    encoding: _Encoding = "jpeg",
    size: _Size = 224,
    validation_fraction: Annotated[
        float, typer.Option(help="Part held out of each class where the source has no split.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of that split.")] = 0,
    csv: Annotated[str | None, typer.Option(help="CSV file; default: the only one there.")] = None,
    image_column: Annotated[str | None, typer.Option(help="Column of image paths.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of labels.")] = None,
    max_rejected: Annotated[
        float, typer.Option(help="Stop when a larger part of the rows can't be used.")
    ] = 0.01,
) -> None:
    """Turn a folder of labelled images into verified shards."""
    from datasets.prepare import prepare

    console = Console()
    with bar("preparing images", console) as advance:
        manifest = prepare(
            source,
            dest,
            layout=layout,
            format=file_format,
            encoding=encoding,
            image_size=size,
            validation_fraction=validation_fraction,
            seed=seed,
            csv=csv,
            image_column=image_column,
            label_column=label_column,
            max_rejected=max_rejected,
            progress=advance,
        )
    _print_manifest(manifest, dest, console)
    if manifest.rejected:
        console.print(f"rejected rows: {dest / 'rejected.csv'}", markup=False, soft_wrap=True)


@data_app.command("verify")
def verify_command(dest: Annotated[Path, typer.Argument(help="A directory of shards.")]) -> None:
    """Check every shard against the manifest: presence, size, checksum."""
    from datasets.manifest import read_manifest, verify_shards

    console = Console()
    manifest = read_manifest(dest)
    with bar("checking shards", console) as advance:
        verify_shards(dest, manifest, progress=advance)
    console.print(f"{len(manifest.shards)} shards are as the manifest says", highlight=False)
