"""The order of images and the batches cut from it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.batches import EvaluationBatches, TrainBatches
from datasets.sampler import epoch_order

numbers = st.integers(min_value=0, max_value=2**64 - 1)


@given(seed=numbers, epoch=numbers, size=st.integers(min_value=0, max_value=300))
def test_an_order_is_a_permutation_and_a_pure_function(seed: int, epoch: int, size: int) -> None:
    order = epoch_order(seed, epoch, size)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(size))
    assert np.array_equal(order, epoch_order(seed, epoch, size))


@pytest.mark.parametrize(
    ("one", "other"),
    [((7, 1), (8, 0)), ((0, 1), (1, 0)), ((2**32 + 7, 1), (7, 2**32 + 1)), ((3, 0), (3, 2**32))],
)
def test_seed_and_epoch_are_a_pair(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert not np.array_equal(epoch_order(*one, 100), epoch_order(*other, 100))


def test_orders_stay_as_they_are() -> None:
    # Golden values: a resumed run must see the order that it saw under an older version.
    assert epoch_order(0, 0, 8).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]
    assert epoch_order(7, 1, 8).tolist() == [5, 1, 2, 7, 6, 4, 0, 3]


@pytest.mark.parametrize(("seed", "size"), [(-1, 3), (2**64, 3), (0, -1)])
def test_numbers_out_of_range_are_refused(seed: int, size: int) -> None:
    with pytest.raises(ValueError, match=str(seed if size > 0 else size)):
        epoch_order(seed, 0, size)


class Numbered:
    """A split whose image n is filled with n."""

    def __init__(self, rows: int) -> None:
        self.labels = (np.arange(rows) % 8).astype(np.int8)

    def __len__(self) -> int:
        return len(self.labels)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.uint8(indices)[:, None, None, None], (len(indices), 2, 2, 3))


def test_an_epoch_shows_each_row_once_with_its_label() -> None:
    batches = TrainBatches(Numbered(21), batch_size=4, seed=5)
    assert batches.steps_per_epoch == 6
    seen = []
    for step in range(6):
        images, labels = batches.batch(2, step)
        rows = images[:, 0, 0, 0]
        assert np.array_equal(labels, rows % 8)
        seen += rows.tolist()
    assert seen == epoch_order(5, 2, 21).tolist()


def test_a_batch_does_not_depend_on_what_was_asked_before() -> None:
    walked = TrainBatches(Numbered(21), 4, seed=5)
    for epoch, step in [(0, 0), (3, 5), (1, 2), (0, 1), (1, 2)]:
        fresh = TrainBatches(Numbered(21), 4, seed=5)
        assert np.array_equal(walked.batch(epoch, step)[0], fresh.batch(epoch, step)[0])


def test_evaluation_goes_in_data_set_order_and_leaves_none_out() -> None:
    batches = EvaluationBatches(Numbered(10), 4)
    assert [len(labels) for _, labels in (batches[i] for i in range(len(batches)))] == [4, 4, 2]
    rows = np.concatenate([batches[i][0][:, 0, 0, 0] for i in range(len(batches))])
    assert rows.tolist() == list(range(10))


def test_batches_outside_are_refused() -> None:
    with pytest.raises(IndexError, match="step 6"):
        TrainBatches(Numbered(21), 4, seed=0).batch(0, 6)
    with pytest.raises(IndexError, match="batch 3"):
        EvaluationBatches(Numbered(10), 4)[3]
    with pytest.raises(ValueError, match="batch_size 0"):
        EvaluationBatches(Numbered(10), 0)
