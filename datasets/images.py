"""The one place where images are decoded, resized and encoded.

Every image becomes RGB: turned as its EXIF orientation says, grey and palette expanded, CMYK
converted, 16-bit grey scaled to 8 bits, transparency laid on white. Images are resized to a square
with Pillow's Lanczos filter, which is antialiased; the aspect ratio is not kept, as in AffectNet's
own 224 by 224 release.

Pillow reads what people bring. The JPEG files of shards are plain ones, and `simplejpeg` decodes
those: with the same library (libjpeg-turbo) to the same pixels, straight to where they are wanted.
"""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError, __version__, features

from datasets.errors import DataError
from datasets.git_lfs import POINTER, is_pointer
from datasets.manifest import Encoding

ImageHWC = npt.NDArray[np.uint8]
"""uint8 [height, width, 3] RGB."""

Buffer = bytes | npt.NDArray[np.uint8]
"""Bytes of an image file, perhaps of a part of a memory map."""

# A photograph of 50 megapixels fits; decoded it takes 200 MB. A bomb declares far more.
MAX_PIXELS = 64_000_000
_MAX_FILE_BYTES = 256 << 20
_JPEG_QUALITY = 92
# Named, so that a hostile file can't reach Pillow's rarer plugins (EPS starts Ghostscript).
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm")
)
"""Extensions of image files, in small letters."""


class UnreadableImageError(DataError):
    """The bytes are not an image that can be used; the text says why."""


def decoder_name() -> str:
    """Name the libraries that decide the pixels, for provenance and for the cache."""
    turbo = features.version_feature("libjpeg_turbo")
    codec = f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version_codec('jpg')}"
    return f"Pillow {__version__}, {codec}, simplejpeg {simplejpeg.__version__}"


