"""When a checkpoint is due inside an epoch."""

import time

from trainers.resilience import Resilience


class Cadence:
    """By time since the last one, and by steps where they are asked for.

    The time is of a clock that nobody sets back.
    """

    def __init__(self, resilience: Resilience) -> None:
        self._every_s = 60 * resilience.checkpoint_minutes
        self._every_steps = resilience.checkpoint_steps
        self._saved_at = time.monotonic()

    def due(self, step: int) -> bool:
        """True when a checkpoint belongs after this step of the epoch."""
        if self._every_steps and step % self._every_steps == 0:
            return True
        return time.monotonic() - self._saved_at >= self._every_s

    def saved(self) -> None:
        """Count the time from now."""
        self._saved_at = time.monotonic()
