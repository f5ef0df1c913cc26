"""A trial at work: the model, its data, and where it stands between checkpoint and result."""

import logging
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from datasets.batches import EvaluationBatches, TrainBatches
from datasets.cache import StagedData
from datasets.images import decoder_name
from trainers import backend
from trainers.architectures import architecture
from trainers.books import Books
from trainers.cadence import Cadence
from trainers.checkpoint import Checkpoint, Clock, HistoryRow, Identity, Machine, Position
from trainers.checkpoint_writer import persist
from trainers.context import TrialContext, interruption
from trainers.evaluation import Evaluation, evaluate
from trainers.examination import Examination, examine
from trainers.interruption import Cause, TrialInterrupted
from trainers.progress import ProgressWriter
from trainers.result import TrialResult
from trainers.selection import hold_out
from trainers.spec import TrialSpec
from trainers.tensorboard_log import TensorBoardLog
from trainers.watchdog import Watchdog
from trainers.writing import TrainedTrial, write_history, write_result

if TYPE_CHECKING:
    import keras

    from trainers.fitting import Cursor

logger = logging.getLogger(__name__)


class CacheChangedError(RuntimeError):
    """Someone wrote to the staged images: what was learned since the last checkpoint is lost.

    No error of the user's making: starting again verifies the cache, or builds it anew.
    """


