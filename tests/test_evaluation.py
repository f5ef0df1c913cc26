"""What a trial says of its validation images, against figures worked out by hand."""

import math

import numpy as np
import pyarrow.parquet as pq
import pytest

from trainers.evaluation import Evaluation, write_predictions

# Four images of Neutral, of which one is taken for Happiness, and one of Happiness, taken for it.
LABELS = np.array([0, 0, 0, 0, 1], np.int8)
PREDICTED = [0, 0, 0, 1, 1]
SURE = 0.65


@pytest.fixture
def evaluation() -> Evaluation:
    rows = np.full((len(LABELS), 8), 0.05, np.float32)
    rows[range(len(LABELS)), PREDICTED] = SURE
    return Evaluation(LABELS, rows, None)


def test_accuracy_and_loss(evaluation: Evaluation):
    assert evaluation.predicted.tolist() == PREDICTED
    assert evaluation.accuracy == 4 / 5
    expected = -(4 * math.log(SURE) + math.log(0.05)) / 5
    assert evaluation.loss == pytest.approx(expected, rel=1e-6)


def test_macro_figures_are_unweighted_means_over_the_expressions_that_occur(evaluation: Evaluation):
    precision, recall, f1 = evaluation.macro()
    # Of Neutral 3/3, 3/4, 6/7; of Happiness 1/2, 1/1, 2/3; the other six are not there.
    assert precision == pytest.approx((1 + 1 / 2) / 2)
    assert recall == pytest.approx((3 / 4 + 1) / 2)
    assert f1 == pytest.approx((6 / 7 + 2 / 3) / 2)


def test_a_loss_that_is_not_finite_stays_so():
    rows = np.full((1, 8), np.nan, np.float32)
    assert math.isnan(Evaluation(LABELS[:1], rows, None).loss)


def test_on_a_tie_the_lowest_code_is_predicted():
    rows = np.full((1, 8), 0.125, np.float32)
    assert Evaluation(LABELS[:1], rows, None).predicted.tolist() == [0]


def test_predictions_are_written_in_the_contracts_columns(evaluation: Evaluation, tmp_path):
    path = tmp_path / "predictions.parquet"
    names = [f"image-{place}" for place in range(len(LABELS))]
    write_predictions(path, names, evaluation)
    table = pq.read_table(path)
    assert [f"{field.name}: {field.type}" for field in table.schema] == [
        "image_id: string",
        "label: int8",
        "predicted: int8",
        "probabilities: fixed_size_list<element: float>[8]",
    ]
    assert table["image_id"].to_pylist() == names
    assert table["label"].to_pylist() == LABELS.tolist()
    assert table["predicted"].to_pylist() == PREDICTED
    np.testing.assert_array_equal(table["probabilities"].to_pylist(), evaluation.probabilities)