def read_image_file(path: Path) -> bytes:
    """Return the bytes of an image file. Raises `UnreadableImageError` with a short reason."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise UnreadableImageError("no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableImageError(f"can't be read: {reason}") from error
    if len(data) > _MAX_FILE_BYTES:
        raise UnreadableImageError(f"larger than {_MAX_FILE_BYTES >> 20} MiB")
    return data


def decode_rgb(data: bytes, size: int | None = None) -> ImageHWC:
    """Decode an image of any supported kind to RGB, resized to `size` by `size` pixels if given.

    Raises `UnreadableImageError` if the bytes are empty, truncated, no image, or declare more than
    `MAX_PIXELS` pixels (checked before any pixel is decoded).
    """
    return np.asarray(_resized(_open_rgb(data), size))


Bounds = tuple[float, float, float, float]
"""left, top, right, bottom of a part of an upright image, pixels."""


def store_image(
    image: bytes | ImageHWC, size: int, encoding: Encoding, bounds: Bounds | None = None
) -> bytes:
    """Return the bytes to store for an image: RGB, `size` by `size` pixels, in `encoding`.

    `bounds` is the part to keep; what of it lies outside the image is left off. A whole JPEG that
    is RGB, upright and of that size already is kept as it is: encoding it again would only lose
    quality. Raises `UnreadableImageError`, also when `bounds` holds no pixel of the image.
    """
    if isinstance(image, bytes):
        if encoding == "jpeg" and bounds is None and _is_ready_jpeg(image, size):
            _open_rgb(image)  # It must decode to its end all the same.
            return image
        picture = _open_rgb(image)
    else:
        picture = Image.fromarray(image)
    if bounds is not None:
        picture = _cropped(picture, bounds)
    picture = _resized(picture, size)
    if encoding == "raw":
        return picture.tobytes()
    stream = io.BytesIO()
    if encoding == "jpeg":
        picture.save(stream, "JPEG", quality=_JPEG_QUALITY)
    else:
        picture.save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def load_stored(
    image: Buffer,
    encoding: Encoding,
    stored_size: int,
    size: int,
    out: ImageHWC | None = None,
) -> ImageHWC:
    """Return the pixels of what `store_image` gave, resized to `size` by `size` if that differs.

    `stored_size` is the height and width with which the image was stored. With `out`, uint8
    [size, size, 3] and contiguous, the pixels are written there and it is returned. Raises
    `UnreadableImageError` if the bytes hold something else.
    """
    whole = out if size == stored_size else None
    pixels = _load_whole(image, encoding, stored_size, whole)
    if size != stored_size:
        pixels = np.asarray(_resized(Image.fromarray(pixels), size))
    if out is None or pixels is out:
        return pixels
    out[:] = pixels
    return out


def _load_whole(image: Buffer, encoding: Encoding, size: int, out: ImageHWC | None) -> ImageHWC:
    """The pixels as they were stored, in `out` or elsewhere."""
    if encoding == "raw":
        flat, expected = np.frombuffer(image, np.uint8), size * size * 3
        if flat.size != expected:
            raise UnreadableImageError(f"{flat.size} raw bytes, expected {expected}")
        return flat.reshape(size, size, 3)
    if encoding == "jpeg":
        pixels = _plain_jpeg(image, size, out)
        if pixels is not None:
            return pixels
    picture = _open_rgb(bytes(image))
    if picture.size != (size, size):
        raise UnreadableImageError(f"{picture.size} pixels, expected {size} squared")
    return np.asarray(picture)


def _plain_jpeg(image: Buffer, size: int, out: ImageHWC | None) -> ImageHWC | None:
    """The pixels of a flawless colour JPEG of `size` squared, in `out` if given.

    None for what is not one: Pillow says what it is. That takes two and a half times as long, as
    it keeps four bytes a pixel, decodes by the block and copies twice. An orientation is not looked
    for: `store_image` keeps upright files alone.
    """
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(image)
        if (height, width) != (size, size) or colours not in ("YCbCr", "RGB"):
            return None
        pixels: ImageHWC = simplejpeg.decode_jpeg(image, "RGB", buffer=out)
    except (ValueError, KeyError):  # the latter of a subsampling that simplejpeg has no name for
        return None
    return pixels if out is None else out


def _cropped(picture: Image.Image, bounds: Bounds) -> Image.Image:
    limits = (*picture.size, *picture.size)
    left, top, right, bottom = (
        min(max(round(value), 0), limit) for value, limit in zip(bounds, limits, strict=True)
    )
    if left >= right or top >= bottom:
        raise UnreadableImageError(
            f"the face box lies outside the image of {picture.width}x{picture.height} pixels"
        )
    return picture.crop((left, top, right, bottom))


def _resized(picture: Image.Image, size: int | None) -> Image.Image:
    if size is None or picture.size == (size, size):
        return picture
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def _is_ready_jpeg(data: bytes, size: int) -> bool:
    with _opened(data) as picture:
        return (
            picture.format == "JPEG"
            and picture.mode == "RGB"
            and picture.size == (size, size)
            and _is_upright(picture)
        )


def _is_upright(picture: Image.Image) -> bool:
    try:
        return bool(picture.getexif().get(0x0112, 1) == 1)  # Orientation.
    except Exception:
        return True  # Broken EXIF says nothing, whatever Pillow raises at it; the pixels are whole.


def _opened(data: bytes) -> Image.Image:
    """Read the header of an image; no pixel is decoded yet."""
    if not data:
        raise UnreadableImageError("empty file")
    try:
        picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(_too_large("far over")) from error
    except UnidentifiedImageError as error:
        reason = POINTER if is_pointer(data) else "not an image of a known kind"
        raise UnreadableImageError(reason) from error
    except Exception as error:
        # Pillow's plugins raise what their parsers meet (struct.error, ValueError, ...).
        raise UnreadableImageError(f"broken image header: {error}") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(_too_large(f"{width}x{height} is over"))
    return picture


def _too_large(what: str) -> str:
    return f"too many pixels: {what} the limit of {MAX_PIXELS // 10**6} megapixels"


def _open_rgb(data: bytes) -> Image.Image:
    with _opened(data) as picture:
        try:
            picture.load()
            with suppress(Exception):  # See `_is_upright`.
                ImageOps.exif_transpose(picture, in_place=True)
            return _to_rgb(picture)
        except Exception as error:
            # As above: on hostile bytes a plugin may raise anything; each is an unreadable image.
            raise UnreadableImageError(f"broken or truncated image: {error}") from error


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode in _SIXTEEN_BIT_MODES:
        return _eight_bits(picture).convert("RGB")
    if picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info:
        opaque = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(opaque, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255; Pillow's own conversion clips at 255 and gives a white image."""
    values = np.clip(np.asarray(picture), 0, 65535).astype(np.uint32)
    values += 128  # Whole numbers, in place: such an image may have 64 million pixels.
    values //= 257
    return Image.fromarray(values.astype(np.uint8))
