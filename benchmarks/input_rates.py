"""Child: rates of shuffled batches of 16 images of 224 pixels, by all ways there are.

    python benchmarks/input_rates.py WORKDIR REPETITIONS

Prints `{way: [images/s of each repetition]}`; `memcpy` copies as many bytes as the images have.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from datasets.batches import TrainBatches
from datasets.cache import stage
from datasets.folder import as_folder
from datasets.manifest import read_manifest
from datasets.prepare import synth

IMAGES, SIZE, BATCH = 1024, 224, 16
_AT_LEAST_S = 1.0


def images_per_s(epoch: Callable[[int], int]) -> float:
    """The rate of whole epochs, each of which returns its images, over a second or more."""
    images, number, start = 0, 0, time.perf_counter()
    while time.perf_counter() - start < _AT_LEAST_S:
        images += epoch(number)
        number += 1
    return images / (time.perf_counter() - start)


def gathered(batches: TrainBatches) -> Callable[[int], int]:
    """Batches as our cache gives them."""
    steps = range(batches.steps_per_epoch)
    return lambda number: sum(len(batches.batch(number, step)[0]) for step in steps)


def copied(batches: TrainBatches) -> Callable[[int], int]:
    """The same bytes in order of memory, each batch by one memcpy into the same warm place."""
    source = batches.batch(0, 0)[0]
    source = np.concatenate([source] * (IMAGES // BATCH))
    place = np.empty((BATCH, SIZE, SIZE, 3), np.uint8)

    def epoch(_: int) -> int:
        for start in range(0, IMAGES, BATCH):
            np.copyto(place, source[start : start + BATCH])
        return IMAGES

    return epoch


def fed(batches: TrainBatches) -> Callable[[int], int]:
    """Batches as `fit` gets them."""
    from trainers.backend import Replicas
    from trainers.fitting import EpochFeed

    def epoch(number: int) -> int:
        return sum(len(images) for images, _ in Replicas().dataset(EpochFeed(batches, number, 0)))

    return epoch


def tf_data(shards: Path) -> Callable[[int], int]:
    """As a notebook does it: TFRecord files, shuffled, decoded, batched by an autotuned tf.data."""
    import tensorflow as tf

    features = {
        "image": tf.io.FixedLenFeature((), tf.string),
        "label": tf.io.FixedLenFeature((), tf.int64),
    }

    def decoded(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = tf.io.parse_single_example(record, features)
        image = tf.io.decode_jpeg(example["image"], channels=3)
        return tf.ensure_shape(image, (SIZE, SIZE, 3)), example["label"]

    manifest = read_manifest(as_folder(shards))
    files = [str(shards / shard.file) for shard in manifest.of_split("train")]
    dataset = (
        tf.data.TFRecordDataset(files)
        .shuffle(IMAGES)
        .map(decoded, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(BATCH)
        .prefetch(tf.data.AUTOTUNE)
    )

    def epoch(_: int) -> int:
        return sum(len(images) for images, _ in dataset)

    return epoch


def ways(work: Path) -> Iterator[tuple[str, Callable[[int], int]]]:
    """Draw the faces, and yield each way's epoch."""
    for kind in ("arrow", "tfrecord"):
        synth(work / kind, train=IMAGES, validation=16, size=SIZE, seed=0, format=kind)
    yield "tf.data", tf_data(work / "tfrecord")
    for mode in ("decoded", "encoded"):
        staged = stage(work / "arrow", work / mode, SIZE, mode=mode)
        batches = TrainBatches(staged.split("train"), BATCH, seed=0)
        yield mode, gathered(batches)
        if mode == "decoded":
            yield "memcpy", copied(batches)
            yield "fed", fed(batches)


def main() -> None:
    """Measure all ways in turn."""
    work, repetitions = Path(sys.argv[1]), int(sys.argv[2])
    epochs = dict(ways(work))
    for epoch in epochs.values():
        epoch(0)  # files into memory, threads up, autotuning settled
    rates = defaultdict(list)
    for _ in range(repetitions):
        for name, epoch in epochs.items():
            rates[name].append(images_per_s(epoch))
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
