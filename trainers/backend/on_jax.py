"""What Keras leaves open on JAX: the process, its devices, and the state of a model.

No TensorFlow is imported here, so a machine needs none. One device trains a trial; JAX compiles
each step with XLA.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets.errors import ConfigError
from trainers.backend.ahead import made_ahead
from trainers.backend.environment import set_environment
from trainers.backend.processor import processor_model, processor_name

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]

_GPU_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"

# XLA's limit, and its older name; it refuses to have both (`jaxlib/xla_client.py`).
_MEMORY_FRACTION = "XLA_CLIENT_MEM_FRACTION"
_MEMORY_FRACTIONS = (_MEMORY_FRACTION, "XLA_PYTHON_CLIENT_MEM_FRACTION")

# Of the GPU or of the share of it; the rest is for CUDA itself, which each process loads anew.
_OF_A_GPU = 0.95
_OF_A_SHARE = 0.92


def configure(threads: int, deterministic: bool, needed_gpus: float = 0) -> None:
    """Set up the process for one trial: `threads` of XLA on the CPU, and determinism if asked for.

    A trial that was given GPUs which JAX can't see, or more than one, raises `ConfigError`.
    """
    if needed_gpus > 1:
        raise ConfigError(
            f"the trial has {needed_gpus:g} GPUs, and Keras' JAX backend trains it on one: set "
            "resources.gpus_per_trial=1, or KERAS_BACKEND=tensorflow"
        )
    set_environment()
    # XLA's own names (`DefaultThreadPoolSize` in its CPU client); it reads them once.
    os.environ["NPROC"] = str(threads)
    _limit_memory(needed_gpus)
    if deterministic and needed_gpus:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} {_GPU_DETERMINISTIC}".strip()
    if needed_gpus and not _gpus():
        raise ConfigError(
            "the trial has a GPU, but JAX sees none: install jax[cuda12] and a driver it "
            "supports, or set resources.gpus_per_trial=0"
        )


def prepare_prediction() -> None:
    """Set up the process to use a model."""
    set_environment()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def _limit_memory(gpus: float) -> None:
    """Let the process take the memory of its part of a GPU, as needed, where the user says nothing.

    XLA's own limit is three quarters of the GPU, whoever shares it.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if gpus and not any(os.environ.get(name) for name in _MEMORY_FRACTIONS):
        part = gpus * _OF_A_SHARE if gpus < 1 else _OF_A_GPU
        os.environ[_MEMORY_FRACTION] = f"{part:.4f}"


def _gpus() -> list[Any]:
    import jax

    return [device for device in jax.local_devices() if device.platform == "gpu"]


def is_out_of_memory(error: Exception) -> bool:
    """True for XLA's error when a GPU or the host has no memory left for an array."""
    import jax

    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def gpu_peak_memory_bytes() -> int | None:
    """The most that arrays held on the first GPU so far; None where there is none."""
    for gpu in _gpus()[:1]:
        peak = (gpu.memory_stats() or {}).get("peak_bytes_in_use")
        return None if peak is None else int(peak)
    return None


def named_device() -> str | None:
    """The model of the GPU, or of the processor where there is no GPU; None where unknown."""
    gpus = _gpus()
    return str(gpus[0].device_kind) if gpus else processor_model()


def device_name() -> str:
    """The GPU's name, or the processor's where there is none; a general word where unknown."""
    return named_device() or ("GPU" if _gpus() else processor_name())


def for_one_image(model: "keras.Model", xla: bool = True) -> Callable[[Any], Any]:
    """The model as a function of one image `[1, height, width, 3]`, compiled at its first call.

    It computes in inference mode, with the weights of now, and changes nothing in the model. JAX
    compiles whatever `xla` says.
    """
    import jax

    def compute(trainable: list[Any], other: list[Any], images: Any) -> Any:
        outputs, _ = model.stateless_call(trainable, other, images, training=False)
        return outputs

    compiled = jax.jit(compute)
    trainable = [variable.value for variable in model.trainable_variables]
    other = [variable.value for variable in model.non_trainable_variables]
    return lambda images: compiled(trainable, other, images)


def settle(model: "keras.Model") -> None:
    """Give a model in `fit` its variables back: between steps JAX holds them elsewhere."""
    model.jax_state_sync()


def optimizer_class() -> type["keras.Optimizer"]:
    """Keras' own Adam: XLA fuses it."""
    import keras

    return keras.optimizers.Adam  # type: ignore[no-any-return]


def prepare_layers(model: "keras.Model") -> None:
    """Nothing: XLA fuses what layers are made of."""


class Replicas:
    """The one device that a trial computes on."""

    def __init__(self, count: int = 1, *, deterministic: bool = False) -> None:
        if count != 1:
            raise ConfigError("on Keras' JAX backend one device trains a trial")
        self.count = count

    def scope(self) -> AbstractContextManager[Any]:
        """Nothing: see the class."""
        return nullcontext()

    def dataset(self, feed: "keras.utils.PyDataset", ahead: int = 2) -> Any:
        """The batches of a feed; as many as `ahead` are made by a thread before they are asked for.

        Where there are some, the result is to be closed: that ends the thread.
        """
        return made_ahead(feed.__getitem__, len(feed), ahead) if ahead else feed

    def batches(self, feed: "keras.utils.PyDataset", ahead: int = 2) -> AbstractContextManager[Any]:
        """`dataset`, which ends with the context."""
        return closing(self.dataset(feed, ahead)) if ahead else nullcontext(feed)


def read_variable(variable: Any) -> Array:
    """A copy of a Keras variable: the next step reuses its memory."""
    return np.array(variable.value, copy=True)


def state_shape(variable: Any) -> tuple[int, ...]:
    """The shape of what `read_variable` gives."""
    return tuple(variable.shape)


def assign_variable(variable: Any, array: Array) -> None:
    """Set a Keras variable to what `read_variable` gave."""
    variable.assign(array)
