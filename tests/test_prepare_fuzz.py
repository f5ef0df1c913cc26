"""Whatever stands in a list or in a file: each row ends in a shard or in `rejected.csv`."""

import csv
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.images import ImageHWC, UnreadableImageError, decode_rgb, store_image
from datasets.labels import EXPRESSIONS
from datasets.manifest import read_manifest
from datasets.prepare import prepare
from datasets.shards import read_checked
from datasets.verify import verify
from tests.shard_data import picture


def encoded(kind: str, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture(3, 20)).convert(mode).save(stream, kind)
    return stream.getvalue()


GOOD = [
    *(encoded(kind) for kind in ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM")),
    encoded("JPEG", "CMYK"),
    encoded("PNG", "P"),
    encoded("TIFF", "I;16"),
]


@st.composite
def image_bytes(draw: st.DrawFn) -> bytes:
    """A good image, or one that was cut, overwritten or replaced by noise."""
    data = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, len(data)))]
    return draw(st.one_of(st.just(bytes(data)), st.binary(max_size=64)))


@pytest.mark.slow
@given(
    data=image_bytes(), size=st.integers(8, 40), encoding=st.sampled_from(["jpeg", "png", "raw"])
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_an_image_or_are_refused(data: bytes, size: int, encoding: str) -> None:
    try:
        stored = store_image(data, size, encoding)  # type: ignore[arg-type]
    except UnreadableImageError:
        return
    if encoding == "raw":
        assert len(stored) == size * size * 3
    else:
        assert decode_rgb(stored).shape == (size, size, 3)


NAMES = [f"{number}.png" for number in range(6)]
names = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(["../up.png", "/etc/passwd", "gone.png", "", "a\0b.png", "images/0.png", "."]),
    st.text(max_size=12),
)
labels = st.one_of(
    st.sampled_from([*EXPRESSIONS, "happy", "3", "7", "SAD", " fear "]),
    st.sampled_from(["8", "Uncertain", "no-face"]),
    st.text(max_size=12),
)
MOST_ROWS = 12
# So many good images of a class that both halves have one, wherever the other rows go.
SURE = [(f"sure-{number}.png", "1") for number in range(MOST_ROWS + 2)]


@pytest.mark.slow
@given(
    rows=st.lists(st.tuples(names, labels), max_size=MOST_ROWS),
    files=st.lists(image_bytes(), max_size=6),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_row_is_in_a_shard_or_rejected_and_none_in_both(
    rows: list[tuple[str, str]], files: list[bytes]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, dest = Path(folder, "source"), Path(folder, "shards")
        written = write_source(source, rows, files)
        manifest = prepare(
            source,
            dest,
            image_size=16,
            max_rejected=1.0,
            layout="csv-folder",
            label_order="affectnet",
            validation_fraction=0.5,
        )
        verify(dest, read_manifest(dest))
        kept = [
            row.image_id for shard in manifest.shards for row in read_checked(dest, manifest, shard)
        ]
        with (dest / "rejected.csv").open(newline="") as stream:
            rejected = [line["file"] for line in csv.DictReader(stream)]
        assert len(set(kept)) == len(kept)
        assert {name for name, _ in SURE} <= set(kept)
        assert len(kept) + len(rejected) + sum(manifest.excluded.values()) == written
        assert manifest.rejected == len(rejected)


def write_source(source: Path, rows: list[tuple[str, str]], files: list[bytes]) -> int:
    """Write the files and the list; return the number of its rows."""
    (source / "images").mkdir(parents=True)
    for name, data in zip(NAMES, files, strict=False):
        (source / "images" / name).write_bytes(data)
    for seed, (name, _) in enumerate(SURE):
        Image.fromarray(noise(seed)).save(source / "images" / name)
    lines = [("image", "label"), *SURE, *rows]
    with (source / "legend.csv").open(
        "w", newline="", encoding="utf-8", errors="replace"
    ) as stream:
        csv.writer(stream).writerows(lines)
    with (source / "legend.csv").open(newline="", encoding="utf-8") as stream:
        return sum(1 for line in stream if line.strip("\r\n")) - 1  # A row ends with its line.


def noise(seed: int) -> ImageHWC:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
