"""Every kind of image becomes RGB, or is refused with a reason."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from datasets.images import (
    MAX_PIXELS,
    UnreadableImageError,
    _plain_jpeg,
    decode_rgb,
    load_stored,
    read_image_file,
    store_image,
)
from tests.shard_data import picture


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_grey_is_spread_over_three_channels() -> None:
    grey = picture(3)[:, :, 0]
    assert np.array_equal(
        decode_rgb(encoded(Image.fromarray(grey), "PNG")), np.stack([grey] * 3, axis=-1)
    )


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    grey = picture(3)[:, :, 0]
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert np.array_equal(decode_rgb(encoded(deep, "PNG"))[:, :, 0], grey)


def test_a_palette_is_looked_up() -> None:
    image = Image.fromarray(picture(2)).quantize(16)
    assert np.array_equal(decode_rgb(encoded(image, "PNG")), np.asarray(image.convert("RGB")))


def test_cmyk_comes_close_to_what_was_stored() -> None:
    data = encoded(Image.fromarray(picture(1)).convert("CMYK"), "JPEG", quality=98)
    difference = decode_rgb(data).astype(int) - picture(1)
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode)
    assert np.all(decode_rgb(encoded(clear, "PNG")) == 255)


def test_a_transparent_palette_colour_is_laid_on_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30] * 256)
    assert np.all(decode_rgb(encoded(image, "PNG", transparency=0)) == 255)
    assert np.all(decode_rgb(encoded(image, "PNG")) == (10, 20, 30))


def test_exif_orientation_is_applied_once() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn by 90 degrees clockwise to see it upright.
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8] = 250
    lying = Image.fromarray(np.rot90(upright).copy())
    data = encoded(lying, "JPEG", quality=95, exif=exif)
    assert np.abs(decode_rgb(data).astype(int) - upright).mean() < 3
    stored = store_image(data, 16, "jpeg")
    assert np.abs(decode_rgb(stored).astype(int) - upright).mean() < 3
    # Upright for readers, too, that do not look at EXIF.
    assert 0x0112 not in Image.open(io.BytesIO(stored)).getexif()


def test_a_single_pixel_is_an_image() -> None:
    one = encoded(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG")
    assert np.all(decode_rgb(one, 4) == (9, 8, 7))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not an image at all", "not an image"),
        (encoded(Image.fromarray(picture(1, 200)), "JPEG")[:-900], "truncated"),
        (encoded(Image.fromarray(picture(1, 200)), "PNG")[:-900], "truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_what_is_no_whole_image_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError, match=reason):
        decode_rgb(data)
    with pytest.raises(UnreadableImageError, match=reason):
        store_image(data, 200, "jpeg")


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8_001, 10_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    assert side * side > MAX_PIXELS
    with pytest.raises(UnreadableImageError, match="too many pixels"):
        decode_rgb(png_claiming(side, side))


def test_a_ready_jpeg_is_kept_byte_for_byte() -> None:
    data = encoded(Image.fromarray(picture(1, 32)), "JPEG", quality=60)
    assert store_image(data, 32, "jpeg") == data
    assert store_image(data, 16, "jpeg") != data
    with pytest.raises(UnreadableImageError, match="truncated"):
        store_image(data[:-40], 32, "jpeg")


@pytest.mark.parametrize("encoding", ["png", "raw"])
def test_png_and_raw_keep_every_pixel(encoding: str) -> None:
    stored = store_image(picture(5, 32), 32, encoding)  # type: ignore[arg-type]
    assert np.array_equal(load_stored(stored, encoding, 32, 32), picture(5, 32))  # type: ignore[arg-type]
    with pytest.raises(UnreadableImageError, match="expected"):
        load_stored(stored, encoding, 31, 31)  # type: ignore[arg-type]


def test_resizing_while_loading_is_resizing_while_storing() -> None:
    large = store_image(picture(5, 48), 48, "png")
    small = store_image(picture(5, 48), 24, "png")
    assert np.array_equal(load_stored(large, "png", 48, 24), load_stored(small, "png", 24, 24))


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="no such file"):
        read_image_file(tmp_path / "absent.jpg")
    with pytest.raises(UnreadableImageError, match="can't be read"):
        read_image_file(tmp_path)


@pytest.mark.parametrize("size", [24, 40])
@pytest.mark.parametrize("exif", [b"Exif\x00\x00junk", b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff"])
def test_broken_exif_says_nothing_about_whole_pixels(exif: bytes, size: int) -> None:
    data = encoded(Image.fromarray(picture(3, size)), "JPEG", exif=exif)
    pixels = decode_rgb(encoded(Image.fromarray(picture(3, size)), "JPEG"))
    assert np.array_equal(decode_rgb(data), pixels)
    stored = store_image(data, 24, "jpeg")
    assert decode_rgb(stored).shape == (24, 24, 3)


def jpeg(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "JPEG", **options)


@pytest.mark.parametrize("size", [1, 7, 33, 64])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 5},
        {"quality": 92},
        {"quality": 100, "optimize": True},
        {"progressive": True},
        {"restart_marker_blocks": 1},
    ],
)
def test_shards_jpegs_have_the_pixels_that_pillow_sees(
    size: int, subsampling: str, options: dict[str, object]
) -> None:
    data = jpeg(Image.fromarray(picture(4, size)), subsampling=subsampling, **options)
    assert _plain_jpeg(data, size, None) is not None
    assert np.array_equal(load_stored(data, "jpeg", size, size), decode_rgb(data))
    # Straight from a map that can't be written to, straight to a place in a batch.
    batch_BHWC = np.zeros((2, size, size, 3), np.uint8)
    mapped = np.frombuffer(data, np.uint8)
    assert _plain_jpeg(mapped, size, batch_BHWC[1]) is not None
    assert load_stored(mapped, "jpeg", size, size, batch_BHWC[0]) is not None
    assert np.array_equal(batch_BHWC, np.stack([decode_rgb(data)] * 2))


@pytest.mark.parametrize(
    "data",
    [
        jpeg(Image.fromarray(picture(4)).convert("L")),
        jpeg(Image.fromarray(picture(4)).convert("CMYK")),
        encoded(Image.fromarray(picture(4)), "PNG"),
    ],
)
def test_what_is_no_colour_jpeg_is_left_to_pillow(data: bytes) -> None:
    size = picture(4).shape[0]
    assert _plain_jpeg(data, size, None) is None
    out = np.zeros((size, size, 3), np.uint8)
    assert load_stored(data, "jpeg", size, size, out) is out
    assert np.array_equal(out, decode_rgb(data))


def test_a_subsampling_without_a_name_is_left_to_pillow() -> None:
    # 4:4:1, one chroma value for four pixels above each other: 4:1:1 with its factors turned.
    data = simplejpeg.encode_jpeg(picture(4, 32), colorsubsampling="411")
    turned = data.replace(b"\x01\x41\x00\x02\x11\x01", b"\x01\x14\x00\x02\x11\x01")
    assert turned != data
    assert store_image(turned, 32, "jpeg") == turned
    assert _plain_jpeg(turned, 32, None) is None
    assert np.array_equal(load_stored(turned, "jpeg", 32, 32), decode_rgb(turned))


def test_a_damaged_jpeg_says_what_pillow_says_of_it() -> None:
    whole = jpeg(Image.fromarray(picture(1, 200)))
    with pytest.raises(UnreadableImageError, match="truncated"):
        load_stored(whole[:-900], "jpeg", 200, 200)
    with pytest.raises(UnreadableImageError, match="expected 100 squared"):
        load_stored(whole, "jpeg", 100, 100)
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 8] = bytes(8)
    # libjpeg only warns; so Pillow takes it, and the pixels are Pillow's.
    assert np.array_equal(load_stored(bytes(damaged), "jpeg", 200, 200), decode_rgb(bytes(damaged)))


@pytest.mark.parametrize("encoding", ["jpeg", "png", "raw"])
@pytest.mark.parametrize("size", [48, 24])
def test_pixels_go_where_they_are_wanted(encoding: str, size: int) -> None:
    stored = store_image(picture(5, 48), 48, encoding)  # type: ignore[arg-type]
    out = np.zeros((size, size, 3), np.uint8)
    assert load_stored(stored, encoding, 48, size, out) is out  # type: ignore[arg-type]
    assert np.array_equal(out, load_stored(stored, encoding, 48, size))  # type: ignore[arg-type]
