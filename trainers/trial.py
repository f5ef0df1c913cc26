"""One trial, from its specification to its result files: restore, fit, evaluate, write."""

import logging
import traceback
from contextlib import nullcontext, suppress

from datasets.cache import stage
from datasets.errors import FerOrchError
from trainers import backend
from trainers.books import Books
from trainers.context import TrialContext
from trainers.cores import own_cores
from trainers.interruption import Cause, TrialInterrupted
from trainers.ownership import sole_owner
from trainers.progress import ProgressWriter
from trainers.result import (
    FAILURE_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    TrialFailure,
    TrialResult,
    read_record,
)
from trainers.session import CacheChangedError, Session
from trainers.spec import TrialSpec
from trainers.watchdog import Watchdog
from trainers.writing import write_failure

logger = logging.getLogger(__name__)


def run_trial(spec: TrialSpec, context: TrialContext) -> TrialResult:
    """Run one trial to its end, or go on where its newest checkpoint stands.

    A finished trial returns its stored result and changes nothing. When its surroundings ask for a
    stop, it checkpoints and raises `TrialInterrupted`. An error is written to the books and to
    `failure.json`, and raised again.
    """
    spec.trial_dir.mkdir(parents=True, exist_ok=True)
    with sole_owner(spec.trial_dir), context.attached():
        finished = read_record(spec.trial_dir / RESULT_FILE, TrialResult)
        if finished is not None:
            context.finish()
            return finished
        books = Books(spec.trial_dir, spec.session, spec.shares_gpu)
        try:
            return _attempt(spec, context, books)
        finally:
            books.close()


def _attempt(spec: TrialSpec, context: TrialContext, books: Books) -> TrialResult:
    (spec.trial_dir / FAILURE_FILE).unlink(missing_ok=True)
    books.start()
    with suppress(OSError):  # so that an attempt that crashes at once is counted
        context.publish()
    try:
        backend.configure(spec.threads, spec.recipe.deterministic, spec.gpus)
        return _run(spec, context, books)
    except TrialInterrupted as interrupted:
        books.end(interrupted.cause)
        (spec.trial_dir / PROGRESS_FILE).unlink(missing_ok=True)  # it does not run any more
        raise
    except Exception as error:
        failure = _failure(spec, error)
        with suppress(OSError):  # the storage may be what failed
            ours = isinstance(error, FerOrchError | CacheChangedError)
            books.end(_cause(error), failure.reason, failure.traceback, ours=ours)
            write_failure(spec.trial_dir, failure)
        raise


def _run(spec: TrialSpec, context: TrialContext, books: Books) -> TrialResult:
    progress = ProgressWriter(spec.trial_dir, spec.name, spec.recipe.epochs, books.reached())
    progress.phase("staging")
    data = stage(spec.shards, spec.cache_dir, spec.recipe.image_size, mode=spec.cache_mode)
    progress.phase("building")
    limit_s = 60 * spec.resilience.hang_minutes
    reason = f"no step was finished for {limit_s:.0f} s"
    with (
        nullcontext() if spec.gpus else own_cores(spec.threads),
        Watchdog(limit_s, lambda: _note_hang(context, books, reason)) as watchdog,
    ):
        try:
            session = Session.begin(
                spec, context, data, progress=progress, books=books, watchdog=watchdog
            )
            return _train(session, spec, context)
        finally:
            context.close()  # in here: a write that hangs would keep the process for good


def _train(session: Session, spec: TrialSpec, context: TrialContext) -> TrialResult:
    evaluation = None
    while session.cursor.position.epoch < spec.recipe.epochs:
        session.stop_if_asked()
        logs = session.fit()
        evaluation = session.evaluate()
        session.end_epoch(logs, evaluation)
    result = session.write(evaluation or session.evaluate())
    context.finish()
    return result


def _note_hang(context: TrialContext, books: Books, reason: str) -> None:
    books.end(Cause.HUNG, reason)
    context.publish()


def _cause(error: Exception) -> Cause:
    memory = isinstance(error, MemoryError) or backend.is_out_of_memory(error)
    return Cause.OUT_OF_MEMORY if memory else Cause.FAILED


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
