"""The board of a run: one actor that its trials tell where they are, and that its driver asks.

Nothing depends on it: a trial whose board is gone goes on to its end, and its files count.
"""

import asyncio
from collections import defaultdict
from typing import Any

import ray

Row = dict[str, Any]
"""An epoch's figures."""


@ray.remote(num_cpus=0, resources={"node:__internal_head__": 0.001}, max_concurrency=1000)
class Board:
    """What is known of a run's trials, while it runs."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self._changed = asyncio.Condition()

    async def heard(self, trial: str, row: Row) -> None:
        """Take an epoch's figures."""
        async with self._changed:
            self._rows[trial].append(row)
            self._changed.notify_all()

    async def rows(self, trial: str, known: int, patience_s: float) -> list[Row]:
        """A trial's figures after the first `known`; waits for so long while there are none."""
        async with self._changed:
            try:
                await asyncio.wait_for(
                    self._changed.wait_for(lambda: len(self._rows[trial]) > known), patience_s
                )
            except TimeoutError:
                return []
            return self._rows[trial][known:]
