"""The directory that `prepare` writes: left alone if it is done, cleared if it is half done."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from datasets.errors import DataError
from datasets.files import write_text
from datasets.journal import JOURNAL_NAME
from datasets.manifest import MANIFEST_NAME, SPLITS, Manifest, RequestValue, read_manifest
from datasets.sources import Rejected
from datasets.sources.paths import clean_text

REJECTED_NAME = "rejected.csv"

_SHARD = re.compile(r"\d{5}\.(arrow|tfrecord)")
_OWN_SHARD = re.compile(r"\d{5}\.(arrow|tfrecord)|\.\d{5}\.[0-9a-f]+\.tmp\.(arrow|tfrecord)")
_OWN_TOP = re.compile(r"rejected\.csv|\.(manifest|rejected)\.[0-9a-f]+\.tmp\.(json|csv)")


def finished_manifest(dest: Path, request: Mapping[str, RequestValue]) -> Manifest | None:
    """Return the manifest if `dest` already holds what `request` asks for; None if it holds none.

    Raises `DataError` that names every difference if it holds something else.
    """
    if not (dest / MANIFEST_NAME).is_file():
        return None
    manifest = read_manifest(dest)
    keys = dict.fromkeys([*manifest.request, *request])
    differences = [
        f"{key}: {manifest.request.get(key)!r} there, {request.get(key)!r} asked for"
        for key in keys
        if manifest.request.get(key) != request.get(key)
    ]
    if differences:
        raise DataError(
            f"{dest} already holds other data ({'; '.join(differences)}): "
            "choose another directory, or delete this one"
        )
    return manifest


def check_destination(dest: Path) -> None:
    """Make `dest`, or see that it holds nothing but what an interrupted `prepare` left.

    Raises `DataError` that names the first file that `prepare` does not write.
    """
    if dest.exists() and not dest.is_dir():
        raise DataError(f"{dest} is a file: choose a directory for the shards")
    dest.mkdir(parents=True, exist_ok=True)
    for entry in sorted(dest.iterdir()):
        if _is_folder(entry) and entry.name == JOURNAL_NAME:
            continue
        if _is_folder(entry) and entry.name in SPLITS:
            strange = [file for file in sorted(entry.iterdir()) if not _is_own(file, _OWN_SHARD)]
        else:
            strange = [] if _is_own(entry, _OWN_TOP) else [entry]
        if strange:
            raise DataError(
                f"{dest} holds files that are no shards ({strange[0].relative_to(dest)}): "
                "choose a new or an empty directory"
            )


def clear_half_written(dest: Path, *, keep_shards: bool) -> None:
    """Remove what an interrupted `prepare` left in a checked `dest`: whole shards only if asked."""
    for split in SPLITS:
        for file in (dest / split).glob("*"):
            if not (keep_shards and _SHARD.fullmatch(file.name)):
                file.unlink()
    for file in dest.iterdir():
        if _is_own(file, _OWN_TOP):
            file.unlink()


def drop_unlisted(dest: Path, manifest: Manifest) -> None:
    """Remove shards that the manifest does not list: the source shrank since an interruption."""
    listed = {shard.file for shard in manifest.shards}
    for split in SPLITS:
        for file in (dest / split).glob("*"):
            if f"{split}/{file.name}" not in listed:
                file.unlink()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_own(path: Path, names: re.Pattern[str]) -> bool:
    return path.is_file() and names.fullmatch(path.name) is not None


def write_rejected(dest: Path, rejected: Sequence[Rejected]) -> None:
    """Write `rejected.csv`: file, row, reason; sorted, so that it is the same on every run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "row", "reason"))
    for origin, reason in sorted(rejected, key=lambda one: (one.origin.row or 0, one)):
        row = "" if origin.row is None else origin.row
        writer.writerow((clean_text(origin.file), row, clean_text(reason)))
    write_text(dest / REJECTED_NAME, text.getvalue())
