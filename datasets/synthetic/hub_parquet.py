"""Writes layout `hub-parquet`: `data/train-00000-of-00002.parquet` as the hub's library does.

Without quirks the labels are numbers whose names, in the order of the alphabet, stand in the
schema's metadata. With quirks the validation file has names as text instead, there is a test
split, and rows lack their image or their label, or have one that means nothing.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.manifest import SplitName
from datasets.sources.split_names import TEST_SPLIT
from datasets.synthetic.base import FaceKey, Kept, Progress, Request, Truth, rendered
from datasets.synthetic.encoded import jpeg_face, truncated

# In the order of the alphabet, which is not that of the codes.
_NAMES = ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
_CODES = (6, 7, 5, 4, 1, 0, 2, 3)
_MISC = "misc"
_TEXTS = ("Neutral", "HAPPY", "sad", "Surprised", "fear", "Disgust", "angry", "contempt")
_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
# The library's own number for images.
_ROWS_PER_GROUP = 100
_ROWS_PER_FILE = 20_000


class _Row(NamedTuple):
    image: bytes | None
    path: str | None
    label: int | str | None
    kept: Kept | None = None
    """None: the row must be rejected."""


def write_hub_parquet(dest: Path, request: Request, progress: Progress | None = None) -> Truth:
    """Write Parquet files; see `WriteLayout`."""
    truth = Truth()
    keys = request.keys()
    train, validation = keys[: request.train], keys[request.train :]
    half = -(-len(train) // 2)
    per_file = min(half, _ROWS_PER_FILE)
    parts: list[tuple[SplitName, list[FaceKey]]] = [
        ("train", train[start : start + per_file]) for start in range(0, len(train), per_file)
    ]
    num_train = len(parts)
    parts.append(("validation", validation))
    shown = _Shown(progress, request.train + request.validation)
    for number, (split, part) in enumerate(parts):
        place = (number, num_train) if split == "train" else (0, 1)
        as_text = request.quirks and split == "validation"
        rows: Iterator[_Row] = _face_rows(part, as_text, shown)
        if request.quirks and number == 0:
            rows = _with_broken(rows)
        _write(dest, f"data/{split}-{place[0]:05d}-of-{place[1]:05d}.parquet", rows, truth, as_text)
        shown.before += len(part)
    if request.quirks:
        # Half the faces of validation again: a model may not be chosen on them.
        again = validation[: request.validation // 2]
        name = "data/test-00000-of-00001.parquet"
        _write(dest, name, _face_rows(again, False, None), Truth(), False)
        truth.excluded[TEST_SPLIT] += len(again)
        (dest / "README.md").write_text("---\ntask_categories:\n- image-classification\n---\n")
        (dest / ".gitattributes").write_text("*.parquet filter=lfs diff=lfs merge=lfs -text\n")
    return truth


class _Shown:
    """Progress over several files."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.before = progress, total, 0

    def __call__(self, done: int, _: int) -> None:
        if self.progress is not None:
            self.progress(self.before + done, self.total)


def _face_rows(keys: list[FaceKey], as_text: bool, progress: Progress | None) -> Iterator[_Row]:
    for key, image in rendered(keys, jpeg_face, progress):
        label = _TEXTS[key.label] if as_text else _CODES.index(key.label)
        name = f"image{key.number:07d}.jpg"
        yield _Row(image, name, label, Kept(key.split, key.label))


def _with_broken(rows: Iterator[_Row]) -> Iterator[_Row]:
    """Yield the rows with broken ones after the first."""
    first = next(rows)
    image = first.image or b""
    yield first
    yield _Row(None, "image0000001.jpg", 4)
    yield _Row(None, None, 4)
    yield _Row(truncated(image), None, 4)
    yield _Row(b"", None, 4)
    yield _Row(image, "image.jpg", None)
    yield _Row(image, "image.jpg", len(_NAMES) + 1)
    yield _Row(image, "image.jpg", -1)
    # The ninth name, `misc`, is no expression.
    yield _Row(image, "image.jpg", len(_NAMES))
    # A good image without a path is as good as any.
    yield first._replace(path=None)
    yield from rows


def _write(dest: Path, name: str, rows: Iterable[_Row], truth: Truth, as_text: bool) -> None:
    path = dest / name
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = _schema(as_text)
    number = 0
    with pq.ParquetWriter(path, schema) as writer:
        rows = iter(rows)
        while group := list(islice(rows, _ROWS_PER_GROUP)):
            images = [{"bytes": row.image, "path": row.path} for row in group]
            labels = [row.label for row in group]
            writer.write_table(pa.table({"image": images, "label": labels}, schema=schema))
            for row in group:
                if row.kept is not None:
                    truth.kept[f"{name}:{number}"] = row.kept
                else:
                    truth.rejected[name] += 1
                number += 1


def _schema(as_text: bool) -> pa.Schema:
    told: dict[str, object] = {"dtype": "string", "_type": "Value"}
    if not as_text:
        told = {"names": [*_NAMES, _MISC], "_type": "ClassLabel"}
    info = {"info": {"features": {"image": {"_type": "Image"}, "label": told}}}
    label = pa.string() if as_text else pa.int64()
    fields = {"image": _IMAGE, "label": label}
    return pa.schema(fields, metadata={"huggingface": json.dumps(info)})
