"""What becomes of a trial whose attempts fail: without Ray's processes."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.config_sources import load_config
from orchestrator.plan import Resources, Sharing
from orchestrator.ray_environment import prepare_environment
from orchestrator.ray_private import lean_trainer

prepare_environment()

import ray.train  # noqa: E402

from orchestrator.restarts import Loss  # noqa: E402
from orchestrator.run_specs import trial_specs  # noqa: E402
from orchestrator.run_store import RunStore  # noqa: E402
from orchestrator.train_run import TrainRun, loss_of  # noqa: E402
from tests.sharing_specs import sharing_spec  # noqa: E402
from trainers.books import Books  # noqa: E402
from trainers.checkpoint import Position  # noqa: E402
from trainers.entries import End, entries_in  # noqa: E402
from trainers.interruption import STOP_FILE, Cause  # noqa: E402
from trainers.result import (  # noqa: E402
    FAILURE_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    TrialFailure,
    TrialState,
    read_record,
)
from trainers.spec import TrialSpec  # noqa: E402

Act = Callable[[TrialSpec], None]


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return sharing_spec(tmp_path)


@dataclass(frozen=True)
class Acted(TrainRun):
    """A Train run whose attempts do what they are told, in turn."""

    acts: list[Act] = field(default_factory=list)
    gpus: list[float] = field(default_factory=list)

    def _fit_once(self, spec: TrialSpec) -> None:
        self.gpus.append(spec.gpus)
        assert not (spec.trial_dir / FAILURE_FILE).exists()  # nothing says that it is over
        assert not (spec.trial_dir / PROGRESS_FILE).exists()  # nor that it runs
        self.acts[len(self.gpus) - 1](spec)


def fitted(spec: TrialSpec, *acts: Act) -> list[float]:
    """The parts of a GPU that a trial had, attempt by attempt."""
    root = spec.run_dir
    run = Acted(Resources(1, 1.0, 2), 2, root / STOP_FILE, acts=list(acts))
    run.fit(spec)
    return run.gpus


def attempt(spec: TrialSpec, cause: Cause | None = None, ours: bool = False) -> None:
    """One that the books tell of; without a cause it does not say why it ended."""
    books = Books(spec.trial_dir, spec.session, spec.shares_gpu)
    books.start()
    if cause is not None:
        books.end(cause, ours=ours)
    books.close()


def finished(spec: TrialSpec) -> None:
    attempt(spec)


def failed(spec: TrialSpec) -> None:
    attempt(spec, Cause.FAILED)
    raise ray.train.TrainingFailedError


def preempted(spec: TrialSpec) -> None:
    attempt(spec, Cause.PREEMPTED)


def refused(spec: TrialSpec) -> None:
    attempt(spec, Cause.FAILED, ours=True)
    (spec.trial_dir / FAILURE_FILE).write_text("{}")


def refused_and_killed(spec: TrialSpec) -> None:
    refused(spec)
    raise ray.train.TrainingFailedError


def cache_changed(spec: TrialSpec) -> None:
    attempt(spec, Cause.FAILED, ours=True)
    raise ray.train.TrainingFailedError


def preempted_and_killed(spec: TrialSpec) -> None:
    preempted(spec)
    raise ray.train.TrainingFailedError


def preempted_without_a_start(spec: TrialSpec) -> None:
    """Its storage was full when it started."""
    books = Books(spec.trial_dir, spec.session, spec.shares_gpu)
    books.end(Cause.PREEMPTED)
    books.close()


def done_and_killed(spec: TrialSpec) -> None:
    attempt(spec)
    (spec.trial_dir / RESULT_FILE).write_text("{}")
    raise ray.train.TrainingFailedError


def killed(spec: TrialSpec) -> None:
    attempt(spec)
    (spec.trial_dir / PROGRESS_FILE).write_text("{}")
    raise ray.train.TrainingFailedError


def killed_at_once(spec: TrialSpec) -> None:
    raise ray.train.TrainingFailedError


def controller_lost(spec: TrialSpec) -> None:
    attempt(spec)
    raise ray.exceptions.RayActorError


def idle_controller_lost(spec: TrialSpec) -> None:
    """The one that was kept died between two attempts."""
    raise ray.exceptions.RayActorError


@pytest.mark.parametrize(
    ("acts", "gpus"),
    [
        ([finished], [0.5]),
        ([failed, finished], [0.5, 1]),
        ([killed, finished], [0.5, 1]),
        ([killed_at_once, finished], [0.5, 1]),
        ([controller_lost, finished], [0.5, 1]),
        ([idle_controller_lost, finished], [0.5, 0.5]),
        ([preempted, finished], [0.5, 0.5]),
        ([preempted, failed, preempted, finished], [0.5, 0.5, 1, 1]),
        ([preempted_without_a_start, finished], [0.5, 0.5]),
        ([preempted_and_killed, finished], [0.5, 0.5]),
        ([preempted, killed_at_once, finished], [0.5, 0.5, 1]),
        ([refused], [0.5]),
        ([refused_and_killed], [0.5]),
        ([cache_changed, finished], [0.5, 0.5]),
        ([done_and_killed], [0.5]),
        ([failed, refused], [0.5, 1]),
    ],
)
def test_a_failure_on_a_shared_gpu_leads_to_a_whole_one(
    acts: list[Act], gpus: list[float], spec: TrialSpec
):
    assert fitted(spec, *acts) == gpus


def test_on_a_whole_gpu_a_failure_is_what_it_was(spec: TrialSpec):
    whole = replace(spec, gpus=1.0)
    with pytest.raises(ray.train.TrainingFailedError):
        fitted(whole, *[killed_at_once] * 3)
    with pytest.raises(ray.train.TrainingFailedError):
        fitted(spec, failed, *[killed_at_once] * 3)


def test_what_comes_again_on_a_share_ends(spec: TrialSpec):
    with pytest.raises(ray.train.TrainingFailedError):
        fitted(spec, *[cache_changed] * 9)
    assert sum(isinstance(one, End) for one in entries_in(spec.trial_dir)) == 3  # max_failures + 1


def test_a_worker_that_could_not_begin_is_not_sent_on_for_the_failure_before(spec: TrialSpec):
    assert fitted(spec, failed, lambda _: None) == [0.5, 1]  # another process has the trial


def test_train_starts_no_trial_again_by_itself(spec: TrialSpec, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def trainer(_: object, **options: object) -> SimpleNamespace:
        asked.append(options)
        return SimpleNamespace(fit=lambda: None)

    monkeypatch.setattr(lean_trainer, "LeanTrainer", trainer)
    run = TrainRun(Resources(1, 1.0, 2), 2, spec.run_dir / STOP_FILE)
    run.fit(spec)
    (options,) = asked
    policy = options["run_config"].failure_config
    limits = policy.max_failures, policy.max_preemption_failures, policy.controller_failure_limit
    assert limits == (0, 0, 0)


def fails_at(epoch: int, step: int, cause: Cause = Cause.FAILED) -> Act:
    """An attempt that takes up its checkpoint and fails after a step."""

    def act(spec: TrialSpec) -> None:
        books = Books(spec.trial_dir, spec.session, spec.shares_gpu)
        books.start()
        books.restored(Position(), steps_per_epoch=9)
        books.step(Position(epoch, step))
        books.end(cause, "ValueError: no", "Traceback …")
        books.close()
        raise ray.train.TrainingFailedError

    return act


@pytest.mark.parametrize("second", [Cause.FAILED, Cause.HUNG])
def test_a_second_failure_at_the_same_step_is_the_last(second: Cause, spec: TrialSpec):
    whole = replace(spec, gpus=1.0)
    with pytest.raises(ray.train.TrainingFailedError):
        fitted(whole, fails_at(0, 2), fails_at(1, 3), fails_at(1, 3, second), finished)
    failure = read_record(spec.trial_dir / FAILURE_FILE, TrialFailure)
    assert failure is not None
    assert failure.state is TrialState.FAILED
    assert (failure.epoch, failure.step) == (2, 3)
    assert failure.reason == "the trial failed twice after epoch 1, step 3: ValueError: no"
    assert failure.traceback == "Traceback …"


def test_a_trial_that_hung_too_often_says_so(spec: TrialSpec):
    """Its process ends at once then, and writes no `failure.json`."""
    acts = [fails_at(0, step, Cause.HUNG) for step in range(1, 4)]
    with pytest.raises(ray.train.TrainingFailedError):
        fitted(replace(spec, gpus=1.0), *acts)
    failure = read_record(spec.trial_dir / FAILURE_FILE, TrialFailure)
    assert failure is not None
    assert (failure.epoch, failure.step, failure.reason) == (1, 3, "ValueError: no")


@pytest.mark.parametrize(
    ("error", "loss"),
    [
        (ray.train.WorkerGroupError("no", {0: ValueError("no")}), Loss.WORKER),
        (ray.train.WorkerGroupError("gone", {0: ray.exceptions.RayActorError()}), Loss.WORKER),
        (
            ray.train.WorkerGroupError("gone", {0: ray.exceptions.RayActorError(preempted=True)}),
            Loss.MACHINE,
        ),
        (ray.train.ControllerError(RuntimeError("no worker")), Loss.START),
        (ray.exceptions.RayActorError(), Loss.CONTROLLER),
    ],
)
def test_what_was_lost_is_told_from_what_train_raises(error: Exception, loss: Loss):
    assert loss_of(error) is loss


def test_an_error_of_the_controllers_while_it_trains_is_no_start_that_failed(spec: TrialSpec):
    def register_not_written(spec: TrialSpec) -> None:
        attempt(spec)
        raise ray.train.ControllerError(OSError("No space left on device"))

    with pytest.raises(ray.train.ControllerError):
        fitted(replace(spec, gpus=1.0), *[register_not_written] * 3)


def test_what_a_dead_worker_left_says_no_more_that_the_trial_runs(spec: TrialSpec):
    assert fitted(replace(spec, gpus=1.0), killed, finished) == [1.0, 1.0]  # see `Acted`


def test_each_attempt_has_a_number_of_its_own(spec: TrialSpec):
    """Also where the one before has stored nothing, and its driver is gone."""
    numbers = []

    def numbered(spec: TrialSpec) -> None:
        numbers.append(spec.attempt)
        killed(spec)

    whole = replace(spec, gpus=1.0)
    for _ in range(2):
        fitted(whole, numbered, numbered, finished)
    assert numbers == [1, 2, 4, 5]


def test_a_continued_run_gives_a_whole_gpu_to_what_failed_on_a_share(
    spec: TrialSpec, tmp_path: Path
):
    names = [f"resnet50-s{seed}" for seed in range(4)]
    acts = [failed, preempted, finished]  # the driver of the last went with it
    for name, act in zip(names[:3], acts, strict=True):
        with suppress(ray.train.TrainingFailedError):
            act(replace(spec, name=name, trial_dir=tmp_path / "trials" / name))
    config = load_config(preset="demo", only=["resnet50"], seeds=[0, 1, 2, 3])
    sharing = Sharing({"resnet50": 0.5}, whole=1, concurrent=2)
    resources = Resources(1, 1.0, 2, sharing=sharing)
    specs = trial_specs(config, RunStore.at(tmp_path), names, resources, None)
    assert [one.gpus for one in specs] == [1.0, 0.5, 0.5, 0.5]
