"""Drawn faces in the layouts in which people have AffectNet: one file each, a line in the table.

They stand in for the data sets that can't be shipped: what reads them must read the real ones.
"""

import shutil
from pathlib import Path

from datasets.errors import ConfigError, DataError
from datasets.synthetic.aff_wild2 import write_aff_wild2
from datasets.synthetic.affectnet_2017 import write_affectnet_2017
from datasets.synthetic.affectnet_aligned import write_affectnet_aligned
from datasets.synthetic.base import FaceKey, Kept, Progress, Request, Truth, WriteLayout
from datasets.synthetic.class_folders import write_class_folders
from datasets.synthetic.expw import write_expw
from datasets.synthetic.fer2013 import write_fer2013
from datasets.synthetic.ferplus_tree import write_ferplus_tree
from datasets.synthetic.hub_parquet import write_hub_parquet
from datasets.synthetic.named_files import write_named_files
from datasets.synthetic.raf_db import write_raf_db
from datasets.synthetic.yolo import write_yolo

__all__ = ["LAYOUTS", "FaceKey", "Kept", "Request", "Truth", "WriteLayout", "write_layout"]

# By the name of the source that reads it.
LAYOUTS: dict[str, WriteLayout] = {
    "affectnet-2017": write_affectnet_2017,
    "affectnet-aligned": write_affectnet_aligned,
    "class-folders": write_class_folders,
    "hub-parquet": write_hub_parquet,
    "yolo": write_yolo,
    "fer2013": write_fer2013,
    "raf-db": write_raf_db,
    "ferplus-tree": write_ferplus_tree,
    "expw": write_expw,
    "named-files": write_named_files,
    "aff-wild2": write_aff_wild2,
}


def write_layout(
    dest: Path, layout: str, request: Request, progress: Progress | None = None
) -> Truth:
    """Write the requested faces to `dest` in a layout; return what `prepare` must find there.

    Raises `ConfigError` for an unknown layout, `DataError` for a `dest` that is not empty or can't
    be written.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"unknown layout {layout!r}: use shards, {', '.join(LAYOUTS)}")
    try:
        if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
            raise DataError(f"{dest} is not an empty directory: choose another one")
        dest.mkdir(parents=True, exist_ok=True)
        return _write_or_clear(dest, layout, request, progress)
    except OSError as error:
        raise DataError(
            f"can't write {error.filename or dest}: {error.strerror or error}: check the "
            "permissions and the free space"
        ) from error


def _write_or_clear(dest: Path, layout: str, request: Request, progress: Progress | None) -> Truth:
    """Leave `dest` empty if the writing is broken off, so that the same command can begin again."""
    try:
        return LAYOUTS[layout](dest, request, progress)
    except BaseException:
        for one in dest.iterdir():
            if one.is_dir():
                shutil.rmtree(one, ignore_errors=True)
            else:
                one.unlink(missing_ok=True)
        raise
