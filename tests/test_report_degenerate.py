"""Statistics of predictions at the edge: nothing to compare, nothing right, nothing wrong."""

import csv
import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import precision_recall_fscore_support

from datasets.labels import EXPRESSIONS
from orchestrator.report import write_report
from orchestrator.report.scores.paired_tests import (
    cochran_q,
    holm,
    mcnemar_p,
    seeds_p,
    two_proportions_p,
)
from orchestrator.report.scores.probabilities import score_probabilities
from orchestrator.report.scores.statistics import score
from orchestrator.run_store import RunStore
from tests.made_up_predictions import write_predictions
from tests.made_up_runs import MadeUpRun, write_run

TWO = MadeUpRun(trials=("densenet121-s0", "mobilenetv2-s0"), states={})
LABELS = np.repeat(np.arange(8), 5)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def report(store: RunStore) -> tuple[str, dict, list[dict[str, str]]]:
    """The Markdown text, results.json and comparisons.csv."""
    write_report(store.root)
    directory = store.report_dir
    results = json.loads((directory / "results.json").read_text())
    return (directory / "report.md").read_text(), results, read_csv(directory / "comparisons.csv")


def predictions_file(store: RunStore, trial: str) -> Path:
    return store.trial_dir(trial) / "predictions.parquet"


def give(store: RunStore, predicted: dict[str, np.ndarray], labels: np.ndarray = LABELS) -> None:
    for trial, codes in predicted.items():
        write_predictions(predictions_file(store, trial), labels, codes)


@pytest.mark.slow
def test_one_trial_has_nothing_to_be_compared_with(tmp_path):
    run = dataclasses.replace(TWO, trials=TWO.trials[:1])
    text, results, rows = report(write_run(tmp_path, run))
    assert rows == []
    assert results["tests"]["architectures"] == ["densenet121"]
    assert results["tests"]["cochran_q"] is None
    assert results["seeds"][0]["accuracy_sd"] is None
    assert "Which differences are real" not in text
    assert "Compared image by image" not in text


@pytest.mark.slow
def test_two_identical_trials_have_p_1_and_share_a_group(tmp_path):
    store = write_run(tmp_path, TWO)
    half = np.where(np.arange(40) % 2, LABELS, (LABELS + 1) % 8)
    give(store, dict.fromkeys(TWO.trials, half))
    text, results, (row,) = report(store)
    assert (row["mcnemar_p"], row["holm_p"], row["different"]) == ("1.0", "1.0", "False")
    for name in ("accuracy_difference", "macro_f1_difference"):
        assert {float(row[f"{name}{end}"]) for end in ("", "_low", "_high")} == {0}
    assert results["tests"]["groups"] == [["densenet121", "mobilenetv2"]]
    assert results["tests"]["cochran_p"] is None
    assert "All are right on the same images, so there is nothing to test." in text
    assert "the other architecture can't be told from it" in text.replace("\\", "")


@pytest.mark.slow
def test_all_right_against_all_wrong(tmp_path):
    store = write_run(tmp_path, TWO)
    give(store, {TWO.trials[0]: (LABELS + 1) % 8, TWO.trials[1]: LABELS})
    text, results, (row,) = report(store)
    assert (row["architecture_a"], row["architecture_b"]) == ("mobilenetv2", "densenet121")
    assert float(row["mcnemar_p"]) == pytest.approx(2 * 0.5**40)
    assert (row["only_a_right"], row["only_b_right"], row["different"]) == ("40", "0", "True")
    assert [float(row[f"accuracy_difference{end}"]) for end in ("", "_low", "_high")] == [1, 1, 1]
    assert results["tests"]["groups"] == [["mobilenetv2"], ["densenet121"]]
    assert "the other architecture differs from it." in text
    right = next(one for one in results["trials"] if one["architecture"] == "mobilenetv2")
    wrong = next(one for one in results["trials"] if one["architecture"] == "densenet121")
    assert (right["accuracy"], right["kappa"], right["auc_macro"]) == (1, 1, 1)
    assert (wrong["accuracy"], wrong["macro_f1"], wrong["balanced_accuracy"]) == (0, 0, 0)
    assert wrong["kappa"] < 0


