"""Shards as TFRecord files of `tf.train.Example`, for tf.data and every other TFRecord reader.

Features of an example: `image_id` bytes (UTF-8), `label` int64, `image` bytes. This is the only
module of `datasets` that uses TensorFlow, and only when a TFRecord shard is written or read.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from datasets.errors import DataError
from datasets.shard_row import ShardRow


def write_shard(path: Path, rows: Iterable[ShardRow]) -> None:
    """Write `rows` to `path`; the same rows give the same bytes. Raises `OSError`."""
    tf = _tensorflow()
    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in rows:
                writer.write(_record(tf, row))
    except tf.errors.OpError as error:
        # TensorFlow has errors of its own for a full disk, and tells the cause in words alone.
        raise OSError(errno.EIO, error.message.rpartition("; ")[2], str(path)) from error


def read_shard(path: Path) -> Iterator[ShardRow]:
    """Yield the rows of the shard at `path`, in order; each record's CRC is checked.

    Raises `DataError` for a damaged record or one of other features.
    """
    tf = _tensorflow()
    try:
        for number, record in enumerate(_records(tf, path)):
            yield _row(tf, path, number, record)
    except tf.errors.OpError as error:
        raise DataError(f"{path} is damaged: {error.message}") from error


def _records(tf: Any, path: Path) -> Iterator[bytes]:
    # Not tf.data: its first use starts TensorFlow's eager runtime on every GPU, after which the
    # trainer in this process could no longer choose threads and memory growth.
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # The reader below says that it is deprecated in favour of tf.data.
    try:
        records: Iterator[bytes] = tf.compat.v1.io.tf_record_iterator(str(path))
    finally:
        logger.setLevel(level)
    return records


def _row(tf: Any, path: Path, number: int, record: bytes) -> ShardRow:
    try:
        features = tf.train.Example.FromString(record).features.feature
        return ShardRow(
            features["image_id"].bytes_list.value[0].decode("utf-8"),
            int(features["label"].int64_list.value[0]),
            features["image"].bytes_list.value[0],
        )
    except (IndexError, UnicodeDecodeError, DecodeError) as error:
        raise DataError(
            f"{path}, record {number}: not an example of image_id, label and image ({error})"
        ) from error


def _record(tf: Any, row: ShardRow) -> bytes:
    features = {
        "image_id": _bytes_feature(tf, row.image_id.encode("utf-8")),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[row.label])),
        "image": _bytes_feature(tf, row.image),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    # Protobuf orders the entries of a map only when asked to.
    data: bytes = example.SerializeToString(deterministic=True)
    return data


def _bytes_feature(tf: Any, value: bytes) -> Any:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # Read once, when TensorFlow is loaded.
    import tensorflow as tf

    return tf
