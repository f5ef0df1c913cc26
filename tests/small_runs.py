"""`fer-orch` with small nets that stand still where a test wants them to.

`python -m tests.small_runs run-all …` is what `fer-orch run-all …` is, through Ray, but for two
things in the processes that train. MobileNet and MobileNetV2 are the net of `small_net`, which is
traced in a second. And after a step for which a test has made a `Hold` the trial waits until that
is released: tests need not be quicker than a trial, and know to the step where it was interrupted.
"""

import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests import small_net
from trainers.checkpoint import Position
from trainers.spec import TrialSpec

HOLDS = "FER_ORCH_TEST_HOLDS"
"""The variable that names the folder of the holds."""


@dataclass(frozen=True)
class Hold:
    """A trial stands still after a step, with its books written and its checkpoint to come.

    It does whenever it comes by there, until the hold is released.
    """

    folder: Path
    trial: str
    position: Position

    def ask(self) -> None:
        """Let the trial stand still there from now on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._asked.touch()

    def release(self) -> None:
        """Let it go on, now and whenever it comes by."""
        self._asked.unlink()

    def is_reached(self) -> bool:
        """Whether it stands there, or has."""
        return self._reached.exists()

    def stand_still(self) -> None:
        """The trial's side: come back once it is released."""
        if self._asked.exists():
            self._reached.touch()
        while self._asked.exists():
            time.sleep(0.01)

    @property
    def _asked(self) -> Path:
        return self.folder / f"{self.trial} {self.position.epoch} {self.position.step}"

    @property
    def _reached(self) -> Path:
        return self._asked.with_suffix(".reached")


def train(config: dict[str, Any], holds: Path | None = None) -> None:
    """What a Ray Train worker runs."""
    from orchestrator.board_link import BoardLink
    from orchestrator.ray_trial import work
    from trainers.books import Books

    spec: TrialSpec = config["spec"]
    small_net.stand_in()
    BoardLink.stop_requested = BoardLink.ask  # type: ignore[method-assign]  # after the very step
    note = Books.step

    def step(books: Books, position: Position) -> None:
        note(books, position)
        if holds is not None:
            Hold(holds, spec.name, position).stand_still()

    Books.step = step  # type: ignore[method-assign]
    work(config)


def main() -> None:
    """Run `fer-orch` so."""
    from orchestrator.ray_environment import prepare_environment

    prepare_environment()
    from orchestrator import cli, ray_run, train_run
    from orchestrator.report.pictures import draw as pictures
    from tests.small_runs import train as work  # by its name, not as one of `__main__`

    pictures.draw = lambda run: {}  # seconds each time
    sys.argv[0] = "__main__.py"  # as with `python -m orchestrator`: messages repeat the command
    holds = os.environ.get(HOLDS)
    work = partial(work, holds=Path(holds)) if holds else work
    ray_run.TrainRun = partial(train_run.TrainRun, work=work)  # type: ignore[misc, assignment]
    cli.main()


if __name__ == "__main__":
    main()
