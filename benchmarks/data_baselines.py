"""The least work that `prepare` and staging can do, in bare loops, for comparison."""

import csv
import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path, PurePosixPath
from threading import BrokenBarrierError
from typing import NamedTuple, TypeVar

import numpy as np
from measuring import BenchmarkError, Step, say
from PIL import Image

from datasets.manifest import Manifest
from datasets.parallel import num_cores
from datasets.shards import FORMATS

Item = TypeVar("Item")

_SAMPLE_ROWS = 20_000
_ROWS_PER_TASK = 64
_LISTS = "Manually_Annotated_file_lists"
_IMAGES = "Manually_Annotated_Images/Manually_Annotated_Images"
# Of the name of a drawn photograph, a sha224. Rows that can't be used have other names, or repeat
# one.
_DIGITS = 56
_LARGEST_WAIT_S = 120


class Face(NamedTuple):
    """An image file and the box of its face, pixels."""

    file: str
    left: int
    top: int
    right: int
    bottom: int


def sample_of(source: Path) -> list[Face]:
    """Return up to 20,000 faces of a drawn copy of AffectNet 2017, evenly spread over both lists.

    The image files are not looked at: they stay as cold as they are.
    """
    faces: dict[str, Face] = {}
    for name in ("training.csv", "validation.csv"):
        with (source / _LISTS / name).open(newline="", encoding="utf-8") as stream:
            for fields in csv.reader(stream):
                if len(PurePosixPath(fields[0]).stem) == _DIGITS:
                    left, top, width, height = (round(float(text)) for text in fields[1:5])
                    file = str(source / _IMAGES / fields[0])
                    face = Face(file, left, top, left + width, top + height)
                    faces.setdefault(file, face)
    every = list(faces.values())
    chosen = np.linspace(0, len(every), min(_SAMPLE_ROWS, len(every)), endpoint=False).astype(int)
    return [every[place] for place in chosen.tolist()]


def prepare_baseline(name: str, faces: Sequence[Face], size: int, workers: int) -> Step:
    """Time decode, crop, resize and encode in `workers` processes, without the start of these.

    Raises `BenchmarkError` if a process dies.
    """
    tasks = _tasks(faces)
    workers = min(workers, len(tasks))  # A pool starts no more than it has tasks.
    say(f"{name}: {len(faces):,} images in {workers} processes")
    context = get_context("spawn")
    ready = context.Barrier(workers + 1)
    try:
        with ProcessPoolExecutor(workers, context, _wait, (ready,)) as pool:
            return _timed(name, partial(_prepare, size), tasks, pool, partial(_wait, ready))
    except (BrokenExecutor, BrokenBarrierError) as error:
        raise BenchmarkError(f"{name}: a process died or did not start: {error}") from error


def decode_baseline(shards: Path, manifest: Manifest) -> Step:
    """Time the decoding of stored images in a thread for each core, as staging does it.

    About 20,000 of them, the first ones of every shard, are read beforehand.
    """
    read_shard = FORMATS[manifest.format].read_shard
    per_shard = -(-_SAMPLE_ROWS // len(manifest.shards))
    stored = [
        row.image
        for shard in manifest.shards
        for row in islice(read_shard(shards / shard.file), per_shard)
    ]
    workers = num_cores()
    say(f"decode alone: {len(stored):,} images in {workers} threads")
    with ThreadPoolExecutor(workers) as pool:
        return _timed("decode alone", _decode, _tasks(stored), pool)


def _tasks(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[n : n + _ROWS_PER_TASK] for n in range(0, len(items), _ROWS_PER_TASK)]


def _timed(
    name: str,
    loop: Callable[[Sequence[Item]], int],
    tasks: Sequence[Sequence[Item]],
    pool: Executor,
    wait: Callable[[], None] = lambda: None,
) -> Step:
    counts = pool.map(loop, tasks)
    wait()
    start = time.perf_counter()
    images = sum(counts)
    step = Step(name, images, time.perf_counter() - start)
    say(f"{name}: {step.images_per_s:,.0f} images/s")
    return step


def _wait(barrier: Barrier) -> None:
    barrier.wait(timeout=_LARGEST_WAIT_S)


def _prepare(size: int, faces: Sequence[Face]) -> int:
    """What `prepare` can't do without; the functions and parameters of `datasets.images`."""
    for file, left, top, right, bottom in faces:
        with Image.open(file) as picture:
            width, height = picture.size
            inside = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
            face = picture.crop(inside).resize((size, size), Image.Resampling.LANCZOS)
            face.save(io.BytesIO(), "JPEG", quality=92)
    return len(faces)


def _decode(images: Sequence[bytes]) -> int:
    for image in images:
        np.asarray(Image.open(io.BytesIO(image)))
    return len(images)
