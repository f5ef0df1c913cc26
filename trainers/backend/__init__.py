"""All that is TensorFlow's or JAX's own. The rest of this package is Keras 3.

`KERAS_BACKEND` chooses when this is imported; `on_jax` needs no TensorFlow, the other modules are
TensorFlow's. `configure` must run before the first operation of the process.
"""

from trainers.backend.environment import (
    FRAMEWORKS,
    Framework,
    allocator_environment,
    check_backend,
    is_on_jax,
    keras_backend,
    keras_environment,
    set_environment,
    versions,
)
from trainers.backend.processor import processor_name

if is_on_jax():
    from trainers.backend.on_jax import (
        Replicas,
        assign_variable,
        configure,
        device_name,
        for_one_image,
        gpu_peak_memory_bytes,
        is_out_of_memory,
        named_device,
        optimizer_class,
        prepare_layers,
        prepare_prediction,
        read_variable,
        settle,
        state_shape,
    )
else:
    from trainers.backend.devices import (
        device_name,
        gpu_peak_memory_bytes,
        is_out_of_memory,
        named_device,
    )
    from trainers.backend.functions import for_one_image, optimizer_class, prepare_layers, settle
    from trainers.backend.process import configure, prepare_prediction
    from trainers.backend.replicas import (  # type: ignore[assignment]  # of the same methods
        Replicas,
        assign_variable,
        read_variable,
        state_shape,
    )

__all__ = [
    "FRAMEWORKS",
    "Framework",
    "Replicas",
    "allocator_environment",
    "assign_variable",
    "check_backend",
    "configure",
    "device_name",
    "for_one_image",
    "gpu_peak_memory_bytes",
    "is_on_jax",
    "is_out_of_memory",
    "keras_backend",
    "keras_environment",
    "named_device",
    "optimizer_class",
    "prepare_layers",
    "prepare_prediction",
    "processor_name",
    "read_variable",
    "set_environment",
    "settle",
    "state_shape",
    "versions",
]
