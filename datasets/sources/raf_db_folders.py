"""RAF-DB as a folder per label, as most public copies have it: `train/1/train_00001_aligned.jpg`.

The folders of the splits are spelled in any way (`split_names`), `valid` among them, or are not
there: then an image's own name says whether it is of RAF-DB's training or test part. All may lie
one folder deeper, as in Kaggle's `DATASET`. Changed copies that people made of the images
(`…_aligned_aug3.jpg`) have the label of their folder, and a remark counts them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from datasets.errors import DataError
from datasets.images import EXTENSIONS
from datasets.label_orders import RAF_DB
from datasets.labels import parse_number
from datasets.manifest import SplitName
from datasets.sources.base import AnyRow, Excluded, Origin, Rejected, Remark, SourceRow
from datasets.sources.leftovers import files_below, leftovers
from datasets.sources.paths import FileFinder, clean_text, is_junk, subfolders
from datasets.sources.split_names import TEST_SPLIT, Role, kind_of, no_split, roles

CHANGED = "by its name a changed copy of another image"

_WHOLE: Final = re.compile(r"(train|test)_\d+_aligned\.(jpg|jpeg|png)", re.IGNORECASE)
# No other data set has names like these: `train_1.jpg` could be of any.
_NAMED: Final = re.compile(r"(?<![a-z])(train|test)_(\d{4,5})_aligned", re.IGNORECASE)
_PARTS: Final[dict[str, SplitName]] = {"train": "train", "test": "validation"}
_COMPOUND_DIGITS: Final = 4
_LOOKED_AT = 5


@dataclass(frozen=True)
class Tree:
    """A folder whose folders are named by numbers and hold images that RAF-DB has named."""

    folder: Path
    labels: tuple[Path, ...]

    def names(self) -> Iterator[str]:
        """The names of the first images of each label."""
        for folder in self.labels:
            files = (one.name for one in folder.iterdir() if _is_image(one.name))
            yield from islice(files, _LOOKED_AT)

    @property
    def is_compound(self) -> bool:
        """Whether the labels or the names are those of the compound set."""
        above = sum((parse_number(one.name) or 0) > max(RAF_DB) for one in self.labels)
        if above > 1:  # one may be a mistake
            return True
        found = (_NAMED.search(name) for name in self.names())
        digits = [len(one[2]) for one in found if one and one[1].lower() == "train"]
        return sum(number == _COMPOUND_DIGITS for number in digits) > len(digits) / 2


def find_trees(path: Path) -> list[Tree]:
    """Return the trees at the top, or under folders of splits there or one folder deeper."""
    own = _tree(path)
    if own is not None:
        return [own]
    for base in (path, *subfolders(path)):
        found = [tree for one in subfolders(base) if (tree := _tree(one)) is not None]
        if found:
            return found
    return []


def _tree(folder: Path) -> Tree | None:
    labels = tuple(one for one in subfolders(folder) if parse_number(one.name) is not None)
    if not labels or any(parse_number(one.name) == 0 for one in labels):
        return None  # RAF-DB's own numbers begin with 1
    tree = Tree(folder, labels)
    names = list(tree.names())
    ours = sum(_NAMED.search(name) is not None for name in names)
    return tree if names and 2 * ours > len(names) else None


def _is_image(name: str) -> bool:
    return not is_junk(name) and Path(name).suffix.casefold() in EXTENSIONS


def folder_rows(source: Path) -> Iterator[AnyRow]:
    """Yield one row per file, training first. Raises `DataError` for the compound set."""
    trees = find_trees(source)
    for tree in trees:
        if tree.is_compound:
            raise compound_set(tree.folder)
    reader = _Reader(source, FileFinder(source, [source]), _by_name(trees))
    used = roles(tree.folder.name for tree in trees) if len(trees) > 1 else {}
    for tree in sorted(trees, key=lambda one: kind_of(one.folder.name) != "train"):
        role = used.get(tree.folder.name)
        left_out = bool(used) and tree.folder.name not in used
        for folder in subfolders(tree.folder):
            for file in files_below(folder):
                yield from reader.rows(file, folder.name, role, left_out)
    read = [folder for tree in trees for folder in subfolders(tree.folder)]
    yield from leftovers(source, [tree.folder for tree in trees], read)


def compound_set(place: Path) -> DataError:
    """The error that says that RAF-DB's compound set is none for us."""
    return DataError(
        f"{place} is RAF-DB's compound set: its labels 1 to 11 are mixed expressions, none of the "
        "eight that are trained; give the basic set"
    )


def _by_name(trees: list[Tree]) -> bool:
    """Whether the names of the images must say which part they are of, and do."""
    if len(trees) > 1 and any(kind_of(tree.folder.name) is not None for tree in trees):
        return False
    return len({found[1].lower() for tree in trees for found in _all_names(tree)}) > 1


def _all_names(tree: Tree) -> Iterator[re.Match[str]]:
    for folder in tree.labels:
        for file in folder.iterdir():
            found = _NAMED.search(file.name)
            if found is not None:
                yield found


@dataclass(frozen=True)
class _Reader:
    source: Path
    finder: FileFinder
    by_name: bool

    def rows(self, file: Path, label: str, role: Role, left_out: bool) -> Iterator[AnyRow]:
        name = file.relative_to(self.source).as_posix()
        origin = Origin(clean_text(name))
        if role == TEST_SPLIT or left_out:
            reason = no_split(clean_text(name.split("/")[-3])) if left_out else TEST_SPLIT
            yield Excluded(origin, reason)
            return
        try:
            named = _NAMED.search(file.name)
            if named is None:
                raise ValueError("the name is not of the form train_00001_aligned.jpg")
            code = _code(label)
            self.finder.find(name)
        except ValueError as error:
            yield Rejected(origin, str(error))
            return
        if _WHOLE.fullmatch(file.name) is None:
            yield Remark(CHANGED)
        split = _PARTS[named[1].lower()] if self.by_name else role
        yield SourceRow(origin.file, code, split, file, origin)


def _code(text: str) -> int:
    number = parse_number(text)
    if number is None or number not in RAF_DB:
        raise ValueError(f"unknown label {clean_text(text)[:60]!r}, expected 1 to 7")
    return RAF_DB[number]
