"""A process for one trial or one model: threads, determinism, its GPUs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from datasets.errors import ConfigError
from trainers.backend.environment import set_environment


def configure(threads: int, deterministic: bool, needed_gpus: float = 0) -> None:
    """Set up the process for one trial: `threads` intra-op threads, and determinism if asked for.

    A trial that was given GPUs which TensorFlow can't see raises `ConfigError`: it would train on
    the CPU for weeks.

    Bit-identity on the CPU needs one inter-op thread and op determinism; without the former
    DenseNet121 differs from run to run. Another number of intra-op threads gives other bits.
    """
    os.environ.pop("TF_USE_LEGACY_KERAS", None)  # Ray Train's helpers set it: Keras 2
    os.environ.pop("TF_CONFIG", None)
    set_environment()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) < needed_gpus:
        raise ConfigError(
            f"the trial has {needed_gpus:g} GPU, but TensorFlow sees {len(gpus) or 'none'}: "
            "install tensorflow[and-cuda] and a driver it supports, or set "
            "resources.gpus_per_trial=0"
        )
    for gpu in gpus:
        # Several trials may share a GPU: take memory as needed, not all of it at once.
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1 if deterministic else 0)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    if not gpus:
        # On the CPU the graph optimizer takes a third of the start of a deep model and gives no
        # faster step (ResNet50 at 80 pixels: 0.78 s with and without). On a GPU it chooses layouts.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def prepare_prediction() -> None:
    """Set up the process to use a model, whatever it has done with TensorFlow before."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    set_environment()
    with _silence():
        import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        with suppress(RuntimeError):  # too late where a tensor is on it already
            tf.config.experimental.set_memory_growth(gpu, True)


@contextmanager
def _silence() -> Iterator[None]:
    """Drop what native code writes to standard error: TensorFlow's greetings heed no log level."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
