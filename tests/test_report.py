"""The report's data: every figure recomputed, every state kept, damaged files survived."""

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from datasets.errors import ConfigError, DataError
from datasets.labels import EXPRESSIONS
from orchestrator.report import write_report
from orchestrator.report.collect import collect, read_history
from orchestrator.report.forms.csv_rows import to_csv
from orchestrator.report.results import RunResults, TrialRow
from orchestrator.run_store import RunStore
from tests.made_up_predictions import write_predictions
from tests.made_up_runs import ALL_TRIALS, MIXED_STATES, MadeUpRun, write_run
from trainers.architectures import ARCHITECTURES
from trainers.result import TrialResult, TrialState

REQUIRED_COLUMNS = [
    "architecture",
    "seed",
    "status",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "loss",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "parameters",
    "size_mb",
    "train_images_per_s",
    "train_seconds",
    "restarts",
    "steps_repeated",
    "seconds_lost",
    "checkpoint_seconds",
]
CLASS_COLUMNS = [
    "architecture",
    "seed",
    "expression",
    "support",
    "correct",
    "precision",
    "recall",
    "f1",
    "recall_low",
    "recall_high",
    "predicted",
    "auc",
    "run",
]
SMALL = MadeUpRun(trials=("densenet121-s0", "mobilenetv2-s0"))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def predictions(store: RunStore, trial: str) -> tuple[np.ndarray, np.ndarray]:
    table = pq.read_table(store.trial_dir(trial) / "predictions.parquet").to_pandas()
    return table["label"].to_numpy(), table["predicted"].to_numpy()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    store = write_run(tmp_path_factory.mktemp("mixed"))
    write_report(store.root)
    return store


def test_results_csv_has_one_row_a_trial_in_plan_order_with_empty_metrics_where_unfinished(mixed):
    rows = read_csv(mixed.report_dir / "results.csv")
    assert [name for name in rows[0] if name in REQUIRED_COLUMNS] == REQUIRED_COLUMNS
    assert {row["restarts_by_cause"] for row in rows} == {"", "preempted 1"}
    assert [f"{row['architecture']}-s{row['seed']}" for row in rows] == list(ALL_TRIALS)
    for trial, row in zip(ALL_TRIALS, rows, strict=True):
        state = MIXED_STATES.get(trial, TrialState.FINISHED)
        assert row["status"] == state.value
        filled = {bool(row[column]) for column in REQUIRED_COLUMNS[3:]}
        assert filled == {state is TrialState.FINISHED}
        assert bool(row["reason"]) == (state in (TrialState.FAILED, TrialState.DIVERGED))


def test_no_text_in_csv_begins_as_a_formula(tmp_path):
    for start in ("=", "+", "-", "@", "\t"):
        row = TrialRow(
            architecture="a", seed=0, status=TrialState.FAILED, loss=-1.5, run=f"{start}1+1"
        )
        path = tmp_path / "rows.csv"
        path.write_text(to_csv(TrialRow, [row]), encoding="utf-8")
        (read,) = read_csv(path)
        assert read["run"] == f"'{start}1+1"
        assert read["loss"] == "-1.5"


def test_accuracy_interval_and_macro_figures_equal_scipy_and_scikit_learn(mixed):
    finished = [
        row for row in read_csv(mixed.report_dir / "results.csv") if row["status"] == "finished"
    ]
    assert len(finished) == len(ALL_TRIALS) - len(MIXED_STATES)
    for row in finished:
        labels, predicted = predictions(mixed, f"{row['architecture']}-s0")
        interval = binomtest(int((labels == predicted).sum()), labels.size).proportion_ci(
            0.95, method="wilson"
        )
        macro = precision_recall_fscore_support(
            labels, predicted, labels=range(8), average="macro", zero_division=0
        )
        expected = (accuracy_score(labels, predicted), interval.low, interval.high, *macro[:3])
        columns = [
            "accuracy",
            "accuracy_low",
            "accuracy_high",
            "macro_precision",
            "macro_recall",
            "macro_f1",
        ]
        assert [float(row[column]) for column in columns] == pytest.approx(expected, abs=1e-12)


def test_what_is_not_counted_comes_from_result_json(mixed):
    for row in read_csv(mixed.report_dir / "results.csv"):
        path = mixed.trial_dir(f"{row['architecture']}-s0") / "result.json"
        if row["status"] != "finished":
            assert not path.exists()
            continue
        result = json.loads(path.read_text())
        for column in REQUIRED_COLUMNS[6:7] + REQUIRED_COLUMNS[10:] + ["best_epoch"]:
            assert float(row[column]) == result[column], column


