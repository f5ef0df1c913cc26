"""One row of a shard."""

from typing import NamedTuple


class ShardRow(NamedTuple):
    """An image as it is stored: encoded as JPEG or PNG, or raw bytes [height, width, 3] RGB."""

    image_id: str
    label: int
    image: bytes
