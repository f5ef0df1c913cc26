"""Small data sets for the tests of the data layer."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from datasets.labels import EXPRESSIONS


def picture(number: int, size: int = 24) -> npt.NDArray[np.uint8]:
    """A picture of its own for each number: uint8 [size, size, 3]; smooth, so JPEG keeps it."""
    down, across = np.mgrid[0:size, 0:size] / size
    waves = [np.sin(down * (1 + number % 5) + across * (number % 7) + shade) for shade in range(3)]
    return np.uint8(127.5 + 127.5 * np.stack(waves, axis=-1))


def write_picture(path: Path, number: int, size: int = 24) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(number, size)).save(path)


def write_csv(path: Path, rows: Iterable[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def csv_source(root: Path, per_class: int = 4, size: int = 24) -> Path:
    """A folder with `legend.csv` and `images/`: `per_class` pictures of each expression."""
    names = [f"{label}_{n}.png" for n in range(per_class) for label in range(len(EXPRESSIONS))]
    for number, name in enumerate(names):
        write_picture(root / "images" / name, number, size)
    rows = [(name, EXPRESSIONS[int(name[0])]) for name in names]
    write_csv(root / "legend.csv", [("image", "emotion"), *rows])
    return root


def flip_byte(path: Path, at: int) -> None:
    with path.open("r+b") as stream:
        stream.seek(at)
        value = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([value ^ 0xFF]))


def files_of(directory: Path) -> dict[str, bytes]:
    """Every file under `directory`, by relative path."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
