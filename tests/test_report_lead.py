"""What the head of the report says of the best: never more than the paired tests found."""

from pathlib import Path

import numpy as np
import pytest

from orchestrator.report.collect import collect
from orchestrator.report.page import build_page
from orchestrator.report.scores.compare import compared
from orchestrator.run_store import RunStore
from tests.made_up_predictions import write_predictions
from tests.made_up_runs import MadeUpRun, write_run
from trainers.result import PREDICTIONS_FILE

IMAGES = 400


def run_with(root: Path, accuracies: dict[str, float]) -> RunStore:
    """A finished run whose trials are right on the first so many images."""
    store = write_run(root, MadeUpRun(trials=tuple(accuracies), states={}))
    labels = np.arange(IMAGES) % 8
    for trial, accuracy in accuracies.items():
        right = np.arange(IMAGES) < round(accuracy * IMAGES)
        predicted = np.where(right, labels, (labels + 1) % 8)
        write_predictions(store.trial_dir(trial) / PREDICTIONS_FILE, labels, predicted)
    return store


def lead_of(store: RunStore) -> str:
    return " ".join(build_page(compared(collect(store.root))).lead)


@pytest.mark.slow
def test_a_best_by_mean_that_is_behind_where_it_was_compared_is_not_said_to_win(tmp_path: Path):
    lead = lead_of(
        run_with(
            tmp_path,
            {f"resnet50-s{seed}": accuracy for seed, accuracy in enumerate((0.4, 0.6, 0.6))}
            | {f"xception-s{seed}": 0.5 for seed in range(3)},
        )
    )
    assert "ResNet50 reached the highest validation accuracy" in lead
    assert "the other architecture does better than it there" in lead
    assert "provisional" in lead
    assert "differs from it" not in lead


@pytest.mark.slow
def test_of_several_those_ahead_are_counted(tmp_path: Path):
    lead = lead_of(
        run_with(
            tmp_path,
            {f"resnet50-s{seed}": accuracy for seed, accuracy in enumerate((0.4, 0.6, 0.6))}
            | {f"xception-s{seed}": 0.5 for seed in range(3)}
            | {f"mobilenet-s{seed}": 0.4 for seed in range(3)}
            | {f"densenet121-s{seed}": 0.2 for seed in range(3)},
        )
    )
    assert "1 of the other 3 architectures does better than it there, 1 can't be told" in lead


@pytest.mark.slow
def test_who_could_not_be_compared_is_counted_and_told(tmp_path: Path):
    store = run_with(
        tmp_path,
        {"resnet50-s0": 0.7, "densenet121-s0": 0.69, "xception-s0": 0.4, "mobilenet-s0": 0.3},
    )
    (store.trial_dir("densenet121-s0") / PREDICTIONS_FILE).unlink()
    run = compared(collect(store.root))
    lead = lead_of(store)
    assert "all other 2 architectures differ from it. 1 architecture could not be compared." in lead
    assert any("densenet121-s0 is not compared image by image" in text for text in run.warnings)


@pytest.mark.slow
def test_without_anybody_missing_nothing_is_said_of_it(tmp_path: Path):
    lead = lead_of(run_with(tmp_path, {"resnet50-s0": 0.7, "xception-s0": 0.4}))
    assert "the other architecture differs from it." in lead
    assert "could not be compared" not in lead


@pytest.mark.slow
def test_a_seed_that_was_never_planned_is_not_called_unfinished(tmp_path: Path):
    store = run_with(tmp_path, {"resnet50-s0": 0.7, "xception-s0": 0.4, "mobilenet-s1": 0.5})
    run = compared(collect(store.root))
    assert any(
        "mobilenet is not compared image by image: it has no finished trial of seed 0" in text
        for text in run.warnings
    )
