"""In which order trials begin: a driver of one that is not its turn waits, but not for ever."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.ray_environment import prepare_environment

prepare_environment()

from orchestrator import trial_driver  # noqa: E402
from orchestrator.trial_driver import TrialDrivers  # noqa: E402
from orchestrator.trial_files import has_begun  # noqa: E402
from tests.sharing_specs import sharing_spec  # noqa: E402
from trainers.books import Books  # noqa: E402
from trainers.interruption import STOP_FILE, Cause  # noqa: E402
from trainers.result import PROGRESS_FILE  # noqa: E402
from trainers.spec import TrialSpec  # noqa: E402


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return sharing_spec(tmp_path)


def attempted(spec: TrialSpec) -> None:
    """The books tell of an attempt that failed."""
    books = Books(spec.trial_dir, spec.session, spec.shares_gpu)
    books.start()
    books.end(Cause.FAILED)
    books.close()


def test_a_trial_has_begun_once_it_has_an_attempt_in_this_session(spec: TrialSpec):
    assert not has_begun(spec.trial_dir, "one")
    attempted(spec)
    assert has_begun(spec.trial_dir, "one")
    assert not has_begun(spec.trial_dir, "two")
    (spec.trial_dir / PROGRESS_FILE).write_text("{}")
    assert has_begun(spec.trial_dir, "two")


class Clock:
    """Stands in for `time`: it goes on by what is slept."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("late", "session", "waited_s"),
    [
        (0, "one", 0.0),
        (1, "one", 0.0),
        (0, "before", trial_driver._COURTESY_S),  # the first waits for a whole GPU, say
        (1, "before", trial_driver._HEAD_START_S),  # the one before was to start early
    ],
)
def test_others_wait_only_for_those_that_have_not_begun(
    late: int, session: str, waited_s: float, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
):
    names = [spec.name, "second-s0", "third-s0"]
    specs = [
        replace(spec, name=name, trial_dir=spec.run_dir / "trials" / name, session="one")
        for name in names
    ]
    attempted(replace(specs[late], session=session))
    attempted(specs[1 - late])
    fits: list[str] = []
    run = SimpleNamespace(stop_file=spec.run_dir / STOP_FILE, fit=lambda one: fits.append(one.name))
    clock = Clock()
    monkeypatch.setattr(trial_driver, "time", clock)
    board = SimpleNamespace(rows=SimpleNamespace(remote=lambda *_: None))
    monkeypatch.setattr(trial_driver.ray, "get", lambda *_, **__: [])
    TrialDrivers(spec.run_dir, specs, 1, run, board).drive({"trial": names[2]})
    assert fits == [names[2]]
    assert clock.now == pytest.approx(waited_s, abs=0.3)  # it looks five times a second
