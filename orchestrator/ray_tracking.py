"""What Tune hears goes on to MLflow or Weights & Biases, and no trial waits for that."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from queue import SimpleQueue
from typing import Any

from ray.tune.logger import LoggerCallback
from rich.console import Console

from orchestrator.config import RunConfig
from orchestrator.ray_trackers import LAST_S, MLflowTracker, TrackedRun, WandbTracker
from orchestrator.run_store import RunStore
from orchestrator.tracking import prepare_tracking, without_secrets

# Before another try; each is twice the one before.
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class Aside(LoggerCallback):  # type: ignore[misc]  # Ray's class has no types
    """Does what Tune asks of a tracker in a thread, in order, so that no trial waits for a server.

    One that is away is told of once, by `warn`, and tried again until the run ends.
    """

    def __init__(self, tracker: MLflowTracker | WandbTracker, warn: Callable[[str], None]) -> None:
        self._tracker = tracker
        self._warn = warn
        self._warned = False
        self._ending = threading.Event()
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    def setup(self, *args: Any, **info: Any) -> None:
        """See `ray.tune.Callback`; so too of those below."""
        self._calls.put(self._tracker.setup)
        self._thread.start()

    def log_trial_start(self, trial: Any) -> None:
        """A trial begins."""
        self._calls.put(partial(self._tracker.log_trial_start, trial))

    def log_trial_result(self, iteration: int, trial: Any, result: Mapping[str, Any]) -> None:
        """A trial has finished an epoch."""
        self._calls.put(partial(self._tracker.log_trial_result, iteration, trial, dict(result)))

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """A trial is over, for this command."""
        self._calls.put(partial(self._tracker.log_trial_end, trial, failed))

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Wait for what is left, for a time."""
        self._calls.put(partial(self._tracker.on_experiment_end, trials))
        self._calls.put(None)
        self._ending.set()
        self._thread.join(LAST_S)
        if self._thread.is_alive():
            self._tell("it is too slow")

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """What Tune keeps of it in the run's directory: nothing."""
        return LoggerCallback, ()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if not self._done(call):
                return

    def _done(self, call: Callable[[], None]) -> bool:
        """Do it, or let it be where it is refused; False where the run ends before it could be."""
        pause = _FIRST_PAUSE_S
        while True:
            is_last = self._ending.is_set()
            try:
                call()
                return True
            except Exception as error:  # whatever it is, it must not end the run
                self._tell(str(error) or type(error).__name__)
                if self._tracker.is_refused(error):
                    return True
            if is_last:
                return False
            self._ending.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _tell(self, why: str) -> None:
        if self._warned:
            return
        self._warned = True
        self._warn(
            f"{self._tracker.title} misses figures: {without_secrets(why)}. The run goes on, and "
            "what is missing is sent when that works again, also by the command that continues it"
        )


def callbacks(
    config: RunConfig, store: RunStore, name: str, console: Console
) -> list[LoggerCallback]:
    """Callbacks that send the figures of the run of this name where its configuration says.

    Raises `OSError` where the run's directory can't be written to.
    """
    prepare_tracking()
    run = TrackedRun(config, store, name)
    is_wandb = config.tracking == "wandb"
    tracker = WandbTracker(run) if is_wandb else MLflowTracker(run, config.tracking_uri)
    return [Aside(tracker, lambda text: console.print(text, markup=False, soft_wrap=True))]
