"""The folder that `prepare` writes: left alone if it is done, cleared if it is half done."""

import csv
import io
import re
from collections.abc import Mapping, Sequence

from datasets.errors import DataError
from datasets.folder import Folder, LocalFolder, write_bytes
from datasets.journal import JOURNAL_NAME
from datasets.manifest import MANIFEST_NAME, SPLITS, Manifest, RequestValue, read_manifest
from datasets.sources import Rejected
from datasets.sources.paths import clean_text

REJECTED_NAME = "rejected.csv"

_SPLIT = f"({'|'.join(SPLITS)})/"
_SHARD = re.compile(_SPLIT + r"\d{5}\.(arrow|tfrecord)")
_HALF = re.compile(_SPLIT + r"\.\d{5}\.[0-9a-f]+\.tmp\.(arrow|tfrecord)")
# `audit.json` is of shards that were finished once: without a manifest it says nothing any more.
_TOP = re.compile(
    r"rejected\.csv|audit\.json|\.(manifest|rejected|audit)\.[0-9a-f]+\.tmp\.(json|csv)"
)


def finished_manifest(dest: Folder, request: Mapping[str, RequestValue]) -> Manifest | None:
    """Return the manifest if `dest` already holds what `request` asks for; None if it holds none.

    Raises `DataError` that names every difference if it holds something else.
    """
    if not dest.has(MANIFEST_NAME):
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


def check_destination(dest: Folder) -> None:
    """See that `dest` holds nothing but what an interrupted `prepare` left.

    Raises `DataError` that names the first file that `prepare` does not write.
    """
    if isinstance(dest, LocalFolder) and dest.path.exists() and not dest.path.is_dir():
        raise DataError(f"{dest} is a file: choose a directory for the shards")
    for name in dest.names():
        known = any(names.fullmatch(name) for names in (_SHARD, _HALF, _TOP))
        if not known and not name.startswith(f"{JOURNAL_NAME}/"):
            raise DataError(
                f"{dest} holds files that are no shards ({name}): "
                "choose a new or an empty directory"
            )


def clear_half_written(dest: Folder, *, keep_shards: bool) -> None:
    """Remove what an interrupted `prepare` left in a checked `dest`: whole shards only if asked."""
    for name in dest.names():
        whole = _SHARD.fullmatch(name) is not None
        if _HALF.fullmatch(name) or _TOP.fullmatch(name) or (whole and not keep_shards):
            dest.remove(name)


def drop_unlisted(dest: Folder, manifest: Manifest) -> None:
    """Remove shards that the manifest does not list: the source shrank since an interruption."""
    listed = {shard.file for shard in manifest.shards}
    for name in dest.names():
        if _SHARD.fullmatch(name) and name not in listed:
            dest.remove(name)


def write_rejected(dest: Folder, rejected: Sequence[Rejected]) -> None:
    """Write `rejected.csv`: file, row, reason; sorted, so that it is the same on every run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "row", "reason"))
    for origin, reason in sorted(rejected, key=lambda one: (one.origin.row or 0, one)):
        row = "" if origin.row is None else origin.row
        writer.writerow((clean_text(origin.file), row, clean_text(reason)))
    write_bytes(dest, REJECTED_NAME, text.getvalue().encode())
