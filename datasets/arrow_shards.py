"""Shards as Arrow IPC files: columns `image_id` string, `label` int8, `image` binary."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from datasets.shard_row import ShardRow

SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("image", pa.binary(), nullable=False),
    ]
)

# 128 raw images of 224 pixels are 19 MB: what a writer or a reader holds at a time.
_ROWS_PER_BATCH = 128


def write_shard(path: Path, rows: Iterable[ShardRow]) -> None:
    """Write `rows` to `path`; the same rows give the same bytes."""
    remaining = iter(rows)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        while chunk := list(islice(remaining, _ROWS_PER_BATCH)):
            image_ids, labels, images = zip(*chunk, strict=True)
            columns = [
                pa.array(values, field.type)
                for values, field in zip((image_ids, labels, images), SCHEMA, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))


def read_shard(path: Path) -> Iterator[ShardRow]:
    """Yield the rows of the shard at `path`, in order."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            columns = [column.to_pylist() for column in reader.get_batch(number).columns]
            yield from map(ShardRow._make, zip(*columns, strict=True))
