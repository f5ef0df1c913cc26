"""All that is TensorFlow's own. The rest of this package is Keras 3.

`configure` must run before the first operation of the process. `fused` imports Keras: it is for the
model alone.
"""

from trainers.backend.devices import (
    device_name,
    gpu_peak_memory_bytes,
    is_out_of_memory,
    named_device,
    processor_name,
)
from trainers.backend.environment import (
    allocator_environment,
    keras_environment,
    set_environment,
    versions,
)
from trainers.backend.functions import for_one_image
from trainers.backend.process import configure, prepare_prediction
from trainers.backend.replicas import Replicas, assign_variable, read_variable, state_shape

__all__ = [
    "Replicas",
    "allocator_environment",
    "assign_variable",
    "configure",
    "device_name",
    "for_one_image",
    "gpu_peak_memory_bytes",
    "is_out_of_memory",
    "keras_environment",
    "named_device",
    "prepare_prediction",
    "processor_name",
    "read_variable",
    "set_environment",
    "state_shape",
    "versions",
]
