"""Names and memory of the devices that TensorFlow computes on."""

from trainers.backend import processor


def is_out_of_memory(error: Exception) -> bool:
    """True for TensorFlow's error when a GPU or the host has no memory left for a tensor."""
    import tensorflow as tf

    return isinstance(error, tf.errors.ResourceExhaustedError)


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
    return processor.processor_name()


def named_device() -> str | None:
    """The model of the GPU, or of the processor where there is no GPU; None where unknown."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return processor.processor_model()
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name")
    return str(name) if name else None
