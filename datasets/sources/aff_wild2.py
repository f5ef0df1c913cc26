"""Source `aff-wild2`: Aff-Wild2's expression challenge, a list for each video, a number a frame.

`EXPR_Set/Train_Set/VIDEO.txt` and `EXPR_Set/Validation_Set/VIDEO.txt`, at the top or one folder
deeper (the folder may be called otherwise), begin with a line of the names of the labels 0, 1, …:
`Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other`. Each line after it is the label of
the next frame, -1 where it has none. Frame 1 of a video is `VIDEO/00001.jpg` in `cropped_aligned/`,
or in whatever folder beside the lists has the videos' folders. Numbers mean what a list's own first
line says. Aff-Wild2 has no Contempt.

Frames without a label, those of `Other`, and those without a face (there is no image of that
number) are left out and counted. The frames of a video are one group.
(Kollias and Zafeiriou, Expression, Affect, Action Unit Recognition: Aff-Wild2, BMVC 2019.)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from datasets.errors import DataError
from datasets.images import EXTENSIONS
from datasets.labels import UnknownLabelError, parse_name
from datasets.sources.base import (
    AnyRow,
    Excluded,
    Origin,
    Rejected,
    SourceOptions,
    SourceRow,
    labelled,
)
from datasets.sources.paths import FileFinder, PathRejectedError, clean_text, is_junk, subfolders
from datasets.sources.split_names import TEST_SPLIT, Role, kind_of, roles

NO_LABEL: Final = "without a label (-1)"
OTHER: Final = "Other"
NO_FACE: Final = "no image of this frame: no face was found in it"

_LEAST_NAMES: Final = 7
_MAX_LINE: Final = 1000


class AffWild2:
    """A list of labels for each video, and a folder of its frames."""

    def detect(self, path: Path) -> bool:
        """Say whether a folder of a split holds lists that begin with the names of the labels."""
        return path.is_dir() and _lists_home(path) is not None

    def rows(self, path: Path, options: SourceOptions) -> Iterator[AnyRow]:
        """Yield one row per frame, training first, videos by name.

        Raises `DataError` if it is not this layout, or if no folder has the videos' frames.
        """
        home = _lists_home(path) if path.is_dir() else None
        if home is None:
            raise DataError(
                f"{path} has no lists of Aff-Wild2: EXPR_Set/Train_Set/VIDEO.txt with the names of "
                "the labels in its first line"
            )
        folders = {one.name: one for one in subfolders(home) if _lists(one)}
        used = roles(folders)
        videos = [file.stem for folder in folders.values() for file in _lists(folder)]
        frames = _frames_home(path, home, videos)
        finder = FileFinder(path, [frames])
        for name in sorted(used, key=lambda one: kind_of(one) != "train"):
            for file in _lists(folders[name]):
                listing = file.relative_to(path).as_posix()
                yield from _Video(file, listing, used[name], frames, finder).rows()


def _lists_home(path: Path) -> Path | None:
    """Return the folder that holds the folders of the splits, with their lists."""
    for home in (path, *subfolders(path), *(deep for one in subfolders(path) for deep in _in(one))):
        if any(kind_of(one.name) is not None and _lists(one) for one in subfolders(home)):
            return home
    return None


def _in(folder: Path) -> list[Path]:
    try:
        return subfolders(folder)
    except OSError:
        return []


def _lists(folder: Path) -> list[Path]:
    """Return the lists of a folder, if the first of them is one of Aff-Wild2's."""
    if kind_of(folder.name) is None:
        return []
    files = sorted(
        file
        for file in folder.iterdir()
        if file.suffix.casefold() == ".txt" and not is_junk(file.name) and file.is_file()
    )
    return files if files and len(_names(files[0])) >= _LEAST_NAMES else []


def _names(file: Path) -> list[str]:
    """Return the names in the first line of a list; none if these are no expressions."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as stream:
            names = [name.strip() for name in stream.readline(_MAX_LINE).split(",")]
    except OSError:
        return []
    return names if all(name == OTHER or _code(name) is not None for name in names) else []


def _code(name: str) -> int | None:
    try:
        return parse_name(name)
    except UnknownLabelError:
        return None


def _frames_home(path: Path, lists: Path, videos: list[str]) -> Path:
    """Return the folder that has the most of the videos' folders."""
    wanted = set(videos)
    places = [path, *subfolders(path), *(deep for one in subfolders(path) for deep in _in(one))]
    found = {
        place: len(wanted.intersection(one.name for one in _in(place)))
        for place in places
        if place not in (lists, *subfolders(lists))
    }
    best = max(found, key=lambda place: found[place], default=None)
    if best is None or not found[best]:
        example = sorted(wanted)[0]
        raise DataError(
            f"{path} has the lists of Aff-Wild2 but no folder of frames named after a video, such "
            f"as cropped_aligned/{clean_text(example)}: give the folder that holds both"
        )
    return best


@dataclass(frozen=True)
class _Video:
    file: Path
    listing: str
    """The list, relative to the source."""
    role: Role
    frames: Path
    finder: FileFinder

    @property
    def video(self) -> str:
        return self.file.stem

    def rows(self) -> Iterator[AnyRow]:
        names = _names(self.file)
        with self.file.open(encoding="utf-8-sig", errors="replace") as stream:
            stream.readline()
            for number, line in enumerate(stream, start=1):
                origin = Origin(clean_text(self.listing), number + 1)
                if self.role == TEST_SPLIT:
                    yield Excluded(origin, TEST_SPLIT)
                elif line.strip() == "-1":
                    yield Excluded(origin, NO_LABEL)
                elif line.strip():
                    yield self._row(origin, number, line.strip()[:_MAX_LINE], names)

    def _row(self, origin: Origin, number: int, text: str, names: list[str]) -> AnyRow:
        is_number = text.isascii() and text.isdigit() and len(text) < 4
        if not (is_number and int(text) < len(names)):
            return Rejected(origin, f"label {clean_text(text)[:60]!r} is none of the list's names")
        code, image = _code(names[int(text)]), self._images.get(number)
        if code is None or image is None:
            return Excluded(origin, OTHER if code is None else NO_FACE)
        below = f"{self.video}/{image}"
        try:
            file = Path(self.finder.find(below))
        except PathRejectedError as error:
            return Rejected(origin, str(error))
        split = None if self.role == TEST_SPLIT else self.role
        group = clean_text(self.video)
        row = SourceRow(clean_text(below), 0, split, file, origin, group=group)
        return labelled(row, code)

    @cached_property
    def _images(self) -> dict[int, str]:
        """The image of each frame that has one."""
        folder = self.frames / self.video
        if not folder.is_dir():
            return {}
        found: dict[int, str] = {}
        for file in sorted(folder.iterdir()):
            stem = file.stem
            is_frame = stem.isascii() and stem.isdigit() and len(stem) < 10
            if is_frame and file.suffix.casefold() in EXTENSIONS:
                found.setdefault(int(stem), file.name)
        return found
