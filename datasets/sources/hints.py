"""What to do with a source that is of no known layout: what it is, said in words of its own.

Most such sources are one step away: packed, not fetched, a folder too deep or too high. Nothing
here reads a label; every look is bounded, so that a wrong path to a whole disk is answered too.
"""

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Final

from datasets.errors import DataError
from datasets.git_lfs import is_pointer_file, pointer_error
from datasets.images import EXTENSIONS
from datasets.labels import UnknownLabelError, parse_free_label
from datasets.sources.csv_lines import first_fields
from datasets.sources.paths import clean_text, is_junk, subfolders
from datasets.sources.split_names import kind_of

Known = Callable[[Path], str | None]
"""The layout that a folder or file has, or None."""

_UNPACK: Final = (
    ((".zip",), "unzip {archive} -d {folder}"),
    (
        (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"),
        "mkdir {folder} && tar -xf {archive} -C {folder}",
    ),
    ((".rar",), "unrar x {archive} {folder}/"),
    ((".7z", ".7z.001", ".zip.001"), "7z x {archive} -o{folder}"),
)
_MAGIC: Final = ((b"PK\x03\x04", ".zip"), (b"Rar!", ".rar"), (b"7z\xbc\xaf", ".7z"))
_AUTOMATIC: Final = "automatically_annotated.csv"
_AUTOMATIC_LISTS: Final = "automatically_annotated_file_lists"
_PHOTOGRAPHS: Final = ("manually_annotated_images", "automatically_annotated_images")
_MOST_FOLDERS: Final = 200
_MOST_FILES: Final = 20_000
_DEPTH: Final = 3
_LOOKED_AT: Final = 100
_SHOWN: Final = 3


def refuse_packed(path: Path) -> None:
    """Raise `DataError` for an archive or a Git LFS pointer, whatever layout it should have."""
    if path.is_file():
        if is_pointer_file(path):
            raise pointer_error(path)
        command = _unpack(path)
        if command is not None:
            raise DataError(
                f"{path} is an archive: unpack it first ({command}), then give the folder"
            )


def refuse_packed_split(path: Path) -> None:
    """Raise `DataError` for an archive named as a split of which there is nothing unpacked.

    `train.zip` beside `val/`: else the one part would be all there is.
    """
    if not path.is_dir():
        return
    there = {kind_of(one.name) for one in _subfolders(path)}
    for file in _top_files(path):
        command, kind = _unpack(file), kind_of(file.name.partition(".")[0])
        if command is not None and kind is not None and kind not in there:
            raise DataError(
                f"{file} is an archive, named as a split: unpack it first ({command}), or move it "
                "away if its images are there already"
            )


def hint(path: Path, known: Known) -> str | None:
    """Say what a source of no known layout is and what to do with it, or None.

    `known` tells the layouts of other places. Raises `DataError` as `refuse_packed` does.
    """
    refuse_packed(path)
    known = _unfailing(known)
    looks: tuple[Callable[[], str | None], ...] = (
        lambda: _pointer(path, 0),
        lambda: _fer2013(path),
        lambda: _automatic(path),
        lambda: _too_high(path, known),
        lambda: _too_deep(path, known),
        lambda: _pointer(path, _DEPTH),
        lambda: _archive(path),
        lambda: _no_files(path),
        lambda: _unknown_columns(path),
        lambda: _unlabelled(path),
    )
    return next((found for look in looks if (found := look()) is not None), None)


def _unfailing(known: Known) -> Known:
    """A folder that can't be looked at, or that its layout itself refuses, is no hint."""

    def quiet(path: Path) -> str | None:
        with suppress(OSError, DataError):
            return known(path)
        return None

    return quiet


def _unpack(file: Path) -> str | None:
    """Return the command that unpacks an archive into a folder beside it, or None."""
    name = file.name.casefold()
    if not file.suffix:
        name += next((suffix for magic, suffix in _MAGIC if _begins(file, magic)), "")
    for suffixes, command in _UNPACK:
        suffix = max((one for one in suffixes if name.endswith(one)), key=len, default="")
        if suffix:
            stem = file.name[: -len(suffix)] if file.suffix else f"{file.name}-unpacked"
            folder = shlex.quote(str(file.with_name(stem or "unpacked")))
            return command.format(archive=shlex.quote(str(file)), folder=folder)
    return None


def _begins(file: Path, magic: bytes) -> bool:
    with suppress(OSError), file.open("rb") as stream:
        return stream.read(len(magic)) == magic
    return False


def _pointer(path: Path, depth: int) -> str | None:
    """A Git LFS pointer so many folders deep; lists first, of images a few."""
    files = list(islice(_files(path, depth), _MOST_FILES))
    images = [one for one in files if _is_image(one)]
    lists = (one for one in files if not _is_image(one))
    some = chain(islice(lists, _LOOKED_AT), images[:_LOOKED_AT])
    pointer = next((one for one in some if is_pointer_file(one)), None)
    return None if pointer is None else str(pointer_error(pointer))


def _fer2013(path: Path) -> str | None:
    """FER2013's CSV under another name; its columns are those of no other list."""
    for file in [path] if path.is_file() else _top_files(path):
        if file.suffix.casefold() in ("", ".csv", ".txt", ".data") and _has_pixels(file):
            end = "rename it to fer2013.csv" if file.suffix.casefold() != ".csv" else "give it"
            return f"{file} is FER2013's CSV under another name: {end}"
    return None


def _has_pixels(file: Path) -> bool:
    with suppress(OSError), file.open("rb") as stream:
        columns = stream.readline(100).decode("utf-8-sig", "replace").casefold().split(",")
        return {"emotion", "pixels", "usage"} <= {name.strip() for name in columns}
    return False


def _automatic(path: Path) -> str | None:
    """AffectNet's photographs with the automatic list alone, or with none."""
    homes = (path, *_subfolders(path))
    inner = [folder for home in homes for folder in _subfolders(home)]
    lists = [one for one in inner if one.name.casefold() == _AUTOMATIC_LISTS]
    for folder in (*homes, *lists):
        for file in _top_files(folder):
            if file.name.casefold() == _AUTOMATIC:
                return _only_automatic(file)
    images = next((one for one in inner if one.name.casefold() in _PHOTOGRAPHS), None)
    if images is None:
        return None
    return (
        f"{images} has AffectNet's photographs, but the lists with their labels are not in {path}: "
        "put Manually_Annotated_file_lists (training.csv and validation.csv) beside it"
    )


def _only_automatic(file: Path) -> str:
    return (
        f"{file} is AffectNet's automatic list: its labels were guessed by a network, so figures "
        "on them would say how well a net agrees with that one. It is not read; give the folder "
        "with AffectNet's lists of people's labels, training.csv and validation.csv"
    )


def _too_high(path: Path, known: Known) -> str | None:
    """A folder in `path`, of one or two levels, that is of a known layout."""
    first = _subfolders(path)
    for level in (first, [below for one in first for below in _subfolders(one)]):
        found = [(one, name) for one in level[:_MOST_FOLDERS] if (name := known(one)) is not None]
        if len(found) == 1:
            folder, name = found[0]
            return f"{path} is a folder too high: give {folder}, which looks like {name}"
        if found:
            shown = ", ".join(f"{folder} ({name})" for folder, name in found[:_SHOWN])
            more = "" if len(found) <= _SHOWN else f" and {len(found) - _SHOWN} more"
            return f"{path} holds several sources: give one of {shown}{more}"
    return None


def _too_deep(path: Path, known: Known) -> str | None:
    """One of the two folders above that is of a known layout, not by what lies beside `path`."""
    below = path.absolute()
    for above in list(below.parents)[:2]:
        if above.parent == above or len(list(islice(above.iterdir(), _MOST_FOLDERS))) >= (
            _MOST_FOLDERS
        ):
            return None
        beside = [one for one in _subfolders(above) if one != below]
        name = known(above)
        if name is not None and _is_part(below, name) and not any(map(known, beside)):
            what = "is a part of a source" if path.is_file() else "is a folder too deep"
            return f"{path} {what}: give {above}, which looks like {name}"
        below = above
    return None


def _is_part(folder: Path, layout: str) -> bool:
    """Say whether a folder can be of the layout of one above it, by what it is called.

    Class folders need a name; a folder of named files would be one by itself.
    """
    if layout == "named-files":
        return folder.is_file()
    if layout != "class-folders" or folder.is_file() or kind_of(folder.name) is not None:
        return True
    try:
        parse_free_label(folder.name)
    except UnknownLabelError:
        return False
    return True


def _archive(path: Path) -> str | None:
    packed = {file: command for file in _top_files(path) if (command := _unpack(file)) is not None}
    if not packed:
        return None
    shown = ", ".join(clean_text(file.name) for file in list(packed)[:_SHOWN])
    return f"{path} holds an archive ({shown}): unpack it first ({next(iter(packed.values()))})"


def _no_files(path: Path) -> str | None:
    if path.is_file() or next(_files(path, _DEPTH), None) is not None:
        return None
    return f"{path} holds folders, but no file in any of them: unpack or copy the images again"


def _unknown_columns(path: Path) -> str | None:
    """A list whose columns have other names."""
    for file in [path] if path.is_file() else _top_files(path):
        if file.suffix.casefold() == ".csv":
            columns = ", ".join(clean_text(one.strip())[:40] for one in first_fields(file)[:20])
            return (
                f"{file} has no columns of images and labels that are known by name; it has "
                f"{columns or 'none'}: name two with --csv {file.name} --image-column and "
                "--label-column, or the layout with --layout"
            )
    return None


def _unlabelled(path: Path) -> str | None:
    """A folder of images without labels."""
    images = sum(map(_is_image, islice(_files(path, _DEPTH), _MOST_FILES)))
    if not images:
        return None
    return (
        f"{path} has {images:,} images{' and more' if images >= _MOST_FILES else ''}, and nothing "
        "that says what they show: put them into folders named by their expressions (happy, sad, "
        "...), or a CSV of image and label beside them"
    )


def _is_image(file: Path) -> bool:
    return file.suffix.casefold() in EXTENSIONS


def _top_files(folder: Path) -> list[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        some = islice((one for one in entries if not is_junk(one.name)), _MOST_FILES)
        return sorted(folder / one.name for one in some if one.is_file())
    return []


def _subfolders(folder: Path) -> list[Path]:
    with suppress(OSError):
        return subfolders(folder)[:_MOST_FOLDERS]
    return []


def _files(path: Path, depth: int) -> Iterator[Path]:
    """Yield the files in a folder and in those so many levels below it, the nearest first."""
    yield from _top_files(path)
    for folder in _subfolders(path) if depth else ():
        yield from _files(folder, depth - 1)
