"""`fer-orch data …`: make, check and look at shards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datasets.errors import ConfigError
from datasets.folder import LocalFolder, as_folder
from datasets.manifest import Encoding, ShardFormat
from orchestrator.data_look_cli import Shards, audit_command, inspect_command
from orchestrator.data_tables import print_manifest
from orchestrator.progress_bar import bar
from orchestrator.terminal import Terminal

if TYPE_CHECKING:
    from datasets.shard_pool import RunTasks

data_app = typer.Typer(no_args_is_help=True, help="Make, check and look at data sets.")

data_app.command("inspect")(inspect_command)
data_app.command("audit")(audit_command)

_Format = Annotated[ShardFormat, typer.Option("--format", help="Kind of shard file.")]
_Encoding = Annotated[Encoding, typer.Option(help="How images are stored.")]
_Size = Annotated[int, typer.Option(help="Side of the square images, pixels.")]
_Dest = Annotated[str, typer.Argument(help="Directory to write, or s3://… or gs://….")]


@data_app.command("synth")
def synth_command(
    context: typer.Context,
    dest: _Dest,
    train: Annotated[int, typer.Option(help="Training faces.")] = 8000,
    validation: Annotated[int, typer.Option(help="Validation faces.")] = 800,
    size: _Size = 224,
    seed: Annotated[int, typer.Option(help="Other seeds draw other faces.")] = 0,
    layout: Annotated[
        str, typer.Option(help="shards, or a layout that `prepare` reads (affectnet-2017, …).")
    ] = "shards",
    quirks: Annotated[
        bool, typer.Option(help="In such a layout: with the faults that copies of it have.")
    ] = True,
    file_format: _Format = "arrow",
    encoding: _Encoding = "jpeg",
) -> None:
    """Draw faces with the eight expressions, as shards or in a layout as people have it."""
    from datasets.prepare import synth
    from datasets.synthetic import Request, write_layout

    console = Terminal(lasting=True)
    _refuse_unused(context, layout)
    if layout != "shards":
        request = Request(train, validation, size, seed, quirks)
        with bar("drawing faces", console) as advance:
            truth = write_layout(_local(dest), layout, request, progress=advance)
        console.print(
            f"{dest}: {len(truth.kept)} faces, {truth.rejected.total()} rows to reject, "
            f"{truth.excluded.total()} to exclude",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        return
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
    print_manifest(manifest, as_folder(dest), console)


@data_app.command("prepare")
def prepare_command(
    source: Annotated[Path, typer.Argument(help="The data set as you have it.")],
    dest: _Dest,
    layout: Annotated[str | None, typer.Option(help="Name of the layout; else detected.")] = None,
    file_format: _Format = "arrow",
    encoding: _Encoding = "jpeg",
    size: _Size = 224,
    margin: Annotated[
        float, typer.Option(help="Kept around a face's box, as a part of its size.")
    ] = 0.0,
    validation_fraction: Annotated[
        float, typer.Option(help="Part held out of each class where the source has no split.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of that split.")] = 0,
    csv: Annotated[str | None, typer.Option(help="CSV file; default: the only one there.")] = None,
    image_column: Annotated[str | None, typer.Option(help="Column of image paths.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of labels.")] = None,
    label_names: Annotated[
        str | None,
        typer.Option(help="Names of the labels 0, 1, …, or 1=Surprise,2=…, with commas between."),
    ] = None,
    label_order: Annotated[
        str | None,
        typer.Option(help="What numbers mean: affectnet, fer2013, ferplus, raf-db, alphabetical."),
    ] = None,
    min_relfcs: Annotated[
        float | None, typer.Option(help="Leave out rows of a lower relFCs (Kaggle).")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            help="Regex for images' paths: what its first group (or all of it) matches stays in "
            "one split; none: no groups, also of a known set."
        ),
    ] = None,
    group_column: Annotated[
        str | None, typer.Option(help="Column of such groups (persons, sequences).")
    ] = None,
    max_rejected: Annotated[
        float, typer.Option(help="Stop when a larger part of the rows can't be used.")
    ] = 0.01,
    drop_leaks: Annotated[
        bool, typer.Option("--drop-leaks", help="Drop training images that validation holds too.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes; default: one for each core.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster whose nodes all see both folders.")
    ] = None,
) -> None:
    """Turn labelled images, in any known layout, into verified shards."""
    from datasets.manifest import MANIFEST_NAME
    from datasets.prepare import prepare

    console = Terminal(lasting=True)
    if as_folder(dest).has(MANIFEST_NAME):
        console.print(f"{dest} is prepared already; comparing its shards", markup=False)
    with bar("preparing images", console) as advance:
        manifest = prepare(
            source,
            dest,
            layout=layout,
            format=file_format,
            encoding=encoding,
            image_size=size,
            margin=margin,
            validation_fraction=validation_fraction,
            seed=seed,
            csv=csv,
            image_column=image_column,
            label_column=label_column,
            label_names=label_names,
            label_order=label_order,
            min_relfcs=min_relfcs,
            group_by=group_by,
            group_column=group_column,
            max_rejected=max_rejected,
            without_leaks=drop_leaks,
            run=_where(workers, address),
            progress=advance,
        )
    print_manifest(manifest, as_folder(dest), console)


def _refuse_unused(context: typer.Context, layout: str) -> None:
    """Shards have no quirks; a layout as people have it has its own kinds of files."""
    unused = ("quirks",) if layout == "shards" else ("file_format", "encoding")
    for name in unused:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "/".join(next(one for one in context.command.params if one.name == name).opts)
            raise ConfigError(f"{option} has no effect with --layout {layout}: leave it out")


def _local(dest: str) -> Path:
    folder = as_folder(dest)
    if not isinstance(folder, LocalFolder):
        raise ConfigError(f"{dest}: a layout of single files is written to a local directory only")
    return folder.path


def _where(workers: int | None, address: str | None) -> "RunTasks | None":
    if address is not None:
        if workers is not None:
            raise typer.BadParameter("--workers is for this machine, --address for a cluster")
        from orchestrator.ray_environment import prepare_environment

        prepare_environment(address)
        from orchestrator.ray_prepare import OnRay

        return OnRay(address)
    if workers is not None:
        from datasets.shard_pool import OnThisMachine

        return OnThisMachine(workers)
    return None


@data_app.command("verify")
def verify_command(dest: Shards) -> None:
    """Read every shard: size, checksum, rows and labels, as the manifest says."""
    from datasets.manifest import read_manifest
    from datasets.verify import verify

    console = Terminal()
    folder = as_folder(dest)
    manifest = read_manifest(folder)
    with bar("checking shards", console) as advance:
        verify(folder, manifest, progress=advance)
    console.print(f"{len(manifest.shards)} shards are as the manifest says", highlight=False)
