"""Environment of a process that is to use Keras, and the versions that decide a result's bits."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from datasets.errors import ConfigError

_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


@dataclass(frozen=True)
class Framework:
    """What Keras computes with: its title, its packages, and what to install for GPUs."""

    title: str
    packages: tuple[str, ...]
    for_gpus: str


FRAMEWORKS = {
    "tensorflow": Framework("TensorFlow", ("tensorflow",), "fer-orch[gpu]"),
    "jax": Framework("JAX", ("jax", "jaxlib"), "jax[cuda12]"),
}
"""By their values of `KERAS_BACKEND`."""


def is_on_jax() -> bool:
    """Whether Keras is to compute with JAX here."""
    return os.environ.get("KERAS_BACKEND") == "jax"


def keras_backend() -> str:
    """What Keras is to compute with here, a key of `FRAMEWORKS`; else raises `ConfigError`."""
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in FRAMEWORKS:
        raise ConfigError(f"KERAS_BACKEND is {name!r}; valid: {', '.join(FRAMEWORKS)}")
    return name


def check_backend() -> None:
    """Raise `ConfigError` where what `KERAS_BACKEND` names is unknown or not installed."""
    name = keras_backend()
    if find_spec(name) is None:
        raise ConfigError(
            f"KERAS_BACKEND is {name!r}, which is not installed: install fer-orch[{name}], or "
            "leave KERAS_BACKEND out"
        )


def keras_environment() -> dict[str, str]:
    """Environment that a process needs before it imports Keras.

    TensorFlow uses oneDNN by itself only on processors with instructions for neural networks, as
    AVX-512 VNNI (`DefaultOneDnnPolicy` in its `util_port.cc`). Without them it is twice as fast as
    Eigen too (AMD EPYC 7003, ResNet152 at 76 pixels, batch 8, one core: 1.4 s a step, 3.0 s
    without), and one library on all leaves fewer causes for other bits.
    """
    environment = {"KERAS_BACKEND": keras_backend()}
    if environment["KERAS_BACKEND"] != "tensorflow":
        return environment
    environment["TF_CPP_MIN_LOG_LEVEL"] = "2"
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


def versions() -> dict[str, str]:
    """Versions of what decides the bits of a result."""
    found = {"python": platform.python_version()}
    onednn = keras_environment().get(_ONEDNN)
    if onednn is not None:
        found["oneDNN"] = "off" if onednn.casefold() in {"0", "false"} else "on"
    for package in (*FRAMEWORKS[keras_backend()].packages, "keras", "numpy", "fer-orch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
