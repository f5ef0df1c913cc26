"""Results that only look like some are named: at the top, and at their row."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.labels import EXPRESSIONS
from orchestrator.report import write_report
from orchestrator.report.collect import collect
from orchestrator.report.scores.compare import compared
from orchestrator.report.scores.oddities import oddities
from orchestrator.report.scores.statistics import score
from orchestrator.report.sections.columns import accuracy_table
from orchestrator.report.sections.seeds_table import seeds_table
from tests.made_up_predictions import write_predictions
from tests.made_up_runs import MadeUpRun, write_run
from trainers.result import PREDICTIONS_FILE

ANGER, DISGUST, FEAR = map(EXPRESSIONS.index, ("Anger", "Disgust", "Fear"))
EVEN = np.repeat(np.arange(8), 500)
UNEVEN = np.repeat(np.arange(8), (680, 1185, 478, 329, 74, 160, 162, 90))


def answers(labels: np.ndarray, right: float, seed: int = 0) -> np.ndarray:
    """So many right, the rest by chance."""
    rng = np.random.default_rng(seed)
    hit = rng.random(labels.size) < right
    return np.where(hit, labels, rng.integers(0, 8, labels.size))


def exchanged(codes: np.ndarray, order: dict[int, int]) -> np.ndarray:
    return np.array([order.get(int(code), int(code)) for code in codes])


def found(labels: np.ndarray, predicted: np.ndarray) -> list[str]:
    return [one.short for one in oddities(score(labels, predicted))]


@pytest.mark.parametrize(
    ("labels", "right"), [(EVEN, 0.25), (EVEN, 0.9), (UNEVEN, 0.5), (UNEVEN, 1.0)]
)
def test_an_ordinary_trial_has_nothing_odd(labels: np.ndarray, right: float) -> None:
    assert all(found(labels, answers(labels, right, seed)) == [] for seed in range(20))


def test_answers_by_chance_are_no_exchange() -> None:
    for seed in range(100):
        odd = found(EVEN, answers(EVEN, 0.0, seed))
        assert not [one for one in odd if "exchanged" in one or "fit better" in one]


@pytest.mark.parametrize("right", [0.45, 0.6, 1.0])
def test_two_expressions_exchanged(right: float) -> None:
    order = {ANGER: DISGUST, DISGUST: ANGER}
    for labels in (EVEN, UNEVEN):
        odd = found(labels, exchanged(answers(labels, right), order))
        assert "Disgust and Anger fit better exchanged" in odd


def test_three_expressions_in_a_ring() -> None:
    order = {FEAR: DISGUST, DISGUST: ANGER, ANGER: FEAR}
    (odd,) = oddities(score(EVEN, exchanged(answers(EVEN, 0.6), order)))
    assert odd.short == "Fear as Disgust, Disgust as Anger, Anger as Fear fit better"
    assert "of their images would be right" in odd.long


def test_an_expression_that_is_never_answered_is_no_exchange() -> None:
    predicted = answers(EVEN, 0.6)
    predicted[(EVEN == DISGUST) | (predicted == DISGUST)] = ANGER
    assert found(EVEN, predicted) == []


def test_one_answer_for_nearly_all() -> None:
    predicted = np.full(UNEVEN.size, 2)
    assert found(UNEVEN, predicted) == ["below chance", "one answer for nearly all"]
    assert found(UNEVEN, np.full(UNEVEN.size, 1)) == ["one answer for nearly all"]
    assert found(np.full(100, 1), np.full(100, 1)) == []


def test_low_accuracy_for_the_sake_of_the_rare_is_not_below_chance() -> None:
    labels = np.repeat(np.arange(8), (60, 3000, 140, 140, 140, 140, 140, 140))
    predicted = answers(labels, 0.65)
    assert (labels == predicted).mean() < 0.72 < (labels == 1).mean()
    assert found(labels, predicted) == []


RUN = MadeUpRun(trials=("mobilenet-s0", "mobilenet-s1", "xception-s0", "xception-s1"), states={})


def test_each_is_named_at_the_top_and_at_its_row(tmp_path) -> None:
    store = write_run(tmp_path, RUN)
    for trial in RUN.trials:
        collapsed = trial == "mobilenet-s1"
        predicted = np.full(EVEN.size, 3) if collapsed else answers(EVEN, 0.5)
        write_predictions(store.trial_dir(trial) / PREDICTIONS_FILE, EVEN, predicted)
    run = compared(collect(tmp_path))
    rows = {row[0].text: [cell.detail for cell in row] for row in accuracy_table(run).rows}
    assert "one answer for nearly all" in rows["MobileNet, seed 1"]
    assert not any("answer" in text for text in rows["MobileNet, seed 0"])
    assert run.comparisons is not None
    table = seeds_table(run.comparisons)
    assert table is not None
    details = {row[0].text: row[1].detail for row in table.rows}
    assert details == {
        "MobileNet": "0, 1; seed 1: one answer for nearly all",
        "Xception": "0, 1",
    }
    write_report(store.root)
    page = (store.report_dir / "report.md").read_text()
    assert "mobilenet-s1: Surprise is its answer for 100.00 % of the images" in page


def test_a_best_that_is_below_chance_has_no_star(tmp_path) -> None:
    store = write_run(tmp_path, replace(RUN, trials=("mobilenet-s0",)))
    predicted = (UNEVEN + 1) % 8
    write_predictions(store.trial_dir("mobilenet-s0") / PREDICTIONS_FILE, UNEVEN, predicted)
    (row,) = accuracy_table(compared(collect(tmp_path))).rows
    assert not any(cell.best for cell in row)
    assert "below chance" in "; ".join(cell.detail for cell in row)
