"""Writes plausible run directories through the real schemas, without training anything.

`write_run(root)` makes all fourteen architectures: ten finished, and one each of failed, diverged,
running and pending. Everything comes from a numpy generator, so equal arguments give equal files.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from datasets.drawn_parameters import Pose
from datasets.files import write_data, write_text
from datasets.labels import EXPRESSIONS
from orchestrator.run_store import RunData, RunDocument, RunStore, split_trial_name, trial_name
from tests.made_up_predictions import probabilities_for, write_predictions
from trainers.architectures import ARCHITECTURES
from trainers.result import (
    FAILURE_FILE,
    HISTORY_COLUMNS,
    HISTORY_FILE,
    PREDICTIONS_FILE,
    PROBES_DIR,
    PROBES_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    ProbeOutcome,
    TrialFailure,
    TrialProbes,
    TrialProgress,
    TrialResult,
    TrialState,
    read_record,
)

FINGERPRINT = "5f0c" * 16
ALL_TRIALS = tuple(trial_name(name, 0) for name in ARCHITECTURES)
MIXED_STATES: dict[str, TrialState] = {
    "resnet152-s0": TrialState.FAILED,
    "nasnetmobile-s0": TrialState.DIVERGED,
    "xception-s0": TrialState.RUNNING,
    "mobilenet-s0": TrialState.PENDING,
}


@dataclass(frozen=True)
class MadeUpRun:
    """What to make up. `states` names the trials that are not finished."""

    name: str = "made-up"
    trials: Sequence[str] = ALL_TRIALS
    states: Mapping[str, TrialState] = field(default_factory=lambda: dict(MIXED_STATES))
    train_images: int = 1280
    validation_images: int = 320
    epochs: int = 5
    seed: int = 0
    recipe: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, int]] | None = None
    reason: str = "ResourceExhaustedError: out of memory while allocating 2.1 GiB"
    notes: Sequence[str] = ()
    probe_source: str = "drawn face"
    fingerprint: str = FINGERPRINT

    def recipe_written(self) -> dict[str, Any]:
        """The recipe in run.yaml."""
        base = {
            "image_size": 64,
            "batch_size": 16,
            "epochs": self.epochs,
            "learning_rate": 0.001,
            "weights": "none",
        }
        return base | dict(self.recipe)

    def class_counts(self) -> dict[str, dict[str, int]]:
        """Balanced unless given."""
        if self.classes is not None:
            return {split: dict(counts) for split, counts in self.classes.items()}
        sizes = {"train": self.train_images, "validation": self.validation_images}
        return {
            split: dict(zip(EXPRESSIONS, _balanced(size).tolist(), strict=True))
            for split, size in sizes.items()
        }


def write_run(root: Path, run: MadeUpRun | None = None) -> RunStore:
    """Write the run directory `root`."""
    run = run or MadeUpRun()
    store = RunStore(root)
    data = RunData(
        shards="data/drawn",
        fingerprint=run.fingerprint,
        image_size=64,
        encoding="jpeg",
        classes=run.class_counts(),
    )
    config = {"preset": "demo", "seeds": [0], "recipe": run.recipe_written()}
    store.write(RunDocument(name=run.name, trials=list(run.trials), config=config, data=data))
    provenance = {
        "python": "3.11.2",
        "versions": {"keras": "3.15.0", "tensorflow": "2.21.0", "ray": "2.60.0"},
        "hardware": {"cpu": "2 cores", "memory_gib": 7.8, "gpus": []},
        "commit": None,
    }
    write_text(store.provenance_file, json.dumps(provenance, indent=2))
    for number, name in enumerate(run.trials):
        rng = np.random.default_rng([run.seed, number])
        state = run.states.get(name, TrialState.FINISHED)
        _WRITERS[state](store.trial_dir(name), name, run, rng)
    return store


def finish(store: RunStore, name: str, **figures: object) -> None:
    """Let a trial of a run be finished, whatever it was; `figures` go to its result."""
    directory = store.trial_dir(name)
    _finished(directory, name, MadeUpRun(), np.random.default_rng(0))
    result = read_record(directory / RESULT_FILE, TrialResult)
    assert result is not None
    text = result.model_copy(update=figures).model_dump_json(indent=2)
    write_text(directory / RESULT_FILE, text)
    (directory / FAILURE_FILE).unlink(missing_ok=True)


def _balanced(size: int) -> np.ndarray:
    counts = np.full(len(EXPRESSIONS), size // len(EXPRESSIONS))
    counts[: size % len(EXPRESSIONS)] += 1
    return counts


def _finished(directory: Path, name: str, run: MadeUpRun, rng: np.random.Generator) -> None:
    from sklearn.metrics import precision_recall_fscore_support

    counts = list(run.class_counts()["validation"].values())
    # The same images for every trial.
    images = np.repeat(np.arange(len(EXPRESSIONS)), counts)
    labels = np.random.default_rng(run.seed).permutation(images)
    hit = rng.random(labels.size) < rng.uniform(0.2, 0.6, len(EXPRESSIONS))[labels]
    predicted = np.where(hit, labels, rng.integers(0, len(EXPRESSIONS), labels.size))
    probabilities = probabilities_for(predicted, rng.spawn(1)[0])
    write_predictions(directory / PREDICTIONS_FILE, labels, predicted, probabilities)
    accuracy = float(np.mean(labels == predicted))
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average="macro", zero_division=0
    )
    history = _history(directory, run.epochs, accuracy, rng)
    architecture, seed = split_trial_name(name)
    known = ARCHITECTURES.get(architecture)
    parameters = known.parameters_1000 - 992 * 1024 if known else 10**6
    seconds = float(rng.uniform(20, 200))
    result = TrialResult(
        trial=name,
        architecture=architecture,
        seed=seed,
        image_size=64,
        batch_size=16,
        epochs=run.epochs,
        steps_per_epoch=-(-run.train_images // 16),
        train_images=run.train_images,
        validation_images=int(labels.size),
        accuracy=accuracy,
        loss=float(history[-1][3]),
        macro_precision=float(precision),
        macro_recall=float(recall),
        macro_f1=float(f1),
        best_epoch=1 + int(np.argmax([row[4] for row in history])),
        best_accuracy=float(max(row[4] for row in history)),
        parameters=parameters,
        size_mb=parameters * 4 / 2**20,
        train_seconds=seconds,
        train_images_per_s=run.train_images * run.epochs / seconds,
        evaluate_seconds=float(rng.uniform(1, 5)),
        restarts=int(restarts := rng.integers(0, 2)),
        restarts_by_cause={"preempted": 1} if restarts else {},
        seconds_lost=float(restarts * 42),
        checkpoint_seconds=1.5,
        steps_repeated=int(rng.integers(0, 9)),
        gflops=parameters / 4e6,
        latency_ms=5 + parameters / 2e6,
        latency_ms_p90=6 + parameters / 2e6,
        throughput_images_per_s=1e9 / parameters,
        peak_memory_mb=900 + parameters / 5e4,
        device_name="Made-up 9000",
        data_fingerprint=run.fingerprint,
        config_hash="c0ffee" * 4,
        device="CPU",
        threads=2,
        versions={"keras": "3.15.0", "tensorflow": "2.21.0"},
        notes=list(run.notes),
    )
    _probes(directory, name, run, rng)
    write_text(directory / RESULT_FILE, result.model_dump_json(indent=2))


def _probes(directory: Path, name: str, run: MadeUpRun, rng: np.random.Generator) -> None:
    """Four pictures, and 64 maps of 8 by 8 pixels of each."""
    outcomes = []
    for pose in Pose:
        probabilities = rng.dirichlet(np.ones(len(EXPRESSIONS))).tolist()
        files = {f"{pose}.png": (64, 64, 3), f"{pose}-maps.png": (71, 71)}
        for file, shape in files.items():
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(stream, "PNG")
            write_data(directory / PROBES_DIR / file, stream.getvalue())
        outcome = ProbeOutcome(
            pose=pose,
            source=run.probe_source,
            image_file=f"{pose}.png",
            maps_file=f"{pose}-maps.png",
            label=1,
            predicted=int(np.argmax(probabilities)),
            probabilities=probabilities,
        )
        outcomes.append(outcome)
    record = TrialProbes(
        trial=name,
        source="drawn",
        image_size=64,
        layer="conv1",
        channels=64,
        map_height=8,
        map_width=8,
        shown_height=8,
        shown_width=8,
        grid_rows=8,
        grid_columns=8,
        gap=1,
        poses=outcomes,
    )
    write_text(directory / PROBES_DIR / PROBES_FILE, record.model_dump_json(indent=2))


def _history(
    directory: Path, epochs: int, accuracy: float, rng: np.random.Generator
) -> list[tuple[float, ...]]:
    """Curves that rise to `accuracy`; returns the rows, epoch first."""
    steps = 1 - np.exp(-3 * np.arange(1, epochs + 1) / epochs)
    noise = rng.normal(0, 0.01, (epochs, 4))
    rows = [
        (
            float(2.1 - 1.1 * rise + jitter[0]),
            float(0.125 + (accuracy - 0.05) * rise + jitter[1]),
            float(2.1 - 0.6 * rise + jitter[2]),
            float(accuracy * rise / steps[-1] + abs(jitter[3])),
        )
        for rise, jitter in zip(steps, noise, strict=True)
    ]
    rows[-1] = (*rows[-1][:3], accuracy)
    lines = [",".join(HISTORY_COLUMNS)]
    lines += [f"{epoch},{','.join(map(repr, row))}" for epoch, row in enumerate(rows, start=1)]
    write_text(directory / HISTORY_FILE, "\n".join(lines) + "\n")
    return [(epoch, *row) for epoch, row in enumerate(rows, start=1)]


def _failed(directory: Path, name: str, run: MadeUpRun, rng: np.random.Generator) -> None:
    failure = TrialFailure(
        trial=name, state=TrialState.FAILED, reason=run.reason, traceback="Traceback: made up"
    )
    write_text(directory / FAILURE_FILE, failure.model_dump_json(indent=2))


def _diverged(directory: Path, name: str, run: MadeUpRun, rng: np.random.Generator) -> None:
    _history(directory, 2, 0.2, rng)
    with (directory / HISTORY_FILE).open("a", encoding="utf-8") as stream:
        stream.write("3,nan,0.125,inf,0.125\n")
    failure = TrialFailure(
        trial=name,
        state=TrialState.DIVERGED,
        reason="the training loss became nan",
        epoch=3,
        step=17,
    )
    write_text(directory / FAILURE_FILE, failure.model_dump_json(indent=2))


def _running(directory: Path, name: str, run: MadeUpRun, rng: np.random.Generator) -> None:
    _history(directory, 2, 0.3, rng)
    progress = TrialProgress(
        trial=name,
        phase="training",
        epoch=2,
        epochs=run.epochs,
        step=31,
        steps_per_epoch=80,
        steps_per_s=4.2,
        accuracy=0.3,
        seconds_left=55.0,
        updated_at=1.8e9,
        host="node-1",
        pid=4242,
    )
    write_text(directory / PROGRESS_FILE, progress.model_dump_json(indent=2))


def _pending(directory: Path, name: str, run: MadeUpRun, rng: np.random.Generator) -> None:
    """Nothing is written before a trial starts."""


_WRITERS = {
    TrialState.FINISHED: _finished,
    TrialState.FAILED: _failed,
    TrialState.DIVERGED: _diverged,
    TrialState.RUNNING: _running,
    TrialState.PENDING: _pending,
}
