"""The board of a run: one actor that its trials tell where they are, and that asks them to stop.

Nothing depends on it: a trial whose board is gone goes on to its end, and its files count. Ray
starts a board anew that has died; what it knew the trials tell again, and the driver.
"""

import asyncio
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import ray

if TYPE_CHECKING:  # the board's process has no use for it: a second of imports
    from orchestrator.run_store import RunStore

Row = dict[str, Any]
"""An epoch's figures."""

ALL_ATTEMPTS = sys.maxsize
"""In place of an attempt's number: it, and all before it."""

_NAMESPACE = "fer-orch"

# How long a board of a driver that was killed may still be there.
_NAME_FREE_S = 30.0


@ray.remote(num_cpus=0, resources={"node:__internal_head__": 0.001}, max_concurrency=1000)
class Board:
    """What is known of a run's trials, while it runs."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self._places: dict[str, tuple[int, str]] = {}
        self._over: dict[str, int] = {}
        self._stopping = False
        self._changed = asyncio.Condition()

    async def heard(self, trial: str, row: Row) -> None:
        """Take an epoch's figures."""
        async with self._changed:
            self._rows[trial].append(row)
            self._changed.notify_all()

    async def rows(self, trial: str, epoch: int, patience_s: float) -> list[Row]:
        """A trial's figures after an epoch, as heard; waits for so long while there are none."""

        def later() -> list[Row]:
            return [row for row in self._rows[trial] if row["epoch"] > epoch]

        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(later), patience_s)
            except TimeoutError:
                return []
            return later()

    async def tell(self, trial: str, attempt: int, progress: str) -> None:
        """Take where an attempt at a trial is: a `TrialProgress` as JSON."""
        if attempt > self._over.get(trial, 0):
            self._places[trial] = attempt, progress

    async def left(self, trial: str, attempt: int) -> str | None:
        """Note that an attempt is over; return where it was last, if that is known.

        The board shows this place until `forget`: the driver still takes the files over, and
        without the place a finished trial would look stopped.
        """
        self._over[trial] = max(attempt, self._over.get(trial, 0))
        told, progress = self._places.get(trial, (0, None))
        return progress if told == attempt else None

    async def forget(self, trial: str, attempt: int) -> None:
        """Know no more where an attempt that is over was."""
        if self._places.get(trial, (0, ""))[0] <= attempt:
            self._places.pop(trial, None)

    async def stop(self) -> None:
        """Let all trials stop with a checkpoint at their next step."""
        async with self._changed:
            self._stopping = True
            self._changed.notify_all()

    async def stopping(self, patience_s: float) -> bool:
        """Whether the run is to stop; waits for so long while it is not."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: self._stopping), patience_s)
            except TimeoutError:
                return False
            return True

    async def seen(self) -> tuple[bool, dict[str, str]]:
        """Whether the run is to stop, and where each trial is that is at work."""
        return self._stopping, {trial: told for trial, (_, told) in self._places.items()}


def start_board(store: "RunStore") -> Any:
    """Start the board of a run that this process drives; a handle of it.

    One that a killed driver has left is ended: the run's lock says that there is no other driver.
    """
    end = time.monotonic() + _NAME_FREE_S
    options = {"name": _name(store), "namespace": _NAMESPACE, "max_restarts": -1}
    while True:
        try:
            return Board.options(**options).remote()  # type: ignore[attr-defined]
        except ValueError:  # the name is taken
            if time.monotonic() > end:
                raise
        earlier = board_of(store)
        if earlier is not None:
            ray.kill(earlier)
        time.sleep(0.2)


def board_of(store: "RunStore") -> Any:
    """The board of a run on the connected cluster; None where no driver of the run is at work."""
    try:
        return ray.get_actor(_name(store), _NAMESPACE)
    except ValueError:
        return None


def _name(store: "RunStore") -> str:
    where = store.root.resolve() if store.storage is None else store.storage
    return f"board of {where}"
