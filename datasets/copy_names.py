"""Images whose names say that they are changed copies of one picture: `X_aug3.jpg` of `X.jpg`.

Pixels do not tell of a copy that is rotated, cropped by much, or inverted; names often do. A name
alone proves little: numbers begin anew in each folder, and tools number what has nothing in common
(`images (7).jpg`). So the original must be there, in the folder of the copy or as the only one of
its name; without it, copies belong together only where their marks leave no doubt.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Final, NamedTuple

from datasets.images import EXTENSIONS

_SURE: Final = (
    "augmentation|augmented|augment|aug|duplicate|dup|copy|flipped|flip|hflip|vflip|fliplr|"
    "flipud|mirrored|mirror|rotated|rotate|inverted|invert|sheared|shear|blurred|noisy|noise|"
    "jitter"
)
"""Words that name a copy whatever stands before them."""
_CHANGES: Final = (
    "rotation|rot|cropped|crop|zoomed|zoom|scaled|scale|resized|resize|shifted|shift|"
    "translated|translate|skewed|skew|inv|blur|brightness|brighter|bright|darkened|darker|dark|"
    "contrast|gamma|hue|saturation|sharpened|sharpen|sharp|grayscale|greyscale|gray|grey|"
    "equalized|clahe|warped|warp|distorted|distort|erased|erase|cutout|horizontal|vertical"
)
"""Words that name a copy where its original is there; else they may say how a photo was taken."""


class _Mark(NamedTuple):
    """A way to mark copies in their names."""

    pattern: re.Pattern[str]
    """Of a whole name without extension; group `base` is the original's."""
    sure: bool = False
    """Whether it tells of copies also where their original is not there."""
    digit: bool = False
    """Whether the original's name must have a digit."""
    not_number: bool = False
    """Whether the original's name must be more than a number."""


# How much: `15`, `-10`, `0.5`, `15deg`. Longer numbers count frames or images.
_AMOUNT: Final = r"(?:[ _-]{0,2}\d{1,3}(?:\.\d+)?(?:deg|px|pct)?)"
_KNOWN: Final = "|".join(sorted(one.lstrip(".") for one in EXTENSIONS))


def _mark(pattern: str, **told: bool) -> _Mark:
    return _Mark(re.compile(pattern), **told)


def _after(words: str) -> str:
    return rf"(?P<base>.+?)[ ._-]+(?:{words}){_AMOUNT}{{0,3}}"


def _before(words: str) -> str:
    return rf"(?:{words}){_AMOUNT}{{0,2}}[ _-]+(?:of[ _-]+)?(?P<base>.+)"


_MARKS: Final = (
    _mark(_after(_SURE), sure=True),
    _mark(_after(_CHANGES)),
    _mark(rf"(?P<base>.+)\.(?:{_KNOWN})[ _-]?\d{{1,3}}", sure=True),  # X.jpg0.jpg
    _mark(rf"(?P<base>.+)\.(?:{_KNOWN})"),
    # X (1).jpg; but `download (1).jpg` is another picture than `download.jpg`.
    _mark(r"(?P<base>.+?) ?\(\d{1,3}\)", digit=True),
    # X_0_5123.jpg, as Keras' ImageDataGenerator names what it saves, one image at a time.
    _mark(r"(?P<base>.+)_0_\d{1,7}", digit=True),
    # What follows may be a running or, in Keras' aug_0_5123.jpg, a random number.
    _mark(_before(_SURE), sure=True, not_number=True),
    _mark(_before(_CHANGES), not_number=True),
)


class _Name(NamedTuple):
    folder: str
    stem: str
    """Without extension, in small letters."""


def name_families(image_ids: Sequence[str], labels: Sequence[int]) -> list[list[int]]:
    """Return the numbers of the images that are one picture by their names, two or more each.

    `image_ids` are paths below the source; those that end in no image's extension have no family.
    A family begins with its original where that is there; the rest ascends.
    """
    return _Names(image_ids, labels).families()


