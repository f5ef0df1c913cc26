"""Runs one small trial, whose process a named moment ends.

Files go to FOLDER/trial. MOMENT is where this very process is ended, as `kill -9` would, or asked
to stop:

    kill-step:K         after the K-th step of the trial, counted over its epochs
    stop-step:K         the same, but the trial is asked to stop
    kill-saved:E-S      right after the checkpoint after step S of epoch E (from 0); each checkpoint
                        is awaited
    kill-evaluate:E     in the evaluation of epoch E (from 1), which is half done
    kill-checkpoint:N   in the write of the N-th checkpoint, which is half there
    kill-result:NAME    in the write of one of the result's files
    fail-step:K         an exception after the K-th step
    memory-step:K       the same, for want of memory
    hang-step:K         the K-th step does not end; the watchdog waits 25 seconds
    disk-error:CODE:N   the first N writes of checkpoints fail, for two seconds at most
    spoil-cache:K       another process writes to the staged images after the K-th step
    remove-cache:K      it removes them
    cut-cache:K         it cuts them short
    clock-back:S        the clock is S seconds behind the one of the attempt before
    architecture:NAME   no end: another than the small one of `small_net`
    checkpoints:N       no end: a checkpoint each N steps
    threads:N           no end: it computes on N threads
    devices:N           no end: it trains on N GPUs, which are parts of this processor
    recipe:KEY=VALUE    no end: another value of the recipe
    prefetch:N          no end: so many batches are made ahead
    environment:KEY=VALUE  no end: in the environment of the process
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets import files
from datasets.batches import EvaluationBatches
from tests import small_net
from trainers import backend, checkpoint, checkpoint_store, checkpoint_writer, context, writing
from trainers.backend import replicas
from trainers.books import Books
from trainers.checkpoint import Checkpoint, Position
from trainers.context import LocalContext
from trainers.interruption import STOP_FILE, TrialInterrupted
from trainers.recipe import Recipe
from trainers.resilience import Resilience
from trainers.spec import TrialSpec
from trainers.trial import run_trial

STEPS_PER_EPOCH = 3
EPOCHS = 2
RECIPE = Recipe(
    image_size=32,
    batch_size=8,
    epochs=EPOCHS,
    weights="none",
    batch_norm_momentum=0.8,
    deterministic=True,
    evaluation_batch_size=8,
)


def spec_of(
    shards: Path, folder: Path, hang_s: float = 300, architecture: str = small_net.NAME
) -> TrialSpec:
    """The trial: two epochs of three steps, a checkpoint at each second step."""
    return TrialSpec(
        name=f"{architecture}-s0",
        architecture=architecture,
        seed=0,
        recipe=RECIPE,
        shards=str(shards),
        cache_dir=folder / "cache",
        cache_mode="auto",
        trial_dir=folder / "trial",
        threads=1,
        resilience=Resilience(checkpoint_steps=2, hang_minutes=hang_s / 60, storage_minutes=1 / 30),
    )


def kill() -> None:
    """End this process so that nothing can be caught or tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_step(number: int, act: Callable[[], object]) -> None:
    """Call `act` once the `number`-th step is noted."""
    note = Books.step
    here = Position((number - 1) // STEPS_PER_EPOCH, (number - 1) % STEPS_PER_EPOCH + 1)

    def step(books: Books, position: Position) -> None:
        note(books, position)
        if position == here:
            act()

    Books.step = step  # type: ignore[method-assign]


def once_saved(position: Position) -> None:
    """End the process once the checkpoint of a position is durable."""
    save = LocalContext.save

    def saved(context: LocalContext, checkpoint: Checkpoint) -> None:
        save(context, checkpoint)
        context.flush()
        if checkpoint.position == position:
            kill()

    LocalContext.save = saved  # type: ignore[method-assign]


def in_evaluation(epoch: int) -> None:
    """End the process in the second batch of that epoch's evaluation."""
    get = EvaluationBatches.__getitem__
    begun = 0

    def batch(batches: EvaluationBatches, place: int) -> Any:
        nonlocal begun
        begun += place == 0
        if begun == epoch and place == 1:
            kill()
        return get(batches, place)

    EvaluationBatches.__getitem__ = batch  # type: ignore[method-assign]


def in_checkpoint(number: int) -> None:
    """End the process when half of the `number`-th checkpoint is written."""
    write = np.savez
    written = 0

    def savez(path: Path, **arrays: Any) -> None:
        nonlocal written
        written += 1
        write(path, **arrays)
        if written == number:
            os.truncate(path, path.stat().st_size // 2)
            kill()

    checkpoint.np.savez = savez  # type: ignore[assignment]


def before_marker(number: int) -> None:
    """End the process when the state of the `number`-th checkpoint is stored, and no marker."""
    written = 0

    def write_marker(*words: Any, **options: Any) -> None:
        nonlocal written
        written += 1
        if written == number:
            kill()
        write_bytes(*words, **options)

    write_bytes = checkpoint_store.write_bytes
    checkpoint_store.write_bytes = write_marker  # type: ignore[attr-defined]


def in_result(name: str) -> None:
    """End the process when half of a result's file is written under its temporary name."""
    write = files.write_atomically

    def half(path: Path, fill: Callable[[Path], None]) -> None:
        def fill_half(temporary: Path) -> None:
            fill(temporary)
            os.truncate(temporary, temporary.stat().st_size // 2)
            kill()

        write(path, fill_half if path.name == name else fill)

    files.write_atomically = half  # for `write_text`, in the same module
    writing.write_atomically = half  # type: ignore[attr-defined]
    from trainers import evaluation

    evaluation.write_atomically = half  # type: ignore[attr-defined]


def fail(error: type[BaseException]) -> Callable[[], None]:
    """What raises an error."""

    def act() -> None:
        raise error("a fault that the test wants")

    return act


def on_disk(code: int, times: int) -> None:
    """Let the first `times` writes of a checkpoint fail."""
    write = np.savez
    left = times
    checkpoint_writer._FIRST_PAUSE_S = 0.1

    def savez(path: Path, **arrays: Any) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise OSError(code, os.strerror(code))
        write(path, **arrays)

    checkpoint.np.savez = savez  # type: ignore[assignment]


def cached(spec: TrialSpec) -> Path:
    """The staged training images."""
    (path,) = spec.cache_dir.glob("*/train.*")
    return path


def spoil(spec: TrialSpec) -> None:
    """Turn over bits in the middle of the staged images, in place."""
    with cached(spec).open("r+b") as stream:
        stream.seek(cached(spec).stat().st_size // 2)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 255]))


def set_back(seconds: float) -> None:
    """Let the wall clock be behind."""
    now = time.time
    time.time = lambda: now() - seconds


def on_devices(count: int) -> None:
    """Let logical devices of the processor stand for GPUs."""
    configure = backend.configure

    def configure_cpus(threads: int, deterministic: bool, needed_gpus: float) -> None:
        import tensorflow as tf

        configure(threads, deterministic)
        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * count
        tf.config.set_logical_device_configuration(cpu, parts)

    backend.configure = configure_cpus
    replicas._devices = lambda: [f"CPU:{number}" for number in range(count)]


def at_steps(spec: TrialSpec) -> dict[str, Callable[[], object]]:
    """What can happen after a step, by kind."""
    return {
        "kill-step": kill,
        "stop-step": (spec.trial_dir / STOP_FILE).touch,
        "fail-step": fail(RuntimeError),
        "memory-step": fail(MemoryError),
        "hang-step": lambda: time.sleep(600),
        "spoil-cache": lambda: spoil(spec),
        "remove-cache": lambda: shutil.rmtree(spec.cache_dir),
        "cut-cache": lambda: os.truncate(cached(spec), 4096),
    }


def arrange(moment: str, spec: TrialSpec) -> None:
    """Set up what happens at a moment."""
    kind, _, where = moment.partition(":")
    act = at_steps(spec).get(kind)
    if act is not None:
        at_step(int(where), act)
    elif kind == "kill-saved":
        once_saved(Position(*map(int, where.split("-"))))
    elif kind == "kill-evaluate":
        in_evaluation(int(where))
    elif kind == "kill-checkpoint":
        in_checkpoint(int(where))
    elif kind == "kill-marker":
        before_marker(int(where))
    elif kind == "kill-result":
        in_result(where)
    elif kind == "disk-error":
        code, times = where.split(":")
        on_disk(int(code), int(times))
    elif kind == "devices":
        on_devices(int(where))
    elif kind == "environment":
        name, _, value = where.partition("=")
        os.environ[name] = value
    elif kind in {"recipe", "architecture", "prefetch", "checkpoints", "threads"}:
        pass  # it is in the specification already
    elif kind == "clock-back":
        set_back(float(where))
    else:
        raise ValueError(moment)


class KeepingContext(LocalContext):
    """Leaves the last checkpoint's arrays in FOLDER: no result file holds the optimizer."""

    def __init__(self, spec: TrialSpec) -> None:
        super().__init__(spec.trial_dir, spec.resilience)
        self._folder = spec.trial_dir.parent

    def finish(self) -> None:
        """See `TrialContext`."""
        self.flush()
        for newest in self._store.names()[:1]:
            with self._store.folder.local(f"{newest}/{checkpoint_store.STATE_FILE}") as path:
                arrays = checkpoint.read_checkpoint(path).arrays
            state = b"".join(arrays[name].tobytes() for name in sorted(arrays))
            (self._folder / "state").write_bytes(state)
        super().finish()


def asked_for(shards: Path, folder: Path, moments: list[str]) -> TrialSpec:
    """The trial as the moments that are no end want it."""
    told = dict(one.split(":", 1) for one in moments)
    spec = spec_of(
        shards,
        folder,
        hang_s=25 if "hang-step" in told else 300,
        architecture=told.get("architecture", small_net.NAME),
    )
    kinds = [one.partition(":") for one in moments]
    chosen = [where.split("=", 1) for kind, _, where in kinds if kind == "recipe"]
    return replace(
        spec,
        gpus=int(told.get("devices", 0)),
        threads=int(told.get("threads", spec.threads)),
        resilience=spec.resilience.model_copy(
            update={"checkpoint_steps": int(told.get("checkpoints", 2))}
        ),
        recipe=Recipe.model_validate(spec.recipe.model_dump() | dict(chosen)),
        prefetch_batches=int(told.get("prefetch", spec.prefetch_batches)),
    )


def main(shards: Path, folder: Path, moments: list[str]) -> int:
    """Run the trial; the exit code of a process that did nothing else."""
    small_net.register()
    spec = asked_for(shards, folder, moments)
    (spec.trial_dir / STOP_FILE).unlink(missing_ok=True)
    context._LOOK_EVERY_S = 0.0  # a stop is seen after the very step
    for one in moments:
        arrange(one, spec)
    try:
        run_trial(spec, KeepingContext(spec))
    except TrialInterrupted:
        return 3
    return 0
