"""What Tune runs for each trial, on the driver's machine: it sees the trial through.

Tune hears of each epoch once, in order, also of those that an earlier command has trained: from the
board as they are finished, and from the trial's own files where the board has missed them.
"""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray import tune

from orchestrator.board import Row
from orchestrator.train_run import TrainRun, checkpoint_figure
from orchestrator.trial_files import has_begun, history_of, result_of
from trainers.home import TRIALS_DIR
from trainers.result import RESULT_FILE
from trainers.spec import TrialSpec

logger = logging.getLogger(__name__)

# How long such a trial waits for those that are first in the plan to take their places.
_COURTESY_S = 60.0

# How long at most its processes leave the cores to those of the trial before it, which may have
# its place already. Where several places fall free at once, their trials start that much later.
_HEAD_START_S = 3.0

# How long one question to the board may wait for its answer.
_ASK_S = 10.0

# Before it is asked again where it did not answer.
_AGAIN_S = 1.0

# Of a result, beside its last epoch.
_OF_RESULT = ("macro_precision", "macro_recall", "macro_f1", "restarts", "steps_repeated")


@dataclass(frozen=True)
class TrialDrivers:
    """One call of `drive` sees a trial through. `board` is a handle of `orchestrator.board`."""

    root: Path
    specs: list[TrialSpec]
    slots: int
    train_run: TrainRun
    board: Any = None

    def drive(self, config: dict[str, Any]) -> None:
        """Run the trial that `config` names."""
        index = [spec.name for spec in self.specs].index(config["trial"])
        spec = self.specs[index]
        if index >= self.slots:
            self._let_begin(self.specs[: self.slots], _COURTESY_S)
            self._let_begin([self.specs[index - 1]], _HEAD_START_S)
        told = _Told()
        told.all_of(history_of(spec))
        if (self._record(spec) / RESULT_FILE).exists():  # an earlier command has trained it
            self._tell_end(spec, told)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="train") as pool:
            done = pool.submit(self.train_run.fit, spec)
            for row in self._heard(spec, done):
                if row["epoch"] > told.newest + 1:  # the board has missed some
                    told.all_of(history_of(spec))
                told.epoch(row)
        self._tell_end(spec, told)
        done.result()

    def _tell_end(self, spec: TrialSpec, told: "_Told") -> None:
        """What the board has missed, and the last epoch with the result's figures."""
        told.all_of(history_of(spec))
        result = result_of(spec)
        more = {} if result is None else {name: getattr(result, name) for name in _OF_RESULT}
        told.last(more | checkpoint_figure(spec))

    def _heard(self, spec: TrialSpec, done: Future[None]) -> Iterator[Row]:
        """What the board hears of a trial until that is over, each epoch once.

        One that was started anew knows the epochs since; the rest is in the trial's files.
        """
        epoch, failing = 0, False
        while not done.done():
            try:
                rows = ray.get(self.board.rows.remote(spec.name, epoch, 1.0), timeout=_ASK_S)
                failing = False
            except ray.exceptions.RayError:
                if not failing:
                    logger.warning("the board does not answer: Tune hears of the epochs later")
                failing = True
                wait([done], _AGAIN_S)
                continue
            for row in rows:
                epoch = max(epoch, row["epoch"])
                yield row

    def _let_begin(self, before: list[TrialSpec], at_most_s: float) -> None:
        """Wait until trials have begun that are before in the plan, or had time enough to."""
        end = time.monotonic() + at_most_s
        while time.monotonic() < end and not self.train_run.stop_file.exists():
            if all(has_begun(self._record(spec), spec.session) for spec in before):
                return
            time.sleep(0.2)

    def _record(self, spec: TrialSpec) -> Path:
        return self.root / TRIALS_DIR / spec.name


@dataclass
class _Told:
    """What Tune has heard of a trial. The newest epoch is kept back: it may prove to be the last,
    whose row then has the trial's result too.
    """

    epochs: int = 0
    kept: Row = field(default_factory=dict)

    def all_of(self, rows: list[Row]) -> None:
        """Tell of the finished epochs, as far as they are not told."""
        for row in rows:
            self.epoch(row)

    @property
    def newest(self) -> int:
        """The newest epoch that was told, or kept back."""
        return int(self.kept.get("epoch", self.epochs))

    def epoch(self, row: Row) -> None:
        """Tell of an epoch if it is the next."""
        if row["epoch"] == self.newest + 1:
            self.last()
            self.kept = row

    def last(self, more: Row | None = None) -> None:
        """Tell of the epoch that was kept back, with `more` figures."""
        if self.kept:
            tune.report(self.kept | (more or {}))
            self.epochs, self.kept = self.kept["epoch"], {}
