"""Drawn faces as the image files that the layouts hold, whole and broken."""

from datasets.images import store_image
from datasets.synthetic.base import FaceKey


def jpeg_face(key: FaceKey) -> bytes:
    """Return the face as a JPEG file."""
    return store_image(key.draw(), key.size, "jpeg")


def truncated(image: bytes) -> bytes:
    """Return an image file whose download broke off: the header is whole, the pixels are not."""
    return image[: len(image) * 2 // 3]
