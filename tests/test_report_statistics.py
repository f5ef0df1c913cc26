"""The report's statistics: every written figure recomputed from `predictions.parquet`.

The recomputations use scikit-learn, SciPy and statsmodels directly, none of the report's code.
"""

import csv
import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from datasets.labels import EXPRESSIONS
from orchestrator.report import write_report
from orchestrator.report.scores.bootstrap import SEED, resample
from orchestrator.run_store import RunStore
from tests.made_up_predictions import probabilities_for, write_predictions
from tests.made_up_runs import MadeUpRun, write_run

EXACT = 1e-9
CODES = list(range(8))
NAMES = ("resnet50", "densenet121", "mobilenet", "xception")
SEEDS = (0, 1, 2)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def number(text: str) -> float:
    return float(text) if text else np.nan


class Images:
    """One trial's predictions, as pandas reads them."""

    def __init__(self, store: RunStore, trial: str) -> None:
        table = pq.read_table(store.trial_dir(trial) / "predictions.parquet").to_pandas()
        table = table.sort_values("image_id", kind="stable")
        self.ids = table["image_id"].tolist()
        self.labels = table["label"].to_numpy(dtype=int)
        self.predicted = table["predicted"].to_numpy(dtype=int)
        rows = np.stack(table["probabilities"].tolist()).astype(float)
        self.probabilities = rows / rows.sum(axis=1, keepdims=True)
        self.correct = self.labels == self.predicted


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    trials = tuple(f"{name}-s{seed}" for name in NAMES for seed in SEEDS)
    store = write_run(tmp_path_factory.mktemp("seeds"), MadeUpRun(trials=trials, states={}))
    for seed in SEEDS:
        better(store, f"xception-s{seed}")
    write_report(store.root)
    return store


def better(store: RunStore, trial: str) -> None:
    """Every third image right: one architecture that differs from the others."""
    path = store.trial_dir(trial) / "predictions.parquet"
    table = pq.read_table(path)
    labels, predicted = (table[name].to_numpy() for name in ("label", "predicted"))
    predicted = np.where(np.arange(labels.size) % 3 == 0, labels, predicted)
    rows = probabilities_for(predicted, np.random.default_rng(len(trial)))
    write_predictions(path, labels, predicted, rows)


@pytest.fixture(scope="module")
def images(store: RunStore) -> dict[str, Images]:
    return {trial: Images(store, trial) for trial in store.read().trials}


@pytest.fixture(scope="module")
def results(store: RunStore) -> dict:
    return json.loads((store.report_dir / "results.json").read_text())


def wilson(count: int, total: int) -> tuple[float, float]:
    return proportion_confint(count, total, alpha=0.05, method="wilson")


def expected_calibration_error(one: Images) -> float:
    """Guo et al. 2017, equation 3, bin by bin."""
    confidence, gap = one.probabilities.max(axis=1), 0.0
    for low, high in itertools.pairwise(np.linspace(0, 1, 16)):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap += inside.mean() * abs(one.correct[inside].mean() - confidence[inside].mean())
    return gap


def trial_figures(one: Images) -> dict[str, float]:
    labels, predicted, rows = one.labels, one.predicted, one.probabilities
    weighted = metrics.precision_recall_fscore_support(
        labels, predicted, average="weighted", zero_division=0
    )
    macro = metrics.precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average="macro", zero_division=0
    )
    top2 = round(metrics.top_k_accuracy_score(labels, rows, k=2, labels=CODES) * labels.size)
    return {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "accuracy_low": wilson(one.correct.sum(), labels.size)[0],
        "accuracy_high": wilson(one.correct.sum(), labels.size)[1],
        "macro_precision": macro[0],
        "macro_recall": macro[1],
        "macro_f1": macro[2],
        "weighted_precision": weighted[0],
        "weighted_recall": weighted[1],
        "weighted_f1": weighted[2],
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "kappa": metrics.cohen_kappa_score(labels, predicted),
        "top2_accuracy": top2 / labels.size,
        "top2_accuracy_low": wilson(top2, labels.size)[0],
        "top2_accuracy_high": wilson(top2, labels.size)[1],
        "auc_macro": metrics.roc_auc_score(labels, rows, multi_class="ovr", average="macro"),
        "log_loss": metrics.log_loss(labels, rows),
        "brier": metrics.brier_score_loss(labels, rows, labels=CODES),
        "ece": expected_calibration_error(one),
    }


def test_every_figure_of_results_csv_is_the_libraries(store, images):
    rows = read_csv(store.report_dir / "results.csv")
    assert len(rows) == len(images)
    for row in rows:
        one = images[f"{row['architecture']}-s{row['seed']}"]
        for column, expected in trial_figures(one).items():
            assert number(row[column]) == pytest.approx(expected, abs=EXACT), column


