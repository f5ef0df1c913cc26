"""The plan from measured rates, and how long a run still takes."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.config_sources import load_config
from orchestrator.forecast import Forecast, measured_rates
from orchestrator.plan import Resources, Sharing, make_plan
from orchestrator.progress import ProgressView, trial_table
from orchestrator.run_store import TrialRecord, split_trial_name
from tests.made_up_runs import MadeUpRun, write_run
from trainers.architectures import ARCHITECTURES
from trainers.books import Books
from trainers.checkpoint import Position
from trainers.result import TrialProgress, TrialResult, TrialState

ROWS = {"train": 287_651, "validation": 3_999}
ONE, GPU = Resources(1, 0, 1), Resources(1, 1, 1)


def record(name: str, state: TrialState, reached: Position | None = None, **figures) -> TrialRecord:
    """A trial with these figures in its result, or in its progress while it runs."""
    architecture, seed = split_trial_name(name)
    result = progress = None
    if state is TrialState.FINISHED:
        usual = {"gpu_peak_memory_mb": 1.0, "threads": 1}
        result = TrialResult.model_construct(**(usual | figures))
    elif state is TrialState.RUNNING:
        usual = {"steps_per_s": None, "epoch": 0, "step": 0}
        progress = TrialProgress.model_construct(**(usual | figures))
    place = reached or Position()
    return TrialRecord(name, architecture, seed, Path(), state, result, None, progress, place)


def test_a_measured_rate_takes_the_place_of_the_estimate():
    config = load_config(preset="paper", only=["resnet50"])
    plan = make_plan(config, ROWS, ONE, {"resnet50": 100.0})
    # 100 epochs of training at 100 images/s; a validation image is a third of a training step.
    seconds = 100 * (287_651 + 3_999 / 3) / 100 + ARCHITECTURES["resnet50"].setup_s
    assert plan.hours == pytest.approx(seconds / 3600)
    assert plan.measured == 1


def test_the_longest_by_measured_rates_is_first_whatever_its_operations():
    config = load_config(preset="paper", only=["resnet50", "nasnetmobile"])
    assert make_plan(config, ROWS, ONE).trials[0].architecture == "resnet50"
    measured = {"resnet50": 100.0, "nasnetmobile": 20.0}
    assert make_plan(config, ROWS, ONE, measured).trials[0].architecture == "nasnetmobile"


def test_what_is_not_measured_is_planned_at_the_median_of_what_is():
    config = load_config(preset="paper", only=["resnet50", "resnet101", "mobilenet"])
    plan = make_plan(config, ROWS, Resources(1, 1, 1), {"resnet50": 100.0, "mobilenet": 0.0})
    hours = {trial.architecture: trial.hours for trial in plan.trials}
    work = {trial.architecture: trial.gflop for trial in plan.trials}
    setup = {name: ARCHITECTURES[name].setup_s / 3600 for name in hours}
    for name in ("resnet101", "mobilenet"):  # a rate of nothing is no rate
        assert hours[name] - setup[name] == pytest.approx(
            (hours["resnet50"] - setup["resnet50"]) * work[name] / work["resnet50"]
        )


def test_rates_are_of_results_and_of_what_runs():
    records = [
        record("resnet50-s0", TrialState.FINISHED, train_images_per_s=90.0),
        record("resnet50-s1", TrialState.FINISHED, train_images_per_s=110.0),
        record("resnet50-s2", TrialState.RUNNING, steps_per_s=1.0),
        record("xception-s0", TrialState.RUNNING, steps_per_s=2.0),
        record("xception-s1", TrialState.RUNNING),
        record("mobilenet-s0", TrialState.PENDING),
        record("densenet121-s0", TrialState.FAILED),
    ]
    assert measured_rates(records, 16, GPU) == {"resnet50": 100.0, "xception": 32.0}


def test_what_other_hardware_has_measured_says_nothing():
    on_gpu = record("resnet50-s0", TrialState.FINISHED, train_images_per_s=90.0)
    on_cpu = {"gpu_peak_memory_mb": None, "threads": 4, "train_images_per_s": 9.0}
    records = [on_gpu, record("xception-s0", TrialState.FINISHED, **on_cpu)]
    assert measured_rates(records, 16, GPU) == {"resnet50": 90.0}
    assert measured_rates(records, 16, Resources(4, 0, 1)) == {"xception": 9.0}
    assert measured_rates(records, 16, Resources(2, 0, 1)) == {}


def test_rates_on_shared_gpus_and_on_whole_ones_are_kept_apart(tmp_path: Path):
    def finished(name: str, rate: float, *places: bool) -> TrialRecord:
        folder = tmp_path / name
        for shared in places:
            Books(folder, "one", shared_gpu=shared).start()
        one = record(name, TrialState.FINISHED, train_images_per_s=rate)
        return replace(one, directory=folder)

    records = [
        finished("resnet50-s0", 40.0, True),
        finished("resnet50-s1", 90.0, True, False),  # had to leave
        finished("resnet50-s2", 100.0, False),
        finished("resnet152-s0", 30.0, False),
    ]
    shares = {"resnet50": 0.5, "resnet152": 1.0}
    shared = Resources(1, 1.0, 2, sharing=Sharing(shares, whole=1, concurrent=2))
    assert measured_rates(records, 16, shared) == {"resnet50": 40.0, "resnet152": 30.0}
    assert measured_rates(records, 16, GPU) == {"resnet50": 100.0, "resnet152": 30.0}


class TestTimeLeft:
    CONFIG = load_config(preset="paper", only=["resnet50"], seeds=[0, 1, 2, 3])
    DONE = record("resnet50-s0", TrialState.FINISHED, train_images_per_s=100.0)

    def left(self, records: list[TrialRecord], concurrent: int, until: int | None = None):
        places = Resources(1, 1, concurrent)
        return Forecast(self.CONFIG, ROWS, places, until).seconds_left(records)

    def trial_s(self) -> float:
        (first, *_) = make_plan(self.CONFIG, ROWS, ONE, {"resnet50": 100.0}).trials
        assert first.hours is not None
        return first.hours * 3600

    def test_is_unknown_while_nothing_tells_a_rate(self):
        waiting = [record(f"resnet50-s{seed}", TrialState.PENDING) for seed in range(4)]
        assert self.left(waiting, 2) is None

    def test_waiting_trials_take_the_places_that_fall_free_first(self):
        records = [
            self.DONE,
            record("resnet50-s1", TrialState.RUNNING, epoch=50),
            record("resnet50-s2", TrialState.RUNNING, epoch=99),
            record("resnet50-s3", TrialState.PENDING),
        ]
        assert self.left(records, 2) == pytest.approx(1.01 * self.trial_s())
        assert self.left(records, 3) == pytest.approx(self.trial_s())

    def test_on_a_shared_gpu_a_trial_waits_for_its_share_alone(self):
        sharing = Sharing({"resnet50": 0.5}, whole=1, concurrent=2)
        forecast = Forecast(self.CONFIG, ROWS, Resources(1, 1, 2, sharing=sharing))
        records = [
            self.DONE,
            record("resnet50-s1", TrialState.RUNNING, epoch=50),
            record("resnet50-s2", TrialState.RUNNING, epoch=99),
            record("resnet50-s3", TrialState.PENDING),
        ]
        assert forecast.seconds_left(records) == pytest.approx(1.01 * self.trial_s())

    def test_is_nothing_once_all_are_over(self):
        assert self.left([self.DONE], 2) == 0

    def test_what_was_done_before_a_stop_counts(self):
        stopped = record("resnet50-s1", TrialState.PENDING, Position(90, 0))
        assert self.left([self.DONE, stopped], 1) == pytest.approx(0.1 * self.trial_s())
        # It has begun again, and has not come to a step yet.
        begun = record("resnet50-s1", TrialState.RUNNING, Position(90, 8_989))
        half = (10 - 8_989 / 17_979) / 100  # batches of 16
        assert self.left([self.DONE, begun], 1) == pytest.approx(half * self.trial_s())

    def test_a_stage_ends_before_the_training(self):
        records = [self.DONE, record("resnet50-s1", TrialState.RUNNING, epoch=40)]
        assert self.left(records, 1, until=45) == pytest.approx(0.05 * self.trial_s())

    def test_a_rate_is_remembered_while_its_trial_evaluates(self):
        forecast = Forecast(self.CONFIG, ROWS, Resources(1, 1, 1))
        training = record("resnet50-s1", TrialState.RUNNING, epoch=10, steps_per_s=100 / 16)
        assert forecast.seconds_left([training]) == pytest.approx(0.9 * self.trial_s())
        evaluating = record("resnet50-s1", TrialState.RUNNING, epoch=11)
        assert forecast.seconds_left([evaluating]) == pytest.approx(0.89 * self.trial_s())


def test_a_log_and_a_table_say_how_far_the_run_is(tmp_path: Path):
    trials = ("resnet50-s0", "resnet50-s1")
    store = write_run(tmp_path, MadeUpRun(trials=trials, states={trials[1]: TrialState.PENDING}))
    config = load_config(preset="demo", only=["resnet50"], seeds=[0, 1])
    forecast = Forecast(config, {"train": 480, "validation": 120}, ONE)
    console = Console(record=True, force_terminal=False, width=200)
    with ProgressView(store, forecast, console):
        pass
    said = console.export_text()
    assert "1 of 2 trials done, about " in said
    console.print(trial_table(store.trials(), 7500.0))
    assert "1 of 2 trials done, about 2 h 05 min left" in console.export_text()
    shutil.copytree(store.trial_dir(trials[0]), store.trial_dir(trials[1]))
    with ProgressView(store, forecast, console):
        pass
    assert "2 of 2 trials done\n" in console.export_text()
