"""Writes a trial's files; `result.json` comes last and means finished."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.files import write_atomically, write_text
from trainers.books import Account
from trainers.checkpoint import Clock, HistoryRow, Machine
from trainers.evaluation import Evaluation, write_predictions
from trainers.examination import Examination
from trainers.model import save_for_inference
from trainers.result import (
    FAILURE_FILE,
    HISTORY_COLUMNS,
    HISTORY_FILE,
    MODEL_FILE,
    PREDICTIONS_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    SELECTION_COLUMN,
    TrialFailure,
    TrialResult,
)
from trainers.spec import TrialSpec

if TYPE_CHECKING:
    import keras

_BYTES_PER_FLOAT32 = 4


@dataclass(frozen=True)
class TrainedTrial:
    """A trial at the end of its training: all that its result is made of.

    `image_ids` are those of the validation split, in its order.
    """

    spec: TrialSpec
    model: "keras.Model"
    evaluation: Evaluation
    image_ids: Sequence[str]
    train_images: int
    steps_per_epoch: int
    history: Sequence[HistoryRow]
    clock: Clock
    machine: Machine
    account: Account
    data_fingerprint: str
    examination: Examination
    notes: Sequence[str]


def write_result(trained: TrainedTrial) -> TrialResult:
    """Write history, predictions, model and probes, then the result."""
    result = _result(trained)
    directory = trained.spec.trial_dir
    write_history(directory, trained.history)
    write_predictions(directory / PREDICTIONS_FILE, trained.image_ids, trained.evaluation)
    write_atomically(directory / MODEL_FILE, lambda path: save_for_inference(trained.model, path))
    if trained.examination.probes is not None:
        trained.examination.probes.write(directory)
    write_text(directory / RESULT_FILE, result.model_dump_json(indent=2) + "\n")
    (directory / PROGRESS_FILE).unlink(missing_ok=True)
    return result


def _result(trained: TrainedTrial) -> TrialResult:
    spec, clock, account = trained.spec, trained.clock, trained.account
    parameters = int(trained.model.count_params())
    return TrialResult(
        trial=spec.name,
        architecture=spec.architecture,
        seed=spec.seed,
        image_size=spec.recipe.image_size,
        batch_size=spec.recipe.batch_size,
        epochs=spec.recipe.epochs,
        steps_per_epoch=trained.steps_per_epoch,
        train_images=trained.train_images,
        **_accuracies(trained.evaluation, trained.history),
        parameters=parameters,
        size_mb=parameters * _BYTES_PER_FLOAT32 / 2**20,
        train_seconds=clock.train_s,
        train_images_per_s=clock.rated_images / clock.rated_s if clock.rated_s else None,
        evaluate_seconds=clock.evaluate_s,
        checkpoint_seconds=clock.checkpoint_s,
        restarts=account.restarts,
        restarts_by_cause=account.restarts_by_cause,
        steps_repeated=account.steps_repeated,
        seconds_lost=account.seconds_lost,
        **asdict(trained.examination.costs),
        data_fingerprint=trained.data_fingerprint,
        config_hash=spec.config_hash,
        device=trained.machine.device,
        threads=trained.machine.threads,
        versions=trained.machine.versions,
        notes=[*trained.notes, *trained.examination.notes],
    )


def _accuracies(evaluation: Evaluation, history: Sequence[HistoryRow]) -> dict[str, Any]:
    """The fields of a result that tell how good its model is, now and in earlier epochs."""
    precision, recall, f1 = evaluation.macro()
    best = max(history, key=lambda row: (row.val_accuracy, -row.epoch))
    selected = _selected(history)
    return {
        "validation_images": len(evaluation.labels),
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": f1,
        "best_epoch": best.epoch,
        "best_accuracy": best.val_accuracy,
        "selected_epoch": selected.epoch if selected else None,
        "selected_accuracy": selected.val_accuracy if selected else None,
    }


def _selected(history: Sequence[HistoryRow]) -> HistoryRow | None:
    """The epoch that the held-out part of training chooses: the first of the best."""
    rows = [row for row in history if row.selection_accuracy is not None]
    return max(rows, key=lambda row: (row.selection_accuracy, -row.epoch), default=None)


def write_history(directory: Path, history: Sequence[HistoryRow]) -> None:
    """Write `history.csv`: the finished epochs, also of a trial that is still running."""
    write_text(directory / HISTORY_FILE, _history_csv(history))


def _history_csv(history: Sequence[HistoryRow]) -> str:
    text = io.StringIO()
    selects = any(row.selection_accuracy is not None for row in history)
    columns = (*HISTORY_COLUMNS, SELECTION_COLUMN) if selects else HISTORY_COLUMNS
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in history:
        # repr of a float is exact: reading the file gives the same bits back.
        figures = {name: repr(value) for name, value in row.figures().items()}
        writer.writerow({"epoch": row.epoch} | figures)
    return text.getvalue()


def write_failure(directory: Path, failure: TrialFailure) -> None:
    """Write `failure.json`; the trial's checkpoints stay for the next start."""
    write_text(directory / FAILURE_FILE, failure.model_dump_json(indent=2) + "\n")
    (directory / PROGRESS_FILE).unlink(missing_ok=True)
