"""What is asked of a trained model besides its accuracy: what it costs, and what it sees.

All of it comes after training and only reads the model. A trial that has trained for days does not
fail for want of a picture: what goes wrong here is logged and noted in the result.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasets.probe_images import Probe, drawn_probes, read_probes
from trainers.costs import Costs, Latency, count_costs, time_latency
from trainers.probes import OneImageModel, RenderedProbes, render_probes
from trainers.spec import TrialSpec

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examination:
    """`probes` is None, and costs lack what could not be measured, where a note says why."""

    costs: Costs
    probes: RenderedProbes | None = None
    notes: tuple[str, ...] = ()


def examine(
    model: "keras.Model",
    spec: TrialSpec,
    images_per_s: float | None,
    on_progress: Callable[[], None] = lambda: None,
) -> Examination:
    """Show the model the four probes and time it on one of them.

    `images_per_s` is its rate in the last evaluation; `on_progress` is called now and then.
    """
    begin = time.perf_counter()
    latency: Latency | None = None
    rendered: RenderedProbes | None = None
    notes: list[str] = []

    def without(what: str, error: Exception) -> None:
        logger.error("no %s", what, exc_info=error)
        notes.append(f"without {what}: {_short(error)}")

    try:
        probes = _probes(spec)
        one = OneImageModel(model)
        rendered = render_probes(spec.name, one, probes, drawn=spec.probes is None)
        on_progress()
        latency = time_latency(lambda: one.predict(probes[0].image_HWC))
    except Exception as error:
        without("latency" if rendered else "probes and latency", error)
    on_progress()
    costs = count_costs(model, latency, images_per_s, on_error=without)
    logger.info("examined in %.1f s", time.perf_counter() - begin)
    return Examination(costs, rendered, tuple(notes))


def _probes(spec: TrialSpec) -> tuple[Probe, ...]:
    size = spec.recipe.image_size
    if spec.probes is None:
        return drawn_probes(size)
    return read_probes(spec.probes, size, spec.probes_label)


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