@pytest.mark.slow
def test_an_expression_that_no_image_has_leaves_its_figures_empty(tmp_path):
    labels = np.repeat(np.arange(7), 6)
    store = write_run(tmp_path, TWO)
    give(store, {trial: np.roll(labels, shift) for shift, trial in enumerate(TWO.trials)}, labels)
    text, results, _ = report(store)
    contempt = [row for row in results["per_class"] if row["expression"] == EXPRESSIONS[7]]
    assert {row[key] for row in contempt for key in ("recall", "recall_low", "auc")} == {None}
    for row in results["trials"]:
        assert row["auc_macro"] is not None
        assert row["balanced_accuracy"] == pytest.approx(row["accuracy"])
        assert row["macro_recall"] == pytest.approx(row["accuracy"])
    perfect = next(row for row in results["trials"] if row["accuracy"] == 1)
    assert {perfect[f"macro_{name}"] for name in ("precision", "recall", "f1")} == {1}
    assert perfect["auc_macro"] == 1
    assert not re.search(r"\bnan\b", text.lower())


@pytest.mark.slow
def test_one_image(tmp_path):
    store = write_run(tmp_path, TWO)
    one = np.array([3])
    give(store, {TWO.trials[0]: one, TWO.trials[1]: np.array([4])}, one)
    _, results, (row,) = report(store)
    assert (row["images"], row["mcnemar_p"], row["different"]) == ("1", "1.0", "False")
    assert results["trials"][0]["accuracy"] == 1
    assert results["trials"][0]["kappa"] is None  # one expression in labels and predictions alike


@pytest.mark.slow
def test_trials_on_other_images_or_labels_are_left_out_with_a_warning(tmp_path):
    trials = ("densenet121-s0", "mobilenetv2-s0", "xception-s0", "resnet50-s0")
    store = write_run(tmp_path, dataclasses.replace(TWO, trials=trials))
    path = predictions_file(store, "xception-s0")
    pq.write_table(pq.read_table(path).slice(1), path)
    path = predictions_file(store, "resnet50-s0")
    table = pq.read_table(path)
    labels = table["label"].to_numpy().copy()
    labels[0] = (labels[0] + 1) % 8
    pq.write_table(table.set_column(1, "label", pa.array(labels)), path)
    text, results, rows = report(store)
    assert len(rows) == 1
    for name in ("xception-s0", "resnet50-s0"):
        assert any(
            one.startswith(f"{name} is not compared image by image: its validation images")
            for one in results["warnings"]
        )
    assert "is not compared image by image" in text


@pytest.mark.slow
def test_images_are_paired_by_their_ids_in_whatever_order(tmp_path):
    one, other = (write_run(tmp_path / name, TWO) for name in ("one", "other"))
    path = predictions_file(other, TWO.trials[0])
    table = pq.read_table(path)
    order = np.random.default_rng(0).permutation(table.num_rows)
    pq.write_table(table.take(order), path)
    assert report(one)[2] == report(other)[2]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["nan", "not normalised", "missing", "no list", "gap"])
def test_unusable_probabilities_cost_only_what_needs_them(tmp_path, damage):
    store = write_run(tmp_path, TWO)
    path = predictions_file(store, TWO.trials[0])
    table = pq.read_table(path)
    rows = table["probabilities"].to_pylist()
    place = table.column_names.index("probabilities")
    if damage == "missing":
        pq.write_table(table.drop_columns(["probabilities"]), path)
    else:
        kind: pa.DataType = pa.list_(pa.float32(), 8)
        if damage == "no list":
            rows, kind = [row[0] for row in rows], pa.float32()
        else:
            rows[5] = {"nan": [math.nan] * 8, "not normalised": [0.5] * 8, "gap": None}[damage]
        pq.write_table(table.set_column(place, "probabilities", pa.array(rows, kind)), path)
    text, results, pairs = report(store)
    damaged, whole = results["trials"]
    for name in ("ece", "log_loss", "brier", "auc_macro", "top2_accuracy", "top2_accuracy_low"):
        assert damaged[name] is None
        assert whole[name] is not None
    assert damaged["kappa"] is not None
    assert len(pairs) == 1
    assert any("no calibration, log loss" in one for one in results["warnings"])
    assert "no calibration, log loss" in text


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["missing", "numbers", "gap"])
def test_unusable_image_ids_cost_only_the_pairs(tmp_path, damage):
    store = write_run(tmp_path, TWO)
    path = predictions_file(store, TWO.trials[0])
    table = pq.read_table(path)
    ids: list[str | None] = table["image_id"].to_pylist()
    if damage == "missing":
        table = table.drop_columns(["image_id"])
    elif damage == "numbers":
        table = table.set_column(0, "image_id", pa.array(range(len(ids))))
    else:
        ids[3] = None
        table = table.set_column(0, "image_id", pa.array(ids))
    pq.write_table(table, path)
    text, results, pairs = report(store)
    assert pairs == []
    assert results["trials"][0]["ece"] is not None
    assert "it is not compared image by image" in text
    # The lead falls back on what the intervals say.
    assert "image by image (" not in text


