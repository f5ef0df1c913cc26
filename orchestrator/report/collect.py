"""Reads a run directory into plain records: scores, curves, and what does not add up.

Every file may be missing, half there, or from another run: a trial keeps its row then, and the
report says what is wrong with it.
"""

import csv
import json
import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean

from pydantic import JsonValue

from datasets.errors import ConfigError
from orchestrator.report.disagreements import disagreements, mismatches
from orchestrator.report.predictions import Predictions, read_predictions
from orchestrator.report.scores.comparisons import Comparisons
from orchestrator.report.scores.probabilities import ProbabilityScores, score_probabilities
from orchestrator.report.scores.statistics import Scores, score
from orchestrator.run_store import RUN_FILE, RunDocument, RunStore, TrialRecord
from orchestrator.texts import one_line
from trainers.architectures import ARCHITECTURES
from trainers.result import (
    HISTORY_COLUMNS,
    HISTORY_FILE,
    PREDICTIONS_FILE,
    RESULT_FILE,
    TrialResult,
    TrialState,
)


@dataclass(frozen=True)
class EpochRow:
    """One finished epoch, from 1. Accuracies: fractions of 1; losses: nats; NaN where missing."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


def title_of(group: str) -> str:
    """A `TrialReport.group` as people write it; an id that is not ours stays as it is."""
    architecture, comma, variant = group.partition(", ")
    row = ARCHITECTURES.get(architecture)
    return f"{row.title if row else one_line(architecture)}{comma}{one_line(variant)}"


@dataclass(frozen=True)
class TrialReport:
    """A trial with all that its files say.

    `scores` and `predictions` only where finished with whole predictions, `probability_scores`
    where their probabilities are whole too.
    """

    record: TrialRecord
    scores: Scores | None = None
    history: tuple[EpochRow, ...] = ()
    warnings: tuple[str, ...] = ()
    predictions: Predictions | None = None
    probability_scores: ProbabilityScores | None = None
    run: str = ""
    """What its run is called in the report."""
    data_fingerprint: str = ""
    """Of the data that its run is of."""
    variant: str = ""
    """What tells its architecture from the same in another run, where seeds do not."""

    @property
    def result(self) -> TrialResult | None:
        """The trial's own figures, None unless finished."""
        return self.record.result

    @property
    def title(self) -> str:
        """The group as people write it."""
        return title_of(self.group)

    @property
    def group(self) -> str:
        """What its seeds are repetitions of: the architecture, in its run where that matters."""
        return ", ".join(filter(None, (self.record.architecture, self.variant)))

    @property
    def accuracy(self) -> float:
        """Final validation accuracy, from the predictions where possible; NaN unless finished."""
        if self.scores:
            return self.scores.accuracy
        return self.result.accuracy if self.result else math.nan


@dataclass(frozen=True)
class RunSource:
    """One of the run directories that a report is of."""

    label: str
    root: Path
    document: RunDocument
    provenance: dict[str, JsonValue]


@dataclass(frozen=True)
class RunReport:
    """A run with its trials in plan order; or several, see `merge`, each with its own."""

    document: RunDocument
    provenance: dict[str, JsonValue]
    trials: tuple[TrialReport, ...]
    warnings: tuple[str, ...] = field(default=())
    comparisons: Comparisons | None = None
    """Filled by `compare.compared`."""
    sources: tuple[RunSource, ...] = ()

    @property
    def finished(self) -> tuple[TrialReport, ...]:
        """Finished trials, best first; equal ones, and those of different data, in plan order."""
        done = [trial for trial in self.trials if trial.result]
        if not self.same_data:
            return tuple(done)
        return tuple(sorted(done, key=lambda trial: -trial.accuracy))

    @property
    def scored(self) -> tuple[tuple[TrialReport, Scores], ...]:
        """Finished trials whose predictions are whole, with their scores, in the same order."""
        return tuple((trial, trial.scores) for trial in self.finished if trial.scores)

    @property
    def groups(self) -> dict[str, tuple[TrialReport, ...]]:
        """Finished trials by `TrialReport.group`, the highest mean accuracy first.

        Equal ones, and those of different data, in plan order.
        """
        found: dict[str, list[TrialReport]] = defaultdict(list)
        for trial in self.finished:
            found[trial.group].append(trial)
        names = list(found)
        if self.same_data:
            names.sort(key=lambda name: -fmean(trial.accuracy for trial in found[name]))
        return {name: tuple(found[name]) for name in names}

    @property
    def many_seeds(self) -> bool:
        """True when trials are told apart by more than their architecture."""
        return len({trial.record.seed for trial in self.trials}) > 1

    @property
    def same_data(self) -> bool:
        """False where several runs of different data were asked for all the same."""
        return len({source.document.data.fingerprint for source in self.sources}) <= 1

    def source_of(self, trial: TrialReport) -> RunSource:
        """The run that a trial is of."""
        return next(source for source in self.sources if source.label == trial.run)

    def name_of(self, trial: TrialReport) -> str:
        """A trial as tables and figures call it."""
        return f"{trial.title}, seed {trial.record.seed}" if self.many_seeds else trial.title

    def key_of(self, trial: TrialReport) -> str:
        """A trial's own name, and its run where there are several: unique in the report."""
        several = len(self.sources) > 1
        return f"{trial.record.name} (run {trial.run})" if several else trial.record.name


