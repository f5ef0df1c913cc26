"""What the tests of tracking share: a run's trials and epochs as Tune tells of them.

MLflow and W&B take seconds to import, and every test process collects every file: so here and in
the tests they are imported where they are used.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestrator.config import RunConfig
from orchestrator.config_sources import load_config
from orchestrator.ray_environment import prepare_environment
from orchestrator.run_store import RunStore
from orchestrator.tracking import prepare_tracking, trackers

prepare_environment()
prepare_tracking()

NAME, OTHER = "resnet50-s0", "mobilenet-s1"
SECONDS = count(1_700_000_000)  # told again it is later: MLflow takes an equal point for the same
Row = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """A trial as Tune shows it to callbacks."""

    name: str = NAME

    @property
    def config(self) -> dict[str, str]:
        return {"trial": self.name}


def config_with(**settings: object) -> RunConfig:
    return load_config(settings=[f"{key}={value}" for key, value in settings.items()])


def row(epoch: int, **more: float) -> Row:
    """What Tune hears of an epoch, with some of what Tune adds."""
    ours = {"epoch": epoch, "loss": 1 / epoch, "validation_accuracy": epoch / 10} | more
    return ours | {
        "timestamp": next(SECONDS),
        "training_iteration": epoch,
        "done": False,
        "pid": 7,
        "hostname": "there",
        "checkpoint_path": "/somewhere",
    }


@dataclass
class Command:
    """One command of a run: what Tune tells the tracker."""

    config: RunConfig
    root: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root.mkdir(exist_ok=True)
        made = trackers(self.config, RunStore(self.root), "faces", Console())
        self.aside = made[0]
        self.aside._warn = self.said.append
        self.aside.setup()

    def tell(self, trial: Trial, rows: Sequence[Row], failed: bool | None = False) -> None:
        """Tell of these epochs, and of the trial's end unless that is None."""
        if rows and rows[0]["epoch"] == 1:
            self.aside.on_trial_start(0, [trial], trial)
        for one in rows:
            self.aside.on_trial_result(0, [trial], trial, one)
        if failed is not None:
            over = self.aside.on_trial_error if failed else self.aside.on_trial_complete
            over(0, [trial], trial)

    def end(self) -> list[str]:
        self.aside.on_experiment_end([])
        return self.said


def short_pauses(patch: pytest.MonkeyPatch) -> None:
    """What fails is tried again at once, and the end of a run waits longer, for a busy machine."""
    from orchestrator import ray_tracking

    patch.setattr(ray_tracking, "_FIRST_PAUSE_S", 0.01)
    patch.setattr(ray_tracking, "LAST_S", 60.0)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