@pytest.mark.slow
def test_every_figure_of_per_class_csv_is_the_libraries(store, images):
    rows = read_csv(store.report_dir / "per_class.csv")
    assert len(rows) == 8 * len(images)
    for row in rows:
        one = images[f"{row['architecture']}-s{row['seed']}"]
        code = EXPRESSIONS.index(row["expression"])
        has, given = one.labels == code, one.predicted == code
        low, high = wilson(int((has & given).sum()), int(has.sum()))
        expected = {
            "support": has.sum(),
            "correct": (has & given).sum(),
            "predicted": given.sum(),
            "precision": metrics.precision_score(has, given, zero_division=0),
            "recall": metrics.recall_score(has, given),
            "f1": metrics.f1_score(has, given),
            "recall_low": low,
            "recall_high": high,
            "auc": metrics.roc_auc_score(has, one.probabilities[:, code]),
        }
        for column, value in expected.items():
            assert number(row[column]) == pytest.approx(value, abs=EXACT), column


def macro_f1(labels: np.ndarray, predicted: np.ndarray, of: np.ndarray | None = None) -> float:
    """Over the expressions that all images `of` have; by default those that these have."""
    codes = np.unique(labels if of is None else of)
    return metrics.f1_score(labels, predicted, labels=codes, average="macro", zero_division=0)


def test_every_pair_is_in_comparisons_csv_best_first(store, images):
    rows = read_csv(store.report_dir / "comparisons.csv")
    means = {
        name: np.mean([images[f"{name}-s{seed}"].correct.mean() for seed in SEEDS])
        for name in NAMES
    }
    ranked = sorted(NAMES, key=lambda name: -means[name])
    pairs = [(row["architecture_a"], row["architecture_b"]) for row in rows]
    assert pairs == list(itertools.combinations(ranked, 2))
    # The lowest common seed, and the images of one trial.
    assert {(row["seed"], row["images"]) for row in rows} == {("0", "320")}


@pytest.mark.slow
def test_mcnemar_and_holm_are_statsmodels(store, images):
    rows = read_csv(store.report_dir / "comparisons.csv")
    p_values = []
    for row in rows:
        a, b = (images[f"{row[f'architecture_{side}']}-s0"] for side in "ab")
        assert a.ids == b.ids
        table = [
            [np.sum(one & other) for other in (b.correct, ~b.correct)]
            for one in (a.correct, ~a.correct)
        ]
        p_values.append(mcnemar(table, exact=True).pvalue)
        assert (int(row["only_a_right"]), int(row["only_b_right"])) == (table[0][1], table[1][0])
        assert number(row["mcnemar_p"]) == pytest.approx(p_values[-1], abs=EXACT)
        assert number(row["accuracy_difference"]) == pytest.approx(
            a.correct.mean() - b.correct.mean(), abs=EXACT
        )
        assert number(row["macro_f1_difference"]) == pytest.approx(
            macro_f1(a.labels, a.predicted) - macro_f1(b.labels, b.predicted), abs=EXACT
        )
    adjusted = multipletests(p_values, method="holm")[1]
    assert [number(row["holm_p"]) for row in rows] == pytest.approx(list(adjusted), abs=EXACT)
    assert [row["different"] for row in rows] == [str(p < 0.05) for p in adjusted]
    assert {row["different"] for row in rows} == {"True", "False"}


@pytest.mark.slow
def test_the_tests_over_seeds_are_scipys(store, images):
    rows = read_csv(store.report_dir / "comparisons.csv")
    accuracies = {
        name: [images[f"{name}-s{seed}"].correct.mean() for seed in SEEDS] for name in NAMES
    }
    p_values = []
    for row in rows:
        a, b = (accuracies[row[f"architecture_{side}"]] for side in "ab")
        p_values.append(stats.ttest_rel(a, b).pvalue)
        assert row["common_seeds"] == "3"
        assert number(row["seeds_p"]) == pytest.approx(p_values[-1], abs=EXACT)
        assert number(row["seeds_accuracy_difference"]) == pytest.approx(
            np.mean(a) - np.mean(b), abs=EXACT
        )
    adjusted = multipletests(p_values, method="holm")[1]
    assert [number(row["seeds_holm_p"]) for row in rows] == pytest.approx(list(adjusted), abs=EXACT)


