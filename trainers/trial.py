"""One trial, from its specification to its result files: restore, fit, evaluate, write."""

import logging
import time
import traceback
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from datasets.batches import EvaluationBatches, TrainBatches
from datasets.cache import StagedData, stage
from datasets.images import decoder_name
from trainers import backend
from trainers.architectures import architecture
from trainers.books import Books
from trainers.checkpoint import Checkpoint, Clock, HistoryRow, Identity, Machine, Position
from trainers.context import TrialContext
from trainers.cores import own_cores
from trainers.evaluation import Evaluation, evaluate
from trainers.ownership import sole_owner
from trainers.progress import ProgressWriter
from trainers.result import FAILURE_FILE, RESULT_FILE, TrialFailure, TrialResult, read_record
from trainers.spec import TrialSpec
from trainers.tensorboard_log import TensorBoardLog
from trainers.writing import write_failure, write_history, write_result

if TYPE_CHECKING:
    import keras

    from trainers.fitting import Cursor

logger = logging.getLogger(__name__)


def run_trial(spec: TrialSpec, context: TrialContext) -> TrialResult:
    """Run one trial to its end, or go on where its newest checkpoint stands.

    A finished trial returns its stored result and changes nothing. An error is written to
    `failure.json` and raised again.
    """
    spec.trial_dir.mkdir(parents=True, exist_ok=True)
    with sole_owner(spec.trial_dir):
        finished = read_record(spec.trial_dir / RESULT_FILE, TrialResult)
        if finished is not None:
            context.forget()
            return finished
        (spec.trial_dir / FAILURE_FILE).unlink(missing_ok=True)
        try:
            backend.configure(spec.threads, spec.recipe.deterministic, spec.gpus)
            return _run(spec, context)
        except Exception as error:
            write_failure(spec.trial_dir, _failure(spec, error))
            raise


def _run(spec: TrialSpec, context: TrialContext) -> TrialResult:
    progress = ProgressWriter(spec.trial_dir, spec.name, spec.recipe.epochs)
    progress.phase("staging")
    data = stage(spec.shards, spec.cache_dir, spec.recipe.image_size, mode=spec.cache_mode)
    progress.phase("building")
    with nullcontext() if spec.gpus else own_cores(spec.threads):
        return _train(_Session.begin(spec, context, data, progress), spec, context)


def _train(session: "_Session", spec: TrialSpec, context: TrialContext) -> TrialResult:
    evaluation = None
    while session.cursor.position.epoch < spec.recipe.epochs:
        logs = session.fit()
        evaluation = session.evaluate()
        session.end_epoch(logs, evaluation)
    result = session.write(evaluation or session.evaluate())
    context.forget()
    return result


@dataclass
class _Session:
    """A trial at work. `history` and the cursor are all that moves."""

    spec: TrialSpec
    context: TrialContext
    data: StagedData
    progress: ProgressWriter
    model: "keras.Model"
    train: TrainBatches
    validation: EvaluationBatches
    identity: Identity
    machine: Machine
    books: Books
    log: TensorBoardLog
    cursor: "Cursor"
    history: tuple[HistoryRow, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def begin(
        cls, spec: TrialSpec, context: TrialContext, data: StagedData, progress: ProgressWriter
    ) -> "_Session":
        """Build the model, then restore the newest checkpoint into it."""
        from trainers.fitting import Cursor
        from trainers.model import build_model, compile_model

        train = TrainBatches(data.split("train"), spec.recipe.batch_size, spec.seed)
        progress.plan(train.steps_per_epoch)
        model = build_model(architecture(spec.architecture), spec.recipe, spec.seed)
        compile_model(model, spec.recipe)
        session = cls(
            spec=spec,
            context=context,
            data=data,
            progress=progress,
            model=model,
            train=train,
            validation=EvaluationBatches(
                data.split("validation"), spec.recipe.evaluation_batch_size
            ),
            identity=Identity(spec.name, spec.config_hash, data.manifest.fingerprint),
            machine=Machine(
                backend.device_name(),
                spec.threads,
                backend.versions() | {"decoder": decoder_name()},
            ),
            books=Books(spec.trial_dir),
            log=TensorBoardLog(spec.trial_dir),
            cursor=Cursor(Position(), Clock()),
        )
        session.restore()
        return session

    def restore(self) -> None:
        """Take up the newest checkpoint, if there is one, and open an attempt in the books."""
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
            write_history(self.spec.trial_dir, self.history)
            logger.info("going on at %s", checkpoint.position)
        self.books.start(self.cursor.position, self.train.steps_per_epoch)
        self.progress.phase("compiling", self.cursor.position)

    def fit(self) -> dict[str, float]:
        """Train to the end of the epoch."""
        from trainers.fitting import StepCallback, fit_epoch

        callback = StepCallback(
            self.cursor,
            batches=self.train,
            checkpoint_steps=self.spec.recipe.checkpoint_steps,
            books=self.books,
            progress=self.progress,
            save=self.save,
            preemption_notice=self.context.preemption_notice,
        )
        return fit_epoch(self.model, self.train, self.cursor, callback)

    def evaluate(self) -> Evaluation:
        """Evaluate on the whole validation split."""
        self.progress.phase("evaluating")
        begin = time.perf_counter()
        evaluation = evaluate(self.model, self.validation)
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
        )
        self.history = (*self.history, row)
        self.cursor.position = position
        self.progress.epoch(position, evaluation.accuracy)
        self.save()
        self.books.step(position)
        write_history(self.spec.trial_dir, self.history)
        self.log.epoch(row)
        self.context.report(asdict(row))

    def save(self) -> None:
        """Write a checkpoint of this very position."""
        from trainers.state import read_state

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

    def write(self, evaluation: Evaluation) -> TrialResult:
        """Write the trial's files, `result.json` last."""
        self.progress.phase("saving")
        result = write_result(
            self.spec,
            model=self.model,
            evaluation=evaluation,
            image_ids=self.data.split("validation").image_ids,
            train_images=len(self.data.split("train")),
            steps_per_epoch=self.train.steps_per_epoch,
            history=self.history,
            clock=self.cursor.clock,
            machine=self.machine,
            books=self.books,
            data_fingerprint=self.identity.data_fingerprint,
            notes=self.notes,
        )
        self.books.close()
        self.log.close()
        return result


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


def _failure(spec: TrialSpec, error: Exception) -> TrialFailure:
    from trainers.fitting import DivergedError

    diverged = isinstance(error, DivergedError)
    reason = str(error).strip().splitlines()
    return TrialFailure(
        trial=spec.name,
        state="diverged" if diverged else "failed",
        reason=f"{type(error).__name__}: {reason[0]}" if reason else type(error).__name__,
        traceback=traceback.format_exc(),
        epoch=error.position.epoch + 1 if isinstance(error, DivergedError) else None,
        step=error.position.step if isinstance(error, DivergedError) else None,
    )
