"""Trials that fail in a run: they keep their row, and disturb nobody."""

import csv
from pathlib import Path

import pytest

from tests.trials_here import finish_here
from tests.whole_runs import ONE, TRIALS, Run, assert_same_outcome

pytestmark = pytest.mark.slow


def rows(run: Run) -> dict[str, dict[str, str]]:
    """The report's rows by trial."""
    with (run.folder / "report" / "results.csv").open() as stream:
        return {f"{row['architecture']}-s{row['seed']}": row for row in csv.DictReader(stream)}


def test_a_trial_that_diverges_keeps_its_row_and_the_exit_code_says_so(tmp_path: Path):
    run = Run(tmp_path / "run")
    finish_here(run, *ONE, "--set", "recipe.learning_rate=3e38", code=1)
    (row,) = rows(run).values()
    assert row["status"] == "diverged"
    assert row["accuracy"] == ""
    assert "learning_rate" in row["reason"]


def test_a_trial_whose_storage_is_broken_is_tried_again_by_the_next_command(
    undisturbed_run: Run, tmp_path: Path
):
    """That it fails alone, through Ray: `test_jax`."""
    run, patience = Run(tmp_path / "run"), ("--set", "resilience.storage_minutes=0")
    broken = run.trial(TRIALS[0])
    broken.mkdir(parents=True)
    (broken / "checkpoints").write_text("no folder")
    finish_here(run, *patience, code=1)
    found = rows(run)
    assert found[TRIALS[0]]["status"] == "failed"
    assert "StorageError" in found[TRIALS[0]]["reason"]
    assert found[TRIALS[1]]["status"] == "finished"
    (broken / "checkpoints").unlink()
    finish_here(run, *patience)
    assert_same_outcome(undisturbed_run, run)
