"""How a trial guards itself: how often it checkpoints, and when it gives up waiting.

None of it moves a bit of a result, so it may change between two starts of one run.
"""

from pydantic import BaseModel, ConfigDict, Field


class Resilience(BaseModel):
    """The same for all trials of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint_minutes: float = Field(default=10.0, gt=0)
    """Write a checkpoint when the last one is so old, besides one after each epoch."""

    checkpoint_steps: int = Field(default=0, ge=0)
    """Also write one each so many steps inside an epoch; 0: by time alone."""

    hang_minutes: float = Field(default=30.0, gt=0)
    """A trial that finishes no step for so long is ended and started again. The first step of a
    deep model, which traces its graph, can take minutes."""

    storage_minutes: float = Field(default=10.0, ge=0)
    """How long storage may fail before the trial does: checkpoints and results are tried again."""
