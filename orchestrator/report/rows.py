"""What every row of the result files shares: its pydantic base, and numbers that may be missing."""

import math

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """A frozen record that takes no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def finite(value: float) -> float | None:
    """The number, or None where it is not defined: null in JSON, empty in CSV."""
    return value if math.isfinite(value) else None
