"""A trained model on image files: eight probabilities for each, or why there are none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from datasets.errors import ConfigError
from datasets.images import ImageHWC, UnreadableImageError, decode_rgb, read_image_file
from datasets.labels import NUM_CLASSES
from trainers import backend

BATCH_SIZE = 32


@dataclass(frozen=True)
class Prediction:
    """`probabilities` are of the codes 0 to 7."""

    path: Path
    probabilities: tuple[float, ...]

    def ranked(self) -> list[tuple[int, float]]:
        """Codes with their probabilities, the most probable first; equal ones by code."""
        return sorted(enumerate(self.probabilities), key=lambda pair: (-pair[1], pair[0]))


@dataclass(frozen=True)
class Unreadable:
    """An image that can't be used, and a short reason."""

    path: Path
    reason: str


class Predictor:
    """A saved model. `image_size` is the side to which it wants its images resized, pixels."""

    def __init__(self, path: Path) -> None:
        """Load a model that a trial saved; `ConfigError` for a file that is none, or no backend."""
        backend.check_backend()
        backend.prepare_prediction()
        import keras

        try:
            model = keras.models.load_model(path, compile=False)
            shapes = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
            kind = model.inputs[0].dtype
        except Exception as error:  # Keras raises what its many readers meet.
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigError(
                f"{path} can't be loaded as a model: {reason}; name the model.keras of a trial"
            ) from error
        size = shapes[0][1] if len(shapes[0]) == 4 else None
        takes_images = shapes[0][1:] == (size, size, 3) and kind == "uint8"
        if size is None or not takes_images or shapes[1][1:] != (NUM_CLASSES,):
            raise ConfigError(
                f"{path} is another model: it takes {kind} {list(shapes[0])} and gives "
                f"{list(shapes[1])}; name the model.keras of a trial"
            )
        self.image_size = int(size)
        self.architecture = str(model.name)
        self._model = keras.Model(model.inputs[0], model.outputs[0])

    def predict(self, paths: Sequence[Path]) -> Iterator[Prediction | Unreadable]:
        """Predict image files in their order, a batch at a time; one bad image stops nothing."""
        batch_size = min(BATCH_SIZE, len(paths))
        rest = iter(paths)
        while chunk := list(islice(rest, batch_size)):
            yield from self._predict_batch(chunk, batch_size)

    def _predict_batch(self, paths: list[Path], size: int) -> list[Prediction | Unreadable]:
        read = [self._read(path) for path in paths]
        images = [image for image in read if not isinstance(image, Unreadable)]
        rows = iter(self._probabilities(images, size) if images else ())
        return [
            image if isinstance(image, Unreadable) else Prediction(path, next(rows))
            for path, image in zip(paths, read, strict=True)
        ]

    def _probabilities(self, images: list[ImageHWC], size: int) -> list[tuple[float, ...]]:
        """Filled up to a whole batch and cut again: one shape, one trace."""
        batch_BHWC = np.stack(images + images[-1:] * (size - len(images)))
        found = np.asarray(self._model.predict_on_batch(batch_BHWC))[: len(images)]
        return [tuple(float(one) for one in row) for row in found]

    def _read(self, path: Path) -> ImageHWC | Unreadable:
        try:
            return decode_rgb(read_image_file(path), self.image_size)
        except UnreadableImageError as error:
            return Unreadable(path, str(error))