def test_means_and_standard_deviations_over_seeds(results, images):
    assert {row["architecture"] for row in results["seeds"]} == set(NAMES)
    for row in results["seeds"]:
        own = [images[f"{row['architecture']}-s{seed}"] for seed in row["seeds"]]
        accuracies = [one.correct.mean() for one in own]
        scores = [macro_f1(one.labels, one.predicted) for one in own]
        assert row["seeds"] == list(SEEDS)
        assert row["accuracy_mean"] == pytest.approx(np.mean(accuracies), abs=EXACT)
        assert row["accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1), abs=EXACT)
        assert row["macro_f1_mean"] == pytest.approx(np.mean(scores), abs=EXACT)
        assert row["macro_f1_sd"] == pytest.approx(np.std(scores, ddof=1), abs=EXACT)


def test_cochrans_q_is_statsmodels(results, images):
    tests = results["tests"]
    correct = np.stack([images[f"{name}-s0"].correct for name in tests["architectures"]], axis=1)
    expected = cochrans_q(correct.astype(int))
    assert (tests["seed"], tests["images"], tests["cochran_df"]) == (0, 320, 3)
    assert tests["cochran_q"] == pytest.approx(expected.statistic, abs=EXACT)
    assert tests["cochran_p"] == pytest.approx(expected.pvalue, abs=EXACT)


def test_bootstrap_intervals_are_scipys_over_the_same_resamples(store, images):
    """SciPy draws the same integers from the same generator: its intervals must be equal."""
    row = read_csv(store.report_dir / "comparisons.csv")[0]
    a, b = (images[f"{row[f'architecture_{side}']}-s0"] for side in "ab")

    def accuracy_difference(places: np.ndarray, axis: int = -1) -> np.ndarray:
        return a.correct[places].mean(axis=axis) - b.correct[places].mean(axis=axis)

    found = stats.bootstrap(
        (np.arange(a.labels.size),),
        accuracy_difference,
        n_resamples=10_000,
        batch=500,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    written = [number(row[f"accuracy_difference_{end}"]) for end in ("low", "high")]
    assert written == pytest.approx([found.low, found.high], abs=EXACT)


def test_macro_f1_intervals_are_percentiles_of_the_resampled_scores(store, images):
    """Those scores are scikit-learn's, as the next test shows."""
    row = read_csv(store.report_dir / "comparisons.csv")[0]
    a, b = (images[f"{row[f'architecture_{side}']}-s0"] for side in "ab")
    scores = resample(a.labels, np.stack([a.predicted, b.predicted])).macro_f1
    written = [number(row[f"macro_f1_difference_{end}"]) for end in ("low", "high")]
    expected = np.percentile(scores[:, 0] - scores[:, 1], [2.5, 97.5])
    assert written == pytest.approx(list(expected), abs=EXACT)


@pytest.mark.slow
def test_resampled_scores_are_scikit_learns(images):
    few = 40
    trials = [one for name, one in images.items() if name.endswith("-s0")]
    labels = trials[0].labels
    labels = np.where(labels == 7, 0, labels)  # an expression that no image has
    found = resample(labels[:50], np.stack([one.predicted[:50] for one in trials]), few)
    generator = np.random.default_rng(SEED)
    for number_, places in enumerate(generator.integers(0, 50, (few, 50))):
        for column, one in enumerate(trials):
            pair = labels[places], one.predicted[places]
            assert found.accuracy[number_, column] == pytest.approx(
                metrics.accuracy_score(*pair), abs=EXACT
            )
            assert found.macro_f1[number_, column] == pytest.approx(
                macro_f1(*pair, of=labels[:50]), abs=EXACT
            )


def test_confusion_matrices_and_reliability_bins_are_scikit_learns(results, images):
    assert len(results["confusions"]) == len(images)
    for row in results["confusions"]:
        one = images[f"{row['architecture']}-s{row['seed']}"]
        expected = metrics.confusion_matrix(one.labels, one.predicted, labels=CODES)
        assert row["counts"] == expected.tolist()
    edges = np.linspace(0, 1, 16)
    for name, one in images.items():
        rows = [
            row for row in results["reliability"] if f"{row['architecture']}-s{row['seed']}" == name
        ]
        assert sum(row["images"] for row in rows) == one.labels.size
        confidence = one.probabilities.max(axis=1)
        for row in rows:
            place = int(np.argmin(abs(edges - row["low"])))
            inside = (confidence > edges[place]) & (confidence <= edges[place + 1])
            assert row["images"] == inside.sum()
            assert row["confidence"] == pytest.approx(confidence[inside].mean(), abs=EXACT)
            assert row["accuracy"] == pytest.approx(one.correct[inside].mean(), abs=EXACT)


def test_groups_in_results_json_follow_from_the_pairs(results):
    tests = results["tests"]
    for row in results["comparisons"]:
        names = {row["architecture_a"], row["architecture_b"]}
        assert any(names <= set(group) for group in tests["groups"]) != row["different"]


@pytest.mark.slow
def test_a_report_warns_of_nothing_in_the_libraries(store):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_report(store.root)
