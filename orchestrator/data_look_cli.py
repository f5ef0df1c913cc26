"""`fer-orch data inspect` and `audit`: look at shards, change nothing in them."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from datasets.errors import ConfigError
from datasets.files import write_atomically
from datasets.folder import as_folder
from orchestrator.data_tables import print_audit, print_inspection
from orchestrator.progress_bar import bar
from orchestrator.terminal import Terminal

if TYPE_CHECKING:
    from datasets.audit_record import AuditRecord
    from datasets.folder import Folder

Shards = Annotated[str, typer.Argument(help="A directory of shards, or s3://… or gs://….")]


def inspect_command(
    dest: Shards,
    sheet: Annotated[Path | None, typer.Option(help="PNG to write: faces of each class.")] = None,
    per_class: Annotated[int, typer.Option(help="Faces of each class and split there.")] = 6,
) -> None:
    """Say what shards hold, beside the paper's counts and the known releases."""
    from datasets.audit_record import read_record
    from datasets.contact_sheet import contact_sheet
    from datasets.inspection import inspect_shards
    from datasets.manifest import read_manifest

    console = Terminal()
    _check_png(sheet)
    _check_writable("--sheet", sheet)
    folder = as_folder(dest)
    manifest = read_manifest(folder)
    print_inspection(inspect_shards(manifest), folder, console)
    record = read_record(folder, manifest)
    _say(console, f"audit: {record.text}" if record else "audit: none is stored (`data audit`)")
    if sheet is not None:
        picture = contact_sheet(folder, manifest, per_class)
        write_atomically(sheet, lambda temporary: picture.save(temporary, "PNG"))
        _say(console, f"faces of each class: {sheet}")


def audit_command(
    dest: Shards,
    csv: Annotated[Path, typer.Option(help="CSV to write: all images with a duplicate.")] = Path(
        "audit.csv"
    ),
    sheet: Annotated[Path | None, typer.Option(help="PNG to write: the worst groups.")] = None,
    threshold: Annotated[
        int | None, typer.Option(help="Bits of 96 in which near duplicates may differ; 6.")
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Find rotated, cropped and inverted copies; slower.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes; default: one for each core.")
    ] = None,
    store: Annotated[
        bool, typer.Option(help="Keep the figures beside the shards, in audit.json, for reports.")
    ] = True,
) -> None:
    """Find exact and near duplicates, leaks from training into validation first."""
    from datasets.audit import DEFAULT_THRESHOLD, audit
    from datasets.audit_record import record_of
    from datasets.audit_report import audit_sheet, write_audit_csv
    from datasets.manifest import read_manifest

    console = Terminal()
    _check_png(sheet)
    _check_writable("--csv", csv)
    _check_writable("--sheet", sheet)
    folder = as_folder(dest)
    manifest = read_manifest(folder)
    with bar("comparing images", console) as advance:
        found = audit(
            folder,
            manifest,
            threshold=DEFAULT_THRESHOLD if threshold is None else threshold,
            thorough=thorough,
            workers=workers,
            progress=advance,
        )
    record = record_of(found, manifest)
    print_audit(record, console)
    write_audit_csv(csv, found)
    _say(console, f"all of them: {csv}")
    if manifest.division:
        _say(console, f"split: {manifest.division}")
    if sheet is not None:
        picture = audit_sheet(folder, manifest, found)
        write_atomically(sheet, lambda temporary: picture.save(temporary, "PNG"))
        _say(console, f"the worst groups: {sheet}")
    if store:
        _store(record, folder, console)


def _store(record: "AuditRecord", folder: "Folder", console: Console) -> None:
    """Keep the figures beside the shards; they may lie where nothing can be written."""
    from datasets.audit_record import AUDIT_NAME, write_record

    try:
        write_record(folder, record)
        _say(console, f"figures for reports: {folder}/{AUDIT_NAME}")
    except OSError as error:
        reason = error.strerror or error
        _say(
            console,
            f"{folder}/{AUDIT_NAME} can't be written ({reason}): runs from these shards will not "
            "tell of this audit",
        )


def _check_png(path: Path | None) -> None:
    if path is not None and path.suffix.casefold() != ".png":
        raise ConfigError(f"--sheet {path}: give a file name that ends in .png")


def _check_writable(option: str, path: Path | None) -> None:
    """See before the work that its result can be written. Raises `ConfigError`."""
    if path is None:
        return
    there = next(one for one in path.absolute().parents if one.exists())
    try:
        if path.is_dir():
            raise IsADirectoryError
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(
            f"{option} {path} can't be written: name a file in a folder of yours"
        ) from error


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
