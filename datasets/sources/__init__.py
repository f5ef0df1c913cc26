"""The table of sources: one public layout, one file here, one line in the table."""

from dataclasses import asdict
from pathlib import Path

from datasets.errors import ConfigError, DataError
from datasets.sources.aff_wild2 import AffWild2
from datasets.sources.affectnet_2017 import AffectNet2017
from datasets.sources.affectnet_aligned import AffectNetAligned
from datasets.sources.base import (
    AnyRow,
    Box,
    Excluded,
    Numbered,
    Origin,
    Rejected,
    Remark,
    Source,
    SourceOptions,
    SourceRow,
)
from datasets.sources.class_folders import ClassFolders
from datasets.sources.csv_folder import CsvFolder
from datasets.sources.expw import ExpW
from datasets.sources.fer2013 import Fer2013
from datasets.sources.ferplus_tree import FerPlusTree
from datasets.sources.hints import hint, refuse_packed, refuse_packed_split
from datasets.sources.hub_parquet import HubParquet
from datasets.sources.named_files import NamedFiles
from datasets.sources.raf_db import RafDb
from datasets.sources.yolo import Yolo

__all__ = [
    "LABELS",
    "SOURCES",
    "AnyRow",
    "Box",
    "Excluded",
    "Numbered",
    "Origin",
    "Rejected",
    "Remark",
    "Source",
    "SourceOptions",
    "SourceRow",
    "choose_layout",
]

# Tried in this order: the first that recognises a folder reads it. Those after the two general ones
# are told by what these can't read, so that what the two have read stays theirs.
SOURCES: dict[str, Source] = {
    "affectnet-2017": AffectNet2017(),
    "affectnet-aligned": AffectNetAligned(),
    "fer2013": Fer2013(),
    "raf-db": RafDb(),
    "hub-parquet": HubParquet(),
    "yolo": Yolo(),
    "class-folders": ClassFolders(),
    "csv-folder": CsvFolder(),
    "ferplus-tree": FerPlusTree(),
    "expw": ExpW(),
    "named-files": NamedFiles(),
    "aff-wild2": AffWild2(),
}


LABELS: dict[str, str] = {
    "affectnet-2017": "AffectNet's codes, in its own lists",
    "affectnet-aligned": "AffectNet's codes, a file an image",
    "fer2013": "FER2013's emotions, or FER+'s votes where its CSV is beside",
    "raf-db": "RAF-DB's labels 1 to 7, as its own names of images tell",
    "hub-parquet": "names in the Parquet files",
    "yolo": "the names of data.yaml",
    "class-folders": "names of the folders, or of labels.csv",
    "csv-folder": "names in the CSV",
    "ferplus-tree": "FER+'s votes",
    "expw": "ExpW's labels 0 to 6, in its own list",
    "named-files": "the names of the files, as JAFFE and KDEF have them",
    "aff-wild2": "Aff-Wild2's numbers, named in the first line of each list",
}
"""Where each layout has its labels from, if they are not numbers that had to be told."""


# What each layout makes of `SourceOptions`; another option would be ignored, so it is refused.
_FOR_ALL = {"group_by"}
_FOR_NUMBERS = ("label_names", "label_order")
_COLUMNS = ("image_column", "label_column", "group_column")
_OPTIONS = {
    "fer2013": {"csv"},
    "hub-parquet": {*_FOR_NUMBERS, *_COLUMNS},
    "yolo": {*_FOR_NUMBERS},
    "class-folders": {*_FOR_NUMBERS, "min_relfcs"},
    "csv-folder": {*_FOR_NUMBERS, *_COLUMNS, "csv"},
}


def choose_layout(path: Path, layout: str | None, options: SourceOptions) -> str:
    """Return the name of the layout of `path`: the one asked for, or the first that fits.

    Raises `ConfigError` for an unknown name and for an option that the layout has no use for,
    `DataError` if `path` is absent or fits none.
    """
    chosen = _choose(path, layout, options)
    for name, value in asdict(options).items():
        if value is not None and name not in {*_FOR_ALL, *_OPTIONS.get(chosen, ())}:
            users = ", ".join(one for one, used in _OPTIONS.items() if name in used)
            raise ConfigError(
                f"--{name.replace('_', '-')} means nothing to the layout {chosen}: leave it out, "
                f"or name a layout that has a use for it ({users}) with --layout"
            )
    return chosen


def _choose(path: Path, layout: str | None, options: SourceOptions) -> str:
    known = ", ".join(SOURCES)
    if layout is not None and layout not in SOURCES:
        raise ConfigError(f"unknown layout {layout!r}: use one of {known}")
    if not path.exists():
        raise DataError(f"there is no source {path}: check the path")
    if path.is_dir() and not any(path.iterdir()):
        raise DataError(f"{path} is empty: give a folder of labelled images")
    refuse_packed(path)
    refuse_packed_split(path)
    if layout is not None:
        return layout
    if options.csv is not None:
        return "csv-folder"
    found = _detected(path)
    if found is not None:
        return found
    raise DataError(
        hint(path, _detected)
        or f"{path} looks like none of the known layouts ({known}): name one with --layout; "
        "a CSV of other column names needs --image-column and --label-column"
    )


def _detected(path: Path) -> str | None:
    return next((name for name, source in SOURCES.items() if source.detect(path)), None)
