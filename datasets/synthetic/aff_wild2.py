"""Writes layout `aff-wild2`: a list for each video, and its frames in `cropped_aligned/`.

Aff-Wild2 has no Contempt: those faces are skipped. With quirks frames have no label, are of
`Other`, have no image or a broken one, and lines can't be read.
"""

from collections.abc import Sequence
from pathlib import Path

from datasets.labels import EXPRESSIONS, parse_name
from datasets.manifest import SplitName
from datasets.sources.aff_wild2 import NO_FACE, NO_LABEL, OTHER
from datasets.synthetic.base import Kept, Progress, Request, Truth, rendered
from datasets.synthetic.encoded import jpeg_face, truncated

_LISTS: dict[SplitName, str] = {"train": "Train_Set", "validation": "Validation_Set"}
_HEADER = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
_NUMBERS = {parse_name(name): number for number, name in enumerate(_HEADER.split(",")[:-1])}
_CONTEMPT = EXPRESSIONS.index("Contempt")
_FRAMES = 16


def write_aff_wild2(dest: Path, request: Request, progress: Progress | None = None) -> Truth:
    """Write videos of sixteen frames; see `WriteLayout`."""
    truth = Truth()
    keys = request.keys()
    seven = [key for key in keys if key.label != _CONTEMPT]
    lines: dict[tuple[SplitName, str], list[str]] = {}
    counts = dict.fromkeys(_LISTS, 0)
    last = b""
    for key, image in rendered(seven, jpeg_face, progress):
        video = f"{key.split}-{counts[key.split] // _FRAMES}"
        counts[key.split] += 1
        listed = lines.setdefault((key.split, video), [])
        listed.append(str(_NUMBERS[key.label]))
        name = f"{video}/{len(listed):05d}.jpg"
        _write_frame(dest, name, image)
        truth.kept[name] = Kept(key.split, key.label)
        last = image
    if request.quirks:
        _add_quirks(dest, lines["train", "train-0"], last, truth)
    end = "\r\n" if request.quirks else "\n"
    for (split, video), listed in lines.items():
        _write_list(dest / "EXPR_Set" / _LISTS[split] / f"{video}.txt", listed, end)
    return truth


def _add_quirks(dest: Path, listed: list[str], image: bytes, truth: Truth) -> None:
    for text, reason, frame in (
        ("-1", NO_LABEL, image),
        ("7", OTHER, image),
        ("4", NO_FACE, None),
        ("8", None, image),
        ("happy", None, image),
        ("4", None, truncated(image)),
    ):
        listed.append(text)
        if frame is not None:
            _write_frame(dest, f"train-0/{len(listed):05d}.jpg", frame)
        if reason is None:
            truth.rejected["EXPR_Set/Train_Set/train-0.txt"] += 1
        else:
            truth.excluded[reason] += 1


def _write_frame(dest: Path, name: str, image: bytes) -> None:
    path = dest / "cropped_aligned" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image)


def _write_list(path: Path, listed: Sequence[str], end: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([_HEADER, *listed, ""]).encode())
