"""What several layouts hold: image files, whole and broken, and values that nothing here reads."""

import numpy as np
import numpy.typing as npt

from datasets.images import store_image
from datasets.synthetic.base import FaceKey

NUM_LANDMARKS = 68

# Where each expression lies on Russell's circumplex, by code: valence and arousal, -1 to 1.
_CIRCUMPLEX = (
    *((0.0, 0.0), (0.7, 0.3), (-0.6, -0.3), (0.2, 0.7)),
    *((-0.2, 0.8), (-0.6, 0.4), (-0.5, 0.7), (-0.5, 0.2)),
)


def jpeg_face(key: FaceKey) -> bytes:
    """Return the face as a JPEG file."""
    return store_image(key.draw(), key.size, "jpeg")


def truncated(image: bytes) -> bytes:
    """Return an image file whose download broke off: the header is whole, the pixels are not."""
    return image[: len(image) * 2 // 3]


def valence_arousal(key: FaceKey) -> tuple[float, float]:
    """Return plausible values for a face's expression, -1 to 1, three decimals."""
    values = np.array(_CIRCUMPLEX[key.label]) + key.dice(2).uniform(-0.2, 0.2, size=2)
    valence, arousal = np.clip(values, -1, 1).round(3).tolist()
    return valence, arousal


def ellipse(left: float, top: float, width: float, height: float) -> npt.NDArray[np.float64]:
    """Return float64 [136]: x and y of 68 landmarks in a box, on an ellipse; pixels."""
    angles = np.linspace(0, 2 * np.pi, NUM_LANDMARKS, endpoint=False)
    x = left + width * (0.5 + 0.4 * np.cos(angles))
    y = top + height * (0.5 + 0.4 * np.sin(angles))
    return np.stack([x, y], axis=1).ravel()
