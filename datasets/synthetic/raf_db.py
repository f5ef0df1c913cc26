"""Writes layout `raf-db`: `basic/EmoLabel/list_patition_label.txt` and `basic/Image/`.

RAF-DB has no Contempt: those faces are skipped. With quirks some images are there unaligned only,
missing or broken, and lines of the list can't be used.
"""

from pathlib import Path

from datasets.label_orders import RAF_DB
from datasets.labels import EXPRESSIONS
from datasets.manifest import SplitName
from datasets.sources.raf_db import UNALIGNED
from datasets.synthetic.base import Kept, Progress, Request, Truth, rendered
from datasets.synthetic.encoded import jpeg_face, truncated

_LIST = "basic/EmoLabel/list_patition_label.txt"
_PREFIXES: dict[SplitName, str] = {"train": "train", "validation": "test"}
_LABELS = {code: label for label, code in RAF_DB.items()}
_CONTEMPT = EXPRESSIONS.index("Contempt")
_UNALIGNED_EVERY = 11


def write_raf_db(dest: Path, request: Request, progress: Progress | None = None) -> Truth:
    """Write a list and aligned images; see `WriteLayout`."""
    truth = Truth()
    lines: list[str] = []
    keys = request.keys()
    seven = [key for key in keys if key.label != _CONTEMPT]
    last = b""
    for key, image in rendered(seven, jpeg_face, progress):
        name = f"{_PREFIXES[key.split]}_{key.number + 1:05d}.jpg"
        unaligned = request.quirks and key.number % _UNALIGNED_EVERY == 5
        _write_image(dest, name, image, aligned=not unaligned)
        if unaligned:
            truth.remarks[UNALIGNED] += 1
        lines.append(f"{name} {_LABELS[key.label]}")
        truth.kept[name] = Kept(key.split, key.label)
        last = image
    if request.quirks:
        lines += _broken_lines(dest, lines[0], last, truth)
    path = dest / _LIST
    path.parent.mkdir(parents=True, exist_ok=True)
    end = "\r\n" if request.quirks else "\n"
    path.write_bytes("".join(line + end for line in lines).encode())
    return truth


def _broken_lines(dest: Path, first_line: str, image: bytes, truth: Truth) -> list[str]:
    for stem, data in (("train_90001", truncated(image)), ("train_90002", b"")):
        _write_image(dest, f"{stem}.jpg", data, aligned=True)
    for stem in ("train_90003", "train_90004", "other_90005"):
        _write_image(dest, f"{stem}.jpg", image, aligned=True)
    lines = [
        "train_90001.jpg 4",
        "train_90002.jpg 4",
        "train_90003.jpg 8",
        "train_90004.jpg happy",
        "other_90005.jpg 4",
        "train_90006.jpg 4",
        "../Image/train_90003.jpg 4",
        "/etc/passwd 4",
        first_line,
    ]
    truth.rejected.update(line.split()[0] for line in lines)
    no_image = ["train_90003.jpg", "train_90003.jpg 4 4"]
    truth.rejected[_LIST] += len(no_image)
    return [*lines, "", *no_image]


def _write_image(dest: Path, name: str, image: bytes, *, aligned: bool) -> None:
    stem, _, extension = name.rpartition(".")
    file = f"aligned/{stem}_aligned.{extension}" if aligned else f"original/{name}"
    path = dest / "basic" / "Image" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image)
