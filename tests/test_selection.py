"""A part of training that chooses the epoch: the same in every process, and never trained on."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.batches import TrainBatches
from datasets.errors import ConfigError
from tests.interrupted_trial import RECIPE
from tests.resuming import KILLED, assert_same_outcome, finish, run
from trainers.checkpoint import HistoryRow
from trainers.recipe import config_hash
from trainers.result import HISTORY_COLUMNS, HISTORY_FILE
from trainers.selection import hold_out
from trainers.writing import _selected, write_history


class Numbered:
    """Rows that are their own numbers; labels with an imbalance."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        labels = np.repeat(np.arange(len(counts), dtype=np.int8), counts)
        self.labels = np.random.default_rng(0).permutation(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(indices)


COUNTS = (200, 400, 60, 30, 10, 4, 2, 1)


def rows(split) -> list[int]:
    return split.gather(np.arange(len(split))).tolist()


def test_each_class_gives_its_share_and_no_image_is_in_both_parts():
    whole = Numbered(COUNTS)
    train, held = hold_out(whole, 0.1, seed=5)
    assert sorted(rows(train) + rows(held)) == list(range(len(whole)))
    assert np.bincount(held.labels, minlength=8).tolist() == [20, 40, 6, 3, 1, 1, 1, 0]
    np.testing.assert_array_equal(held.labels, whole.labels[rows(held)])
    np.testing.assert_array_equal(train.labels, whole.labels[rows(train)])


def test_it_is_a_function_of_labels_fraction_and_seed():
    whole = Numbered(COUNTS)
    one, same = (rows(hold_out(whole, 0.1, seed=5)[1]) for _ in range(2))
    assert one == same
    assert one != rows(hold_out(whole, 0.1, seed=6)[1])
    assert len(rows(hold_out(whole, 0.3, seed=5)[1])) > 2 * len(one)


def test_without_a_fraction_the_split_is_the_very_same():
    whole = Numbered(COUNTS)
    assert hold_out(whole, 0.0, seed=5) == (whole, None)


def test_too_few_images_are_told():
    with pytest.raises(ConfigError, match=r"selection_fraction 0\.1: 3 training images"):
        hold_out(Numbered((1, 1, 1)), 0.1, seed=0)


def test_an_epoch_trains_on_what_is_left_and_on_nothing_else():
    train, held = hold_out(Numbered(COUNTS), 0.2, seed=1)
    batches = TrainBatches(train, batch_size=16, seed=1)
    seen = np.concatenate([batches.batch(3, step)[0] for step in range(batches.steps_per_epoch)])
    assert sorted(seen.tolist()) == rows(train)
    assert not set(seen.tolist()) & set(rows(held))
    assert batches.images == len(train)


def test_only_a_fraction_that_is_on_changes_the_hash():
    off = config_hash("mobilenet", 0, RECIPE)
    assert off == config_hash("mobilenet", 0, RECIPE.model_copy(update={"selection_fraction": 0}))
    hashes = {
        config_hash("mobilenet", 0, RECIPE.model_copy(update={"selection_fraction": fraction}))
        for fraction in (0.0, 0.1, 0.2)
    }
    assert len(hashes) == 3


def test_the_first_of_the_best_epochs_is_chosen_and_its_column_written_only_when_on(tmp_path: Path):
    figures = [(0.1, 0.9), (0.4, 0.2), (0.4, 0.5)]  # of the held-out part, of validation
    history = [
        HistoryRow(epoch, 1.0, 0.5, 1.0, validation, held)
        for epoch, (held, validation) in enumerate(figures, start=1)
    ]
    assert _selected(history) == history[1]
    write_history(tmp_path, history)
    with (tmp_path / HISTORY_FILE).open() as stream:
        found = list(csv.DictReader(stream))
    assert list(found[0]) == [*HISTORY_COLUMNS, "selection_accuracy"]
    assert [float(row["selection_accuracy"]) for row in found] == [0.1, 0.4, 0.4]
    plain = [replace(row, selection_accuracy=None) for row in history]
    assert _selected(plain) is None
    write_history(tmp_path, plain)
    header = (tmp_path / HISTORY_FILE).read_text().splitlines()[0]
    assert header == ",".join(HISTORY_COLUMNS)


@pytest.mark.slow
def test_a_trial_that_is_killed_and_resumed_chooses_the_same_epoch(
    small_shards: Path, tmp_path: Path
):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    result = finish(small_shards, whole, "recipe:selection_fraction=0.3")
    assert (
        run(small_shards, cut, "recipe:selection_fraction=0.3", "kill-step:4").returncode == KILLED
    )
    resumed = finish(small_shards, cut, "recipe:selection_fraction=0.3")
    assert_same_outcome(whole, cut)
    assert (resumed.selected_epoch, resumed.selected_accuracy) == (
        result.selected_epoch,
        result.selected_accuracy,
    )
    with (whole / "trial" / HISTORY_FILE).open() as stream:
        history = list(csv.DictReader(stream))
    held = [float(row["selection_accuracy"]) for row in history]
    best = held.index(max(held))
    assert result.selected_epoch == best + 1
    assert result.selected_accuracy == float(history[best]["val_accuracy"])
    # Of 20: held out are 2 of 5 of Neutral and 3 of 9 of Happiness; of each other there is but one.
    assert result.train_images == 15
