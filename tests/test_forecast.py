"""The plan from measured rates, and how long a run still takes."""

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.config_sources import load_config
from orchestrator.forecast import Forecast, measured_rates
from orchestrator.plan import Resources, make_plan
from orchestrator.progress import ProgressView, trial_table
from orchestrator.run_store import TrialRecord, split_trial_name
from tests.made_up_runs import MadeUpRun, write_run
from trainers.architectures import ARCHITECTURES
from trainers.result import TrialProgress, TrialResult, TrialState

ROWS = {"train": 287_651, "validation": 3_999}
ONE = Resources(1, 0, 1)


def record(name: str, state: TrialState, **figures: float) -> TrialRecord:
    """A trial with these figures in its result, or in its progress while it runs."""
    architecture, seed = split_trial_name(name)
    result = progress = None
    if state is TrialState.FINISHED:
        result = TrialResult.model_construct(**figures)
    elif state is TrialState.RUNNING:
        progress = TrialProgress.model_construct(**({"steps_per_s": None} | figures))
    return TrialRecord(name, architecture, seed, Path(), state, result=result, progress=progress)


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
        record("xception-s0", TrialState.RUNNING, steps_per_s=2.0),
        record("xception-s1", TrialState.RUNNING),
        record("mobilenet-s0", TrialState.PENDING),
        record("densenet121-s0", TrialState.FAILED),
    ]
    assert measured_rates(records, batch_size=16) == {"resnet50": 100.0, "xception": 32.0}


class TestTimeLeft:
    CONFIG = load_config(preset="paper", only=["resnet50"], seeds=[0, 1, 2, 3])

    def left(self, records: list[TrialRecord], concurrent: int) -> float | None:
        return Forecast(self.CONFIG, ROWS, Resources(1, 1, concurrent)).seconds_left(records)

    def trial_s(self) -> float:
        (first, *_) = make_plan(self.CONFIG, ROWS, ONE, {"resnet50": 100.0}).trials
        assert first.hours is not None
        return first.hours * 3600

    def test_is_unknown_while_nothing_tells_a_rate(self):
        waiting = [record(f"resnet50-s{seed}", TrialState.PENDING) for seed in range(4)]
        assert self.left(waiting, 2) is None

    def test_waiting_trials_take_the_places_that_fall_free_first(self):
        records = [
            record("resnet50-s0", TrialState.FINISHED, train_images_per_s=100.0),
            record("resnet50-s1", TrialState.RUNNING, seconds_left=100.0, steps_per_s=100 / 16),
            record("resnet50-s2", TrialState.RUNNING, seconds_left=5.0, steps_per_s=100 / 16),
            record("resnet50-s3", TrialState.PENDING),
        ]
        assert self.left(records, 2) == pytest.approx(5 + self.trial_s())
        assert self.left(records, 3) == pytest.approx(self.trial_s())

    def test_is_nothing_once_all_are_over(self):
        over = record("resnet50-s0", TrialState.FINISHED, train_images_per_s=100.0)
        assert self.left([over], 2) == 0

    def test_a_trial_that_has_not_said_counts_whole(self):
        records = [
            record("resnet50-s0", TrialState.FINISHED, train_images_per_s=100.0),
            record("resnet50-s1", TrialState.RUNNING, seconds_left=None),
        ]
        assert self.left(records, 1) == pytest.approx(self.trial_s())


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