def test_per_class_csv_equals_scikit_learn(mixed):
    rows = read_csv(mixed.report_dir / "per_class.csv")
    assert list(rows[0]) == CLASS_COLUMNS
    assert len(rows) == 8 * (len(ALL_TRIALS) - len(MIXED_STATES))
    for start in range(0, len(rows), 8):
        block = rows[start : start + 8]
        labels, predicted = predictions(mixed, f"{block[0]['architecture']}-s0")
        expected = precision_recall_fscore_support(
            labels, predicted, labels=range(8), zero_division=0
        )
        assert [row["expression"] for row in block] == list(EXPRESSIONS)
        for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
            assert [float(row[name]) for row in block] == pytest.approx(list(values), abs=1e-12)
        hits = labels[labels == predicted]
        assert [int(row["correct"]) for row in block] == np.bincount(hits, minlength=8).tolist()


def test_results_json_obeys_its_schema_and_says_the_same_as_the_csv_files(mixed):
    results = RunResults.model_validate_json((mixed.report_dir / "results.json").read_text())
    assert results.schema_version == 1
    assert results.run == "made-up"
    assert results.config["recipe"]["epochs"] == 5
    assert results.data.classes["validation"] == dict.fromkeys(EXPRESSIONS, 40)
    assert not results.paper_comparable
    for kind, name in (
        (results.trials, "results.csv"),
        (results.per_class, "per_class.csv"),
        (results.comparisons, "comparisons.csv"),
    ):
        rows = read_csv(mixed.report_dir / name)
        assert len(rows) == len(kind)
        for model, row in zip(kind, rows, strict=True):
            dumped = model.model_dump(mode="json")
            assert {
                key: "" if value is None else str(value) for key, value in dumped.items()
            } == row


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes_and_an_equal_report_is_not_rewritten(mixed, tmp_path):
    def state(store: RunStore) -> dict[str, tuple[int, int]]:
        files = sorted(store.report_dir.iterdir())
        return {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in files}

    before = state(mixed)
    assert set(before) == {
        "index.html",
        "report.md",
        "results.csv",
        "per_class.csv",
        "comparisons.csv",
        "results.json",
        "tables.tex",
    }
    write_report(mixed.root)
    assert state(mixed) == before
    other = write_run(tmp_path / "other")
    write_report(other.root)
    for name in before:
        assert (other.report_dir / name).read_bytes() == (mixed.report_dir / name).read_bytes()


@pytest.mark.slow
def test_only_what_changed_is_rewritten(tmp_path):
    store = write_run(tmp_path, SMALL)
    write_report(store.root)
    before = (store.report_dir / "per_class.csv").stat().st_mtime_ns
    path = store.trial_dir("mobilenetv2-s0") / "result.json"
    path.write_text(path.read_text().replace('"restarts": 1', '"restarts": 7'))
    path.write_text(path.read_text().replace('"restarts": 0', '"restarts": 7'))
    write_report(store.root)
    assert read_csv(store.report_dir / "results.csv")[1]["restarts"] == "7"
    assert (store.report_dir / "per_class.csv").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_run_before_its_first_result_has_a_report(tmp_path):
    states = dict.fromkeys(ALL_TRIALS, TrialState.PENDING)
    store = write_run(tmp_path, MadeUpRun(states=states))
    page = write_report(store.root).read_text()
    assert "No trial of this run has finished yet" in page
    assert [row["status"] for row in read_csv(store.report_dir / "results.csv")] == ["pending"] * 14
    assert read_csv(store.report_dir / "per_class.csv") == []


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["missing", "half", "empty", "out of range", "other columns"])
def test_damaged_predictions_cost_the_interval_but_not_the_row(tmp_path, damage):
    store = write_run(tmp_path, SMALL)
    path = store.trial_dir("densenet121-s0") / "predictions.parquet"
    if damage == "missing":
        path.unlink()
    elif damage == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "empty":
        write_predictions(path, np.zeros(0, dtype=int), np.zeros(0, dtype=int))
    elif damage == "out of range":
        table = pq.read_table(path)
        codes = np.full(table.num_rows, 9, dtype=np.int8)
        pq.write_table(table.set_column(2, "predicted", [codes]), path)
    else:
        pq.write_table(pq.read_table(path).drop_columns(["predicted"]), path)
    page = write_report(store.root).read_text()
    row = read_csv(store.report_dir / "results.csv")[0]
    stated = json.loads((path.parent / "result.json").read_text())
    assert (row["status"], row["accuracy_low"], row["accuracy_high"]) == ("finished", "", "")
    assert float(row["accuracy"]) == stated["accuracy"]
    assert "densenet121-s0: predictions.parquet can&#39;t be used" in page
    assert str(tmp_path) not in page
    per_class = read_csv(store.report_dir / "per_class.csv")
    assert {line["architecture"] for line in per_class} == {"mobilenetv2"}


