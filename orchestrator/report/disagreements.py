"""Where a trial's `result.json` does not fit its run or its own predictions."""

import math

from orchestrator.report.scores.statistics import Scores
from orchestrator.run_store import RunDocument, TrialRecord
from trainers.result import PREDICTIONS_FILE, RESULT_FILE, TrialResult


def mismatches(result: TrialResult, record: TrialRecord, document: RunDocument) -> tuple[str, ...]:
    """Where a result is of another trial or of other data than its run."""
    warnings = []
    if result.trial != record.name:
        warnings.append(f"{RESULT_FILE} is that of another trial, {result.trial!r}")
    if result.data_fingerprint != document.data.fingerprint:
        warnings.append(
            f"trained on other data (fingerprint {result.data_fingerprint}) than this run's "
            f"({document.data.fingerprint})"
        )
    return tuple(warnings)


def disagreements(result: TrialResult, scores: Scores) -> tuple[str, ...]:
    """Where a result states another figure than its predictions give (these are printed)."""
    accuracies = [("accuracy", result.accuracy, scores.accuracy)]
    counts = [("validation images", result.validation_images, scores.total)]
    pairs = (*accuracies, *_macro_figures(result, scores), *counts)
    return tuple(
        f"{RESULT_FILE} states {name} {stated:g}, {PREDICTIONS_FILE} gives {counted:g}, used here"
        for name, stated, counted in pairs
        if not math.isclose(stated, counted, abs_tol=1e-6)
    )


def _macro_figures(result: TrialResult, scores: Scores) -> list[tuple[str, float, float]]:
    """Name, what is stated, and what is counted; as it was counted then.

    In results of an earlier version macro figures are means over all eight, whichever occur.
    """
    occurring = sum(one.support > 0 for one in scores.classes) / len(scores.classes)
    figures = []
    for name, stated, counted in (
        ("macro precision", result.macro_precision, scores.macro_precision),
        ("macro recall", result.macro_recall, scores.macro_recall),
        ("macro F1", result.macro_f1, scores.macro_f1),
    ):
        then = counted * occurring
        figures.append(
            (name, stated, then if math.isclose(stated, then, abs_tol=1e-6) else counted)
        )
    return figures