class _Names:
    def __init__(self, image_ids: Sequence[str], labels: Sequence[int]) -> None:
        self._labels = labels
        self._names = list(map(_name, image_ids))
        self._here: dict[_Name, int] = {}
        self._anywhere: dict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(self._names):
            if name is not None:
                self._here.setdefault(name, number)
                self._anywhere[name.stem].append(number)

    def families(self) -> list[list[int]]:
        parents = {number: parent for number, parent in self._parents() if parent is not None}
        orphans = [number for number, parent in self._parents() if parent is None]
        keys = self._sibling_keys(orphans)
        found: dict[Hashable, list[int]] = defaultdict(list)
        for number in sorted({*parents, *parents.values(), *keys}):
            root = number
            while root in parents:  # ends: an original's name is shorter than its copy's
                root = parents[root]
            found[keys.get(root, root)].append(number)
        families = [sorted(one, key=lambda n: (n in parents, n)) for one in found.values()]
        return [one for one in families if len(one) > 1]

    def _parents(self) -> Iterator[tuple[int, int | None]]:
        """Yield every image that is marked as a copy, and its original if that is there."""
        for number, name in enumerate(self._names):
            if name is not None:
                bases = [base for base, _ in _bases(name.stem)]
                if bases:
                    found = (self._original(number, name.folder, base) for base in bases)
                    yield number, next((one for one in found if one is not None), None)

    def _original(self, copy: int, folder: str, base: str) -> int | None:
        own = self._here.get(_Name(folder, base))
        if own is not None:
            return own
        others = self._anywhere.get(base, ())
        if len(others) != 1:  # none, or numbers that begin anew in each folder
            return None
        if base.isdigit() and self._labels[others[0]] != self._labels[copy]:
            return None
        return others[0]

    def _sibling_keys(self, orphans: Sequence[int]) -> dict[int, Hashable]:
        """Return, of copies without an original that are surely some, what they have in common."""
        by_base: dict[str, list[int]] = defaultdict(list)
        for number in orphans:
            name = self._names[number]
            base = None if name is None else _sure_base(name.stem)
            if base is not None:
                by_base[base].append(number)
        keys: dict[int, Hashable] = {}
        for base, numbers in by_base.items():
            names = [name for number in numbers if (name := self._names[number]) is not None]
            stems = Counter(name.stem for name in names)
            # The same name in two folders: of each folder's own X, it may be.
            apart = base.isdigit() or base in self._anywhere or max(stems.values()) > 1
            for number, name in zip(numbers, names, strict=True):
                keys[number] = (name.folder if apart else None, base)
        return keys


def _name(image_id: str) -> _Name | None:
    folder, _, file = image_id.rpartition("/")
    stem, dot, extension = file.rpartition(".")
    if not stem or f"{dot}{extension.casefold()}" not in EXTENSIONS:
        return None
    return _Name(folder, stem.casefold())


def _bases(stem: str) -> Iterator[tuple[str, bool]]:
    """Yield what is left of a name without its marks, one after the other, and whether all so far
    were sure."""
    sure = True
    while (stripped := _stripped(stem)) is not None:
        stem, mark = stripped
        sure = sure and mark.sure
        yield stem, sure


def _stripped(stem: str) -> tuple[str, _Mark] | None:
    for mark in _MARKS:
        found = mark.pattern.fullmatch(stem)
        if found is not None and _fits(found["base"], mark):
            return found["base"], mark
    return None


def _fits(base: str, mark: _Mark) -> bool:
    has_digit = any(one.isdigit() for one in base)
    is_number = base.isdigit()
    return (has_digit or not mark.digit) and not (is_number and mark.not_number)


def _sure_base(stem: str) -> str | None:
    """Return the name without the marks that are sure; None if it says too little."""
    sure = [base for base, all_sure in _bases(stem) if all_sure]
    # `face_aug17` counts the copies of all faces, not those of a picture called `face`.
    return sure[-1] if sure and any(one.isdigit() for one in sure[-1]) else None
