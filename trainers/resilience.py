"""How a trial guards itself: how often it checkpoints, and when it gives up waiting.

None of it moves a bit of a result, so it may change between two starts of one run.
"""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from datasets.errors import ConfigError


class Resilience(BaseModel):
    """The same for all trials of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    checkpoint_minutes: float = Field(default=10.0, gt=0)
    """Write a checkpoint when the last one is so old, besides one after each epoch."""

    checkpoint_steps: int = Field(default=0, ge=0)
    """Also write one each so many steps inside an epoch; 0: by time alone."""

    hang_minutes: float = Field(default=30.0, gt=0)
    """A trial that finishes no step for so long is ended and started again. The first step of a
    deep model, which traces its graph, can take minutes."""

    storage_minutes: float = Field(default=10.0, ge=0)
    """How long storage may fail before the trial does: checkpoints and results are tried again."""

    storage_seconds: float = Field(default=60.0, gt=0)
    """How often at most a trial whose run is in an object store stores a checkpoint there, and its
    small files: each costs requests. At a stop and at its end it stores them at once."""

    keep_last_checkpoint: bool = True
    """Keep the last checkpoint of a finished trial, with its optimizer: three times as large as the
    model with Adam."""

    @model_validator(mode="after")
    def _hang_after_storage(self) -> "Resilience":
        """A trial that waits for storage has not hung."""
        if self.hang_minutes <= self.storage_minutes:
            raise ConfigError(
                f"resilience.hang_minutes is {self.hang_minutes:g}: it must be more than "
                f"resilience.storage_minutes, {self.storage_minutes:g}"
            )
        return self
