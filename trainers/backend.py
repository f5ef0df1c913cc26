"""What is TensorFlow's own: threads, determinism, device names. Keras' own work is `fused`'s part.

`configure` must run before the first operation of the process.
"""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from datasets.errors import ConfigError

if TYPE_CHECKING:
    import keras


_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def keras_environment() -> dict[str, str]:
    """Environment that a process needs before it imports Keras.

    TensorFlow uses oneDNN by itself only on processors with instructions for neural networks, as
    AVX-512 VNNI (`DefaultOneDnnPolicy` in its `util_port.cc`). Without them it is twice as fast as
    Eigen too (AMD EPYC 7003, ResNet152 at 76 pixels, batch 8, one core: 1.4 s a step, 3.0 s
    without), and one library on all leaves fewer causes for other bits.
    """
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    if platform.machine() in {"x86_64", "AMD64"}:
        environment[_ONEDNN] = os.environ.get(_ONEDNN, "1")
    return environment


def set_environment() -> None:
    """Give this process `keras_environment`, where it has no other values."""
    for name, value in keras_environment().items():
        os.environ.setdefault(name, value)


def allocator_environment() -> dict[str, str]:
    """Environment that a trial's process must be started with, so that freed memory stays its own.

    TensorFlow frees and allocates each tensor of a step anew. glibc gives such memory back to the
    system each time, and to fault it in again takes a fifth of a step on the CPU (ResNet152 at 76
    pixels, batch 8: 1.23 s a step, 1.00 s with this). Other C libraries ignore it.
    """
    return {
        "MALLOC_ARENA_MAX": "1",  # Arenas of threads are given back whatever the threshold.
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    }


def configure(threads: int, deterministic: bool, needed_gpus: float = 0) -> None:
    """Set up the process for one trial: `threads` intra-op threads, and determinism if asked for.

    A trial that was given a GPU which TensorFlow can't see raises `ConfigError`: it would train on
    the CPU for weeks.

    Bit-identity on the CPU needs one inter-op thread and op determinism; without the former
    DenseNet121 differs from run to run. Another number of intra-op threads gives other bits.
    """
    os.environ.pop("TF_USE_LEGACY_KERAS", None)  # Ray Train's helpers set it: Keras 2
    os.environ.pop("TF_CONFIG", None)
    set_environment()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if needed_gpus and not gpus:
        raise ConfigError(
            f"the trial has {needed_gpus:g} GPU, but TensorFlow sees none: install "
            "tensorflow[and-cuda] and a driver it supports, or set resources.gpus_per_trial=0"
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
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def without_autotune(feed: "keras.utils.PyDataset") -> Any:
    """The batches of a feed as a tf.data set of known length whose end does not wait.

    Keras would build the same set with tf.data's autotuning on. Its thread sleeps in steps that
    double, up to a minute, and the iterator waits for it before it lets go: up to half of an epoch
    is lost at the epoch's end (ResNet50, 30 s of steps: 16 s). There is nothing to tune here.
    """
    import tensorflow as tf

    def batches() -> Iterator[Any]:
        return (feed[place] for place in range(len(feed)))

    def spec(array: Any) -> tf.TensorSpec:
        # The last batch of an epoch may be smaller.
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(batches, output_signature=tuple(map(spec, feed[0])))
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(feed)))
    return dataset.prefetch(2).with_options(options)


def is_out_of_memory(error: Exception) -> bool:
    """True for TensorFlow's error when a GPU or the host has no memory left for a tensor."""
    import tensorflow as tf

    return isinstance(error, tf.errors.ResourceExhaustedError)


def for_one_image(model: "keras.Model") -> Callable[[Any], Any]:
    """The model as a function of one image `[1, height, width, 3]`, traced at its first call.

    It computes in inference mode and changes nothing in the model.
    """
    import tensorflow as tf

    images = model.inputs[0]
    return tf.function(  # type: ignore[no-any-return]
        lambda batch: model(batch, training=False),
        input_signature=[tf.TensorSpec((1, *images.shape[1:]), images.dtype)],
        jit_compile=False,  # as in training
    )


def gpu_peak_memory_bytes() -> int | None:
    """The most that TensorFlow's tensors held on the first GPU so far; None where there is none."""
    import tensorflow as tf

    if not tf.config.list_logical_devices("GPU"):
        return None
    try:
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    except (ValueError, KeyError, tf.errors.OpError):  # an allocator that keeps no account
        return None


def device_name() -> str:
    """The GPU's name, or the processor's where there is none; a general word where unknown."""
    import tensorflow as tf

    named = named_device()
    if named is not None:
        return named
    if tf.config.list_physical_devices("GPU"):
        return "GPU"
    return processor_name()


def processor_name() -> str:
    """The processor's model name, else the machine type."""
    return _processor_model() or platform.processor() or platform.machine()


def named_device() -> str | None:
    """The model of the GPU, or of the processor where there is no GPU; None where unknown."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return _processor_model()
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name")
    return str(name) if name else None


def _processor_model() -> str | None:
    """What `/proc/cpuinfo` calls the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    name = line.partition(":")[2].strip()
                    return None if name.casefold() in ("", "unknown") else name
    except OSError:
        pass
    return None


def versions() -> dict[str, str]:
    """Versions of what decides the bits of a result."""
    found = {"python": platform.python_version()}
    onednn = keras_environment().get(_ONEDNN)
    if onednn is not None:
        found["oneDNN"] = "off" if onednn.casefold() in {"0", "false"} else "on"
    for package in ("tensorflow", "keras", "numpy", "fer-orch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