@pytest.mark.slow
def test_a_result_that_contradicts_its_predictions_is_pointed_out(tmp_path):
    store = write_run(tmp_path, SMALL)
    path = store.trial_dir("densenet121-s0") / "result.json"
    result = TrialResult.model_validate_json(path.read_text())
    changed = result.model_copy(update={"accuracy": 0.99, "data_fingerprint": "0bad"})
    path.write_text(changed.model_dump_json())
    write_report(store.root)
    results = RunResults.model_validate_json((store.report_dir / "results.json").read_text())
    labels, predicted = predictions(store, "densenet121-s0")
    assert results.trials[0].accuracy == accuracy_score(labels, predicted)
    assert any("states accuracy 0.99" in text for text in results.warnings)
    assert any("trained on other data (fingerprint 0bad)" in text for text in results.warnings)


@pytest.mark.slow
def test_a_half_written_result_is_not_a_result(tmp_path):
    store = write_run(tmp_path, SMALL)
    path = store.trial_dir("densenet121-s0") / "result.json"
    path.write_text(path.read_text()[:200])
    write_report(store.root)
    rows = read_csv(store.report_dir / "results.csv")
    assert [row["status"] for row in rows] == ["pending", "finished"]


def test_history_stops_at_a_half_written_line_and_keeps_nan(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,accuracy,val_loss,val_accuracy\n1,2.0,0.1,nan,0.2\n2,1.9,0.2\n")
    (row,) = read_history(path)
    assert (row.epoch, row.loss, row.val_accuracy) == (1, 2.0, 0.2)
    assert np.isnan(row.val_loss)
    assert read_history(tmp_path / "none.csv") == ()


@pytest.mark.slow
def test_missing_or_broken_provenance_is_a_warning(tmp_path):
    store = write_run(tmp_path, SMALL)
    for content in (None, "{half", "[1]"):
        store.provenance_file.unlink(missing_ok=True)
        if content is not None:
            store.provenance_file.write_text(content)
        write_report(store.root)
        results = RunResults.model_validate_json((store.report_dir / "results.json").read_text())
        assert results.provenance == {}
        assert any("provenance.json" in text for text in results.warnings)


@pytest.mark.slow
def test_several_seeds_are_told_apart_and_the_best_is_a_mean(tmp_path):
    trials = tuple(f"{name}-s{seed}" for name in ("mobilenet", "xception") for seed in (0, 1, 2))
    store = write_run(tmp_path, MadeUpRun(trials=trials, states={}))
    page = write_report(store.root).read_text()
    rows = read_csv(store.report_dir / "results.csv")
    assert [f"{row['architecture']}-s{row['seed']}" for row in rows] == list(trials)
    means = {
        name: np.mean([float(row["accuracy"]) for row in rows if row["architecture"] == name])
        for name in ("mobilenet", "xception")
    }
    best = max(means, key=lambda name: means[name])
    lead = f"{ARCHITECTURES[best].title} reached the highest validation accuracy: "
    assert f"{lead}{100 * means[best]:.2f} % on average over 3 seeds" in page
    assert "Xception, seed 2" in page


def test_a_directory_that_is_not_a_run_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no run\.yaml.*--run-dir"):
        write_report(tmp_path)
    (tmp_path / "run.yaml").write_text("name: [half")
    with pytest.raises(ConfigError, match=r"run\.yaml can't be read"):
        write_report(tmp_path)


@pytest.mark.slow
def test_a_report_that_cannot_be_written_says_where(tmp_path):
    store = write_run(tmp_path, SMALL)
    store.report_dir.write_text("in the way")
    with pytest.raises(DataError, match=f"can't be written to {store.report_dir}"):
        write_report(store.root)


def test_records_are_read_as_written(tmp_path):
    run = collect(write_run(tmp_path, dataclasses.replace(SMALL, epochs=3)).root)
    assert [trial.record.name for trial in run.trials] == list(SMALL.trials)
    assert [len(trial.history) for trial in run.trials] == [3, 3]
    assert run.finished[0].accuracy >= run.finished[1].accuracy


@pytest.mark.slow
def test_the_report_needs_neither_keras_nor_ray(tmp_path):
    store = write_run(tmp_path, SMALL)
    code = (
        "import sys; from pathlib import Path; from orchestrator.report import write_report\n"
        "write_report(Path(sys.argv[1]))\n"
        "print({name.split('.')[0] for name in sys.modules}"
        " & {'keras', 'tensorflow', 'ray', 'typer'})"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.root)],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
    )
    assert done.stdout.strip() == "set()"
