"""What the `fer-orch data` commands print."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from datasets.destination import REJECTED_NAME
from datasets.folder import Folder
from datasets.labels import EXPRESSIONS
from datasets.manifest import Manifest

if TYPE_CHECKING:
    from datasets.audit_record import AuditRecord
    from datasets.inspection import Inspection


def print_manifest(manifest: Manifest, dest: Folder, console: Console) -> None:
    """Print classes per split, and what was left out and why."""
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
    for line in _lines(manifest, dest):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _lines(manifest: Manifest, dest: Folder) -> list[str]:
    lines = [
        f"{manifest.image_size} pixels, {manifest.encoding} in {manifest.format}, "
        f"{len(manifest.shards)} shards, {manifest.rejected} rows rejected, "
        f"{sum(manifest.excluded.values())} excluded; fingerprint {manifest.fingerprint}"
    ]
    lines += [f"labels: {manifest.labels_told}"] if manifest.labels_told else []
    lines += [f"split: {manifest.division}"] if manifest.division else []
    counts = manifest.classes.values()
    lacking = [name for name in EXPRESSIONS if not any(one.get(name) for one in counts)]
    if lacking:
        lines.append(f"no image of: {', '.join(lacking)}")
    lines += [f"excluded, {reason}: {count:,}" for reason, count in manifest.excluded.items()]
    lines += [f"{remark}: {count:,}" for remark, count in manifest.remarks.items()]
    if manifest.rejected:
        lines.append(f"rejected rows: {dest}/{REJECTED_NAME}")
    return lines


def print_inspection(found: "Inspection", dest: Folder, console: Console) -> None:
    """Print classes per split beside the paper's table 1, then sizes and what is noteworthy."""
    table = Table(title=Text(f"{dest}: {found.source}"), title_justify="left")
    table.add_column("expression")
    for split in found.images:
        table.add_column(split, justify="right")
        table.add_column("%", justify="right")
    table.add_column("paper, both", justify="right")
    table.add_column("%", justify="right")
    for line in found.classes:
        cells = [line.expression]
        for split in found.images:
            cells += [f"{line.images[split]:,}", f"{100 * line.shares[split]:.1f}"]
        table.add_row(*cells, f"{line.paper_images:,}", f"{100 * line.paper_share:.1f}")
    table.add_section()
    sums = [cell for split in found.images for cell in (f"{found.images[split]:,}", "")]
    table.add_row("all", *sums, f"{sum(line.paper_images for line in found.classes):,}", "")
    console.print(table)
    for text in _inspection_lines(found):
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _inspection_lines(found: "Inspection") -> list[str]:
    shards = ", ".join(f"{count} of {split}" for split, count in found.shards.items())
    lines = [
        f"release: {found.release or 'none that is known by its counts'}",
        f"{found.image_size} pixels, {found.encoding} in {found.format}; shards: {shards}; "
        f"{found.bytes / 2**20:,.1f} MiB, {found.bytes_per_image / 1024:.1f} KiB an image",
        f"fingerprint {found.fingerprint}",
        f"{found.rejected:,} rows rejected",
    ]
    lines += [f"labels: {found.labels}"] if found.labels else []
    lines += [f"split: {found.division}"] if found.division else []
    for split, names in found.lacking.items():
        lines += [f"no image of {split}: {', '.join(names)}"] if names else []
    lines += [f"excluded, {reason}: {count:,}" for reason, count in found.excluded.items()]
    return lines + [f"{remark}: {count:,}" for remark, count in found.remarks.items()]


def print_audit(found: "AuditRecord", console: Console) -> None:
    """Print how many images are duplicates, of which kind."""
    lines = [
        f"{found.images:,} images compared, {found.groups:,} groups of duplicates",
        f"images with a duplicate: {found.duplicates}",
        f"training images that validation holds too: {found.leaks['train']}",
        f"validation images that training holds too: {found.leaks['validation']}",
        f"images labelled otherwise elsewhere: {found.conflicts:,}",
    ]
    if found.incomplete:
        lines.append(
            f"{found.incomplete:,} images are like thousands of others: not all their pairs were "
            "compared"
        )
    if not found.thorough:
        lines.append(
            "copies rotated by 5 degrees or more, cropped or moved by 5 %, or inverted are found "
            "by their names alone; --thorough finds most, in several times the time"
        )
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
