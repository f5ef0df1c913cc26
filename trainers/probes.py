"""What a trained model sees in one face in four poses: its answers and its first feature maps.

The paper's Table 4 and Figures 14 to 21. It runs after the last evaluation and only reads.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from datasets.files import write_data, write_text
from datasets.images import ImageHWC
from datasets.probe_images import Probe
from trainers import backend
from trainers.feature_maps import GAP, FloatHWC, draw_maps, grid_of
from trainers.result import PROBES_DIR, PROBES_FILE, ProbeOutcome, TrialProbes

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Answer:
    """The model on one image: eight probabilities, and the first convolution's output."""

    probabilities: np.ndarray[Any, np.dtype[np.float32]]
    maps_HWC: FloatHWC


class OneImageModel:
    """A trained model that takes one image, and shows its first convolution. One trace in all."""

    def __init__(self, model: "keras.Model") -> None:
        import keras

        layer = first_convolution(model)
        # Keras numbers layers without a name of their own through the life of a process.
        self.layer = re.sub(r"^conv2d_\d+$", "conv2d", layer.name)
        both = keras.Model(model.inputs[0], [model.outputs[0], layer.output])
        self._run = backend.for_one_image(both, xla=bool(getattr(model, "jit_compile", False)))

    def answer(self, image_HWC: ImageHWC) -> Answer:
        """Run the model on uint8 `[height, width, 3]`."""
        probabilities, maps = self._run(image_HWC[np.newaxis])
        maps_HWC = np.asarray(maps)[0].astype(np.float32)  # layers may compute in less
        return Answer(np.asarray(probabilities)[0], maps_HWC)

    def predict(self, image_HWC: ImageHWC) -> None:
        """Run the model and wait for the probabilities alone, to be timed."""
        np.asarray(self._run(image_HWC[np.newaxis])[0])


def first_convolution(model: "keras.Model") -> Any:
    """The first `Conv2D` of a model, in the order of its graph."""
    import keras

    return next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))


@dataclass(frozen=True)
class RenderedProbes:
    """A record and the PNG files that it names."""

    record: TrialProbes
    files: Mapping[str, bytes]

    def write(self, trial_dir: Path) -> None:
        """Write the pictures, then the record, each atomically."""
        folder = trial_dir / PROBES_DIR
        for name, content in self.files.items():
            write_data(folder / name, content)
        write_text(folder / PROBES_FILE, self.record.model_dump_json(indent=2) + "\n")


def render_probes(
    trial: str, model: OneImageModel, probes: Sequence[Probe], drawn: bool
) -> RenderedProbes:
    """Show the model each probe; equal models and images give equal bytes."""
    outcomes, files = [], {}
    shape: tuple[int, ...] = ()
    for probe in probes:
        answer = model.answer(probe.image_HWC)
        shape = answer.maps_HWC.shape
        outcome = _outcome(probe, answer)
        outcomes.append(outcome)
        files[outcome.image_file] = _png(probe.image_HWC)
        files[outcome.maps_file] = _png(draw_maps(answer.maps_HWC))
    height, width, channels = shape
    grid = grid_of(height, width, channels)
    record = TrialProbes(
        trial=trial,
        source="drawn" if drawn else "files",
        image_size=probes[0].image_HWC.shape[0],
        layer=model.layer,
        channels=channels,
        map_height=height,
        map_width=width,
        shown_height=grid.height,
        shown_width=grid.width,
        grid_rows=grid.rows,
        grid_columns=grid.columns,
        gap=GAP,
        poses=outcomes,
    )
    return RenderedProbes(record, files)


def _outcome(probe: Probe, answer: Answer) -> ProbeOutcome:
    return ProbeOutcome(
        pose=probe.pose,
        source=probe.source,
        image_file=f"{probe.pose}.png",
        maps_file=f"{probe.pose}-maps.png",
        label=probe.label,
        predicted=int(answer.probabilities.argmax()),
        probabilities=[float(one) for one in answer.probabilities],
    )


def _png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=False, compress_level=6)
    return stream.getvalue()
