"""`results.json`, `results.csv`, `per_class.csv` and `comparisons.csv`: the report as data.

`results.json` is a `RunResults`; its fields and their meaning are described below, and
`RunResults.model_json_schema()` gives them as JSON Schema. `schema_version` rises when a field
changes its meaning or goes. A figure that does not exist (a trial that isn't finished, a rate that
is not defined) is null in JSON and empty in CSV. The CSV files hold `TrialRow`, `ClassRow`
and `ComparisonRow`, one column a field, numbers in full precision. A text that begins as a formula
does (=, +, -, @, tab) has an apostrophe before it in CSV.
"""

import math
from typing import Literal

from pydantic import Field, JsonValue

from orchestrator.report import paper
from orchestrator.report.collect import RunReport, TrialReport
from orchestrator.report.comparison import why_not_comparable
from orchestrator.report.comparison_rows import (
    ComparisonRow,
    ConfusionRow,
    ReliabilityRow,
    SeedsRow,
    TestsSummary,
    comparison_rows,
    confusion_rows,
    reliability_rows,
    seeds_rows,
    tests_summary,
)
from orchestrator.report.formats import one_line
from orchestrator.report.rows import Row, finite
from orchestrator.report.scores.probabilities import ProbabilityScores
from orchestrator.report.scores.statistics import Scores
from orchestrator.run_store import RunData
from trainers.result import TrialResult, TrialState

RESULTS_SCHEMA_VERSION: Literal[1] = 1


class TrialRow(Row):
    """One trial. Rates are fractions of 1; every figure is null unless the trial is finished."""

    architecture: str
    seed: int
    status: TrialState
    accuracy: float | None = Field(None, description="of the final epoch, whole validation split")
    accuracy_low: float | None = Field(None, description="Wilson 95 % interval, lower bound")
    accuracy_high: float | None = Field(None, description="Wilson 95 % interval, upper bound")
    loss: float | None = Field(None, description="mean categorical cross-entropy, nats")
    macro_precision: float | None = Field(None, description="unweighted mean of those that occur")
    macro_recall: float | None = Field(None, description="unweighted mean of those that occur")
    macro_f1: float | None = Field(None, description="unweighted mean of those that occur")
    parameters: int | None = Field(None, description="with the eight-class head")
    size_mb: float | None = Field(None, description="parameters as float32, MiB")
    train_images_per_s: float | None = None
    train_seconds: float | None = Field(None, description="in training steps")
    restarts: int | None = None
    restarts_by_cause: str | None = Field(None, description="like `killed 2, preempted 1`")
    steps_repeated: int | None = Field(None, description="steps done again after a restart")
    seconds_lost: float | None = Field(None, description="by restarts, until training was on again")
    checkpoint_seconds: float | None = Field(None, description="training stood still for them")
    best_epoch: int | None = Field(None, description="epoch of the highest validation accuracy")
    best_accuracy: float | None = Field(None, description="chosen on the validation split itself")
    correct: int | None = Field(None, description="validation images predicted correctly")
    validation_images: int | None = None
    selected_epoch: int | None = Field(
        None, description="chosen on a part held out of training; null where there is none"
    )
    selected_accuracy: float | None = Field(None, description="validation accuracy of that epoch")
    device_name: str | None = Field(None, description="model of GPU or processor")
    gflops: float | None = Field(None, description="of one image's forward pass, 1e9 operations")
    latency_ms: float | None = Field(None, description="one image, median, on the trial's device")
    latency_ms_p90: float | None = Field(None, description="one image, 90th percentile")
    throughput_images_per_s: float | None = Field(None, description="prediction, full batches")
    peak_memory_mb: float | None = Field(None, description="of the trial's process, MiB")
    gpu_peak_memory_mb: float | None = Field(None, description="of the trial's GPU, MiB")
    paper_accuracy: float | None = Field(None, description="the paper's, measured on AffectNet")
    paper_accuracy_low: float | None = Field(None, description="its Wilson 95 % bound, 4000 images")
    paper_accuracy_high: float | None = Field(
        None, description="its Wilson 95 % bound, 4000 images"
    )
    reason: str = Field("", description="why a trial failed or diverged, one line")
    weighted_precision: float | None = Field(None, description="mean weighted by support")
    weighted_recall: float | None = Field(None, description="mean weighted by support")
    weighted_f1: float | None = Field(None, description="mean weighted by support")
    balanced_accuracy: float | None = Field(
        None, description="mean recall of the expressions that occur"
    )
    kappa: float | None = Field(None, description="Cohen's, -1 to 1")
    top2_accuracy: float | None = Field(None, description="label among the two most probable")
    top2_accuracy_low: float | None = Field(None, description="Wilson 95 % interval, lower bound")
    top2_accuracy_high: float | None = Field(None, description="Wilson 95 % interval, upper bound")
    auc_macro: float | None = Field(
        None, description="ROC-AUC one against rest, unweighted mean of those that occur"
    )
    log_loss: float | None = Field(None, description="of the probabilities, nats")
    brier: float | None = Field(None, description="over 8 expressions, 0 to 2")
    ece: float | None = Field(None, description="expected calibration error, 15 equal bins")
    run: str = Field("", description="the run that the trial is of")
    data_fingerprint: str = Field("", description="of the data that it was trained on")
    group: str = Field(
        "", description="what comparisons, tests and seeds call it: architecture, run where needed"
    )


class ClassRow(Row):
    """One expression of one finished trial. `recall` is null where no image has the expression."""

    architecture: str
    seed: int
    expression: str
    support: int
    correct: int
    precision: float | None
    recall: float | None
    f1: float | None
    recall_low: float | None = Field(description="Wilson 95 % interval, lower bound")
    recall_high: float | None = Field(description="Wilson 95 % interval, upper bound")
    predicted: int = Field(description="images given the expression")
    auc: float | None = Field(description="ROC-AUC against the rest")
    run: str = ""