@pytest.mark.slow
def test_a_prediction_that_is_not_the_most_probable_is_pointed_out(tmp_path):
    store = write_run(tmp_path, TWO)
    path = predictions_file(store, TWO.trials[0])
    table = pq.read_table(path)
    codes = (table["predicted"].to_numpy() + 1) % 8
    pq.write_table(table.set_column(2, "predicted", pa.array(codes)), path)
    _, results, _ = report(store)
    assert any("predicted is not the most probable" in one for one in results["warnings"])


@pytest.mark.slow
def test_seeds_that_not_every_architecture_has(tmp_path):
    trials = ("densenet121-s0", "densenet121-s1", "mobilenetv2-s1", "xception-s1", "resnet50-s0")
    text, results, rows = report(write_run(tmp_path, dataclasses.replace(TWO, trials=trials)))
    assert {row["seed"] for row in rows} == {"1"}
    assert len(rows) == 3
    assert {row["common_seeds"] for row in rows} == {"1"}
    assert {row["seeds_p"] for row in rows} == {""}
    assert (
        "resnet50 is not compared image by image: it has no finished trial of seed 1"
        in (results["warnings"])
    )
    assert "Over seeds: mean and standard deviation" in text


@pytest.mark.slow
def test_tests_that_are_not_defined_are_nan_and_not_corrected():
    assert mcnemar_p(0, 0) == 1
    assert math.isnan(cochran_q(np.ones((4, 3), dtype=bool)).q)
    assert math.isnan(seeds_p([0.5], [0.4]))
    assert math.isnan(seeds_p([], []))
    assert math.isnan(seeds_p([0.5, 0.6], [0.4, 0.5]))  # the same difference twice: no spread
    assert 0 < seeds_p([0.5, 0.6], [0.4, 0.55]) < 1
    assert math.isnan(two_proportions_p((0, 0), (9, 9)))
    assert math.isnan(two_proportions_p((9, 9), (9, 9)))
    adjusted = holm([0.01, math.nan, 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)
    assert holm([]) == []


def test_certain_probabilities_stay_finite():
    rows = np.eye(8, dtype=np.float32)[LABELS]
    wrong = (LABELS + 1) % 8
    right = score_probabilities(LABELS, LABELS, rows)
    assert (right.ece, right.brier, right.top2, right.auc_macro) == (0, 0, 1, 1)
    assert right.log_loss == pytest.approx(0, abs=1e-9)
    lost = score_probabilities(LABELS, wrong, np.eye(8, dtype=np.float32)[wrong])
    assert (lost.ece, lost.brier) == (1, 2)
    assert math.isfinite(lost.log_loss)
    assert sum(one.images for one in lost.bins) == LABELS.size


def test_kappa_is_nan_where_there_is_one_expression():
    assert math.isnan(score(np.zeros(5, dtype=int), np.zeros(5, dtype=int)).kappa)


@pytest.mark.slow
def test_a_result_of_an_earlier_version_that_counts_all_eight_is_no_disagreement(tmp_path):
    labels = np.repeat(np.arange(7), 6)
    store = write_run(tmp_path, TWO)
    give(store, dict.fromkeys(TWO.trials, np.roll(labels, 1)), labels)
    for trial, means in zip(TWO.trials, (8, 6), strict=True):
        path = store.trial_dir(trial) / "result.json"
        stated = json.loads(path.read_text())
        recall, precision, f1, _ = precision_recall_fscore_support(labels, np.roll(labels, 1))
        stated |= {"accuracy": 35 / 42, "validation_images": 42}
        for name, rates in (("precision", precision), ("recall", recall), ("f1", f1)):
            stated[f"macro_{name}"] = float(rates.sum()) / means
        path.write_text(json.dumps(stated))
    _, results, _ = report(store)
    assert [line for line in results["warnings"] if TWO.trials[0] in line and "macro" in line] == []
    assert sum(TWO.trials[1] in line and "macro" in line for line in results["warnings"]) == 3