def collect(run_dir: Path, called: str | None = None) -> RunReport:
    """Read a run directory; `ConfigError` where `run.yaml` is missing, damaged or not ours.

    `called` is what the user calls it, where that is not its path.
    """
    store = RunStore(run_dir)
    document = store.read()
    if document is None:
        raise ConfigError(
            f"{called or run_dir} holds no {RUN_FILE}: not a run directory; "
            "name the directory that `fer-orch run-all` was given as --run-dir"
        )
    provenance, warnings = _read_provenance(store.provenance_file)
    label, fingerprint = one_line(document.name), document.data.fingerprint
    trials = tuple(
        replace(_trial_report(store.trial(name), document), run=label, data_fingerprint=fingerprint)
        for name in document.trials
    )
    source = RunSource(label, run_dir, document, provenance)
    return RunReport(document, provenance, trials, warnings, sources=(source,))


def _trial_report(record: TrialRecord, document: RunDocument) -> TrialReport:
    history = read_history(record.directory / HISTORY_FILE)
    if record.result is None:
        return TrialReport(record, history=history)
    warnings = mismatches(record.result, record, document)
    try:
        predictions, scores, probability_scores = _scored(record.directory / PREDICTIONS_FILE)
    except ValueError as error:
        problem = (
            f"{PREDICTIONS_FILE} can't be used ({error}): no interval and no per-class figures; "
            f"accuracy, loss and macro figures are as {RESULT_FILE} states them (one of an earlier "
            "version has macro figures over all eight expressions)"
        )
        return TrialReport(record, None, history, (*warnings, problem))
    warnings = (*warnings, *disagreements(record.result, scores), *predictions.problems)
    return TrialReport(record, scores, history, warnings, predictions, probability_scores)


_Scored = tuple[Predictions, Scores, ProbabilityScores | None]


def _scored(path: Path) -> _Scored:
    """A file with its scores, kept while it stays as it is: a watched run is read every 2 s."""
    try:
        stat = path.stat()
    except OSError:
        return _scored_at(path, ())
    return _scored_at(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=512)
def _scored_at(path: Path, stamp: tuple[int, ...]) -> _Scored:
    predictions = read_predictions(path)
    labels, predicted, rows = predictions.labels, predictions.predicted, predictions.probabilities
    probability_scores = None if rows is None else score_probabilities(labels, predicted, rows)
    return predictions, score(labels, predicted), probability_scores


def read_history(path: Path) -> tuple[EpochRow, ...]:
    """The finished epochs; stops at the first line that is not whole (a writer may be at work)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return ()
    rows: list[EpochRow] = []
    whole, _, _ = text.rpartition("\n")  # a number whose end is missing is still a number
    for record in csv.DictReader(whole.splitlines()):
        try:
            epoch = int(record["epoch"])
            values = {name: _float(record[name]) for name in HISTORY_COLUMNS[1:]}
        except (KeyError, TypeError, ValueError):
            break
        rows.append(EpochRow(epoch, **values))
    return tuple(rows)


def _float(text: str | None) -> float:
    """An empty cell is NaN; None, a cell that the line ends before, is a `ValueError`."""
    if text is None:
        raise ValueError("the line is not whole")
    return float(text or "nan")


def _read_provenance(path: Path) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, (f"{path.name} is missing: versions and hardware of this run are not known",)
    except ValueError:
        return {}, (f"{path.name} can't be read: versions and hardware of this run are not known",)
    if not isinstance(content, dict):
        return {}, (f"{path.name} is not a JSON object: versions and hardware are not known",)
    return content, ()


def states(run: RunReport) -> dict[TrialState, int]:
    """Trials by state, in the order of the states; every state is there."""
    return {state: sum(trial.record.state is state for trial in run.trials) for state in TrialState}