@dataclass
class Session:
    """`history` and the cursor are all that moves."""

    spec: TrialSpec
    context: TrialContext
    data: StagedData
    progress: ProgressWriter
    books: Books
    watchdog: Watchdog
    model: "keras.Model"
    replicas: backend.Replicas
    train: TrainBatches
    validation: EvaluationBatches
    selection: EvaluationBatches | None
    identity: Identity
    machine: Machine
    log: TensorBoardLog
    cadence: Cadence
    cursor: "Cursor"
    history: tuple[HistoryRow, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def begin(
        cls,
        spec: TrialSpec,
        context: TrialContext,
        data: StagedData,
        *,
        progress: ProgressWriter,
        books: Books,
        watchdog: Watchdog,
    ) -> "Session":
        """Build the model, then restore the newest checkpoint into it."""
        from trainers.fitting import Cursor
        from trainers.model import compiled_model

        row = architecture(spec.architecture)
        train, validation, selection = _batches(spec, data)
        progress.plan(train.steps_per_epoch)
        watchdog.beat()
        versions = backend.versions() | {"decoder": decoder_name()}
        replicas = backend.Replicas(spec.devices, deterministic=spec.recipe.deterministic)
        session = cls(
            spec=spec,
            context=context,
            data=data,
            progress=progress,
            books=books,
            watchdog=watchdog,
            model=compiled_model(row, spec.recipe, spec.seed, replicas),
            replicas=replicas,
            train=train,
            validation=validation,
            selection=selection,
            identity=Identity(spec.name, spec.config_hash, data.manifest.fingerprint),
            machine=Machine(backend.device_name(), spec.threads, versions),
            log=TensorBoardLog(spec.trial_dir),
            cadence=Cadence(spec.resilience),
            cursor=Cursor(Position(), Clock()),
        )
        session.restore()
        return session

    def restore(self) -> None:
        """Take up the newest checkpoint, if there is one, and say so in the books."""
        from trainers.state import restore_weights

        checkpoint = self.context.restore(self.identity)
        if checkpoint is not None:
            restore_weights(self.model, checkpoint.arrays)
            self.cursor.position = checkpoint.position
            self.cursor.clock = checkpoint.clock
            # Between two epochs they still hold the finished one: the next starts at 0.
            self.cursor.metrics = checkpoint.arrays if checkpoint.position.step else None
            self.history = checkpoint.history
            self.notes = checkpoint.notes + _changes(checkpoint.machine, self.machine)
            self._write_history()
            logger.info("going on at %s", checkpoint.position)
        self.books.restored(self.cursor.position, self.train.steps_per_epoch)
        self.progress.phase("compiling", self.cursor.position)
        self.cadence.saved()

    def fit(self) -> dict[str, float]:
        """Train to the end of the epoch; an interruption leaves a durable checkpoint."""
        from trainers.fitting import StepCallback, fit_epoch

        callback = StepCallback(
            self.cursor,
            batches=self.train,
            cadence=self.cadence,
            save=self.save,
            on_step=self._on_step,
            interruption=lambda ask: interruption(self.context, ask),
        )
        try:
            where, ahead = self.replicas, self.spec.prefetch_batches
            return fit_epoch(self.model, self.train, self.cursor, callback, where, ahead=ahead)
        except TrialInterrupted:
            self.context.flush()
            raise

    def evaluate(self) -> Evaluation:
        """Evaluate on the whole validation split."""
        return self._evaluate(self.validation)

    def _selection_accuracy(self) -> float | None:
        return None if self.selection is None else self._evaluate(self.selection).accuracy

    def _evaluate(self, batches: EvaluationBatches) -> Evaluation:
        self.progress.phase("evaluating")
        begin = time.perf_counter()
        evaluation = evaluate(self.model, batches, on_batch=self.watchdog.beat)
        clock = self.cursor.clock
        seconds = clock.evaluate_s + time.perf_counter() - begin
        self.cursor.clock = replace(clock, evaluate_s=seconds)
        return evaluation

    def end_epoch(self, logs: dict[str, float], evaluation: Evaluation) -> None:
        """Add the epoch to the history, checkpoint, and report it."""
        position = Position(self.cursor.position.epoch + 1, 0)
        row = HistoryRow(
            epoch=position.epoch,
            loss=logs["loss"],
            accuracy=logs["accuracy"],
            val_loss=evaluation.loss,
            val_accuracy=evaluation.accuracy,
            selection_accuracy=self._selection_accuracy(),
        )
        self.history = (*self.history, row)
        self.cursor.position = position
        self.progress.epoch(position, evaluation.accuracy)
        self.save()
        self.books.step(position)
        self._write_history()
        self.log.epoch(row)
        self.context.report({"epoch": row.epoch} | row.figures())

    def stop_if_asked(self) -> None:
        """Raise `TrialInterrupted` when the trial is to stop before it trains on."""
        until = self.spec.until_epoch
        cause = interruption(self.context, ask_machine=True)
        if cause is None and until is not None and self.cursor.position.epoch >= until:
            cause = Cause.STAGE_OVER
        if cause is not None:
            self.context.flush()
            raise TrialInterrupted(cause)

    def save(self) -> None:
        """Hand a checkpoint of this very position to its writer; training stands still for that."""
        from trainers.state import read_state

        begin = time.perf_counter()
        changed = self.data.changed_file()
        if changed is not None:
            raise CacheChangedError(
                f"{changed} was written to while it trained: back to the last checkpoint, with the "
                "cache verified"
            )
        self.context.save(
            Checkpoint(
                identity=self.identity,
                position=self.cursor.position,
                machine=self.machine,
                arrays=read_state(self.model),
                history=self.history,
                clock=self.cursor.clock,
                notes=self.notes,
            )
        )
        self.cadence.saved()
        clock = self.cursor.clock
        seconds = clock.checkpoint_s + time.perf_counter() - begin
        self.cursor.clock = replace(clock, checkpoint_s=seconds)

    def write(self, evaluation: Evaluation) -> TrialResult:
        """Examine the model, then write the trial's files, `result.json` last.

        Storage that fails is tried again.
        """
        examination = examine(
            self.model, self.spec, evaluation.images_per_s, on_progress=self.watchdog.beat
        )
        self.progress.phase("saving")

        def write() -> TrialResult:
            self.watchdog.beat()
            return write_result(self._trained(evaluation, examination))

        self.books.finish()
        result = persist(write, f"writing the result of {self.spec.name}", self._patience_s)
        self.log.close()
        return result

    def _trained(self, evaluation: Evaluation, examination: Examination) -> TrainedTrial:
        return TrainedTrial(
            spec=self.spec,
            model=self.model,
            evaluation=evaluation,
            image_ids=self.data.split("validation").image_ids,
            train_images=self.train.images,
            steps_per_epoch=self.train.steps_per_epoch,
            history=self.history,
            clock=self.cursor.clock,
            machine=self.machine,
            account=self.books.account(),
            data_fingerprint=self.identity.data_fingerprint,
            examination=examination,
            notes=self.notes,
        )

    def _write_history(self) -> None:
        def write() -> None:
            self.watchdog.beat()
            write_history(self.spec.trial_dir, self.history)

        persist(write, f"writing the history of {self.spec.name}", self._patience_s)

    @property
    def _patience_s(self) -> float:
        return 60 * self.spec.resilience.storage_minutes

    def _on_step(self, position: Position) -> None:
        self.watchdog.beat()
        self.books.step(position)
        self.progress.step(position)


def _batches(
    spec: TrialSpec, data: StagedData
) -> tuple[TrainBatches, EvaluationBatches, EvaluationBatches | None]:
    """Of training, of validation, and of the part of training that is held out, if any."""
    recipe = spec.recipe
    trained, held_out = hold_out(data.split("train"), recipe.selection_fraction, spec.seed)
    train = TrainBatches(trained, recipe.batch_size, spec.seed, spec.devices)
    validation = EvaluationBatches(data.split("validation"), recipe.evaluation_batch_size)
    if held_out is None:
        return train, validation, None
    return train, validation, EvaluationBatches(held_out, recipe.evaluation_batch_size)


def _changes(before: Machine, now: Machine) -> tuple[str, ...]:
    """A note for the result when a trial goes on under conditions that can change its bits."""
    was, is_now = asdict(before), asdict(now)
    differing = [
        f"{name} {was[name]!r}, now {is_now[name]!r}" for name in was if was[name] != is_now[name]
    ]
    if not differing:
        return ()
    note = "resumed under other conditions, so not bit-identical: " + "; ".join(differing)
    logger.warning(note)
    return (note,)