class RunRow(Row):
    """One run of a report."""

    name: str
    data: RunData
    config: dict[str, JsonValue]
    provenance: dict[str, JsonValue]


class RunResults(Row):
    """`results.json`."""

    schema_version: Literal[1] = RESULTS_SCHEMA_VERSION
    run: str
    trials: list[TrialRow] = Field(description="in plan order, one a trial, whatever its state")
    per_class: list[ClassRow]
    comparisons: list[ComparisonRow] = Field(description="every two architectures once")
    tests: TestsSummary | None = Field(description="null where nothing can be compared")
    seeds: list[SeedsRow] = Field(description="each architecture over its seeds")
    confusions: list[ConfusionRow]
    reliability: list[ReliabilityRow]
    data: RunData = Field(description="of the first run, as are `config` and `provenance`")
    config: dict[str, JsonValue]
    provenance: dict[str, JsonValue]
    runs: list[RunRow] = Field(description="every run of the report, in the order given")
    same_data: bool = Field(description="all runs have one data fingerprint")
    paper_comparable: bool = Field(
        description="measured on the paper's data, as far as counts tell"
    )
    paper_not_comparable_because: str | None
    warnings: list[str] = Field(description="what does not add up in the run's files")


def by_cause(result: TrialResult) -> str:
    """The restarts of a trial in words; empty where there were none."""
    causes = result.restarts_by_cause.items()
    return ", ".join(f"{cause.replace('_', ' ')} {count}" for cause, count in causes)


def _scored(scores: Scores) -> dict[str, float | int | str | None]:
    copied = (
        "accuracy",
        "macro_precision",
        "macro_recall",
        "macro_f1",
        "correct",
        "weighted_precision",
        "weighted_recall",
        "weighted_f1",
        "balanced_accuracy",
        "kappa",
    )
    return {name: getattr(scores, name) for name in copied} | {
        "accuracy_low": scores.interval.low,
        "accuracy_high": scores.interval.high,
        "validation_images": scores.total,
    }


def _scored_probabilities(scores: ProbabilityScores) -> dict[str, float | int | str | None]:
    copied = ("auc_macro", "log_loss", "brier", "ece")
    return {name: getattr(scores, name) for name in copied} | {
        "top2_accuracy": scores.top2,
        "top2_accuracy_low": scores.top2_interval.low,
        "top2_accuracy_high": scores.top2_interval.high,
    }


def trial_row(trial: TrialReport) -> TrialRow:
    """One trial's row: what its predictions give, and the rest from `result.json`."""
    record, result, scores = trial.record, trial.result, trial.scores
    cells: dict[str, float | int | str | None] = {}
    if result:
        copied = set(TrialRow.model_fields) & set(type(result).model_fields)
        copied -= {"architecture", "seed", "status", "restarts_by_cause"}
        cells = {name: getattr(result, name) for name in copied}
        cells["restarts_by_cause"] = by_cause(result)
    if scores:
        cells |= _scored(scores)
    if trial.probability_scores:
        cells |= _scored_probabilities(trial.probability_scores)
    if printed := paper.accuracies().get(record.architecture):
        cells |= {
            "paper_accuracy": printed.accuracy,
            "paper_accuracy_low": printed.interval.low,
            "paper_accuracy_high": printed.interval.high,
        }
    values = {
        name: finite(value) if isinstance(value, float) else value for name, value in cells.items()
    }
    return TrialRow.model_validate(
        {
            "architecture": record.architecture,
            "seed": record.seed,
            "status": record.state,
            "reason": one_line(record.failure.reason) if record.failure else "",
            "run": trial.run,
            "data_fingerprint": trial.data_fingerprint,
            "group": trial.group,
            **values,
        }
    )


def class_rows(trial: TrialReport) -> list[ClassRow]:
    """The eight rows of a trial with predictions, none for any other."""
    if trial.scores is None:
        return []
    auc = trial.probability_scores.auc if trial.probability_scores else (math.nan,) * 8
    return [
        ClassRow(
            architecture=trial.record.architecture,
            seed=trial.record.seed,
            expression=scores.expression,
            support=scores.support,
            correct=scores.correct,
            precision=finite(scores.precision),
            recall=finite(scores.recall),
            f1=finite(scores.f1),
            recall_low=finite(scores.recall_interval.low),
            recall_high=finite(scores.recall_interval.high),
            predicted=scores.predicted,
            auc=finite(area),
            run=trial.run,
        )
        for scores, area in zip(trial.scores.classes, auc, strict=True)
    ]


def run_results(run: RunReport) -> RunResults:
    """Everything of the run that is data."""
    reason = why_not_comparable(run)
    prefixed = [f"{run.key_of(trial)}: {text}" for trial in run.trials for text in trial.warnings]
    return RunResults(
        run=run.document.name,
        trials=[trial_row(trial) for trial in run.trials],
        per_class=[row for trial in run.trials for row in class_rows(trial)],
        comparisons=comparison_rows(run.comparisons),
        tests=tests_summary(run.comparisons),
        seeds=seeds_rows(run.comparisons),
        confusions=confusion_rows(run),
        reliability=reliability_rows(run),
        data=run.document.data,
        config=run.document.config,
        provenance=run.provenance,
        runs=[
            RunRow(
                name=source.label,
                data=source.document.data,
                config=source.document.config,
                provenance=source.provenance,
            )
            for source in run.sources
        ],
        same_data=run.same_data,
        paper_comparable=reason is None,
        paper_not_comparable_because=reason,
        warnings=[*run.warnings, *prefixed],
    )
