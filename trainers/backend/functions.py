"""What a model is given that TensorFlow is to run, and the model as a function of one image."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def for_one_image(model: "keras.Model", xla: bool = False) -> Callable[[Any], Any]:
    """The model as a function of one image `[1, height, width, 3]`, traced at its first call.

    It computes in inference mode and changes nothing in the model. `xla` compiles it, as training
    may be.
    """
    import tensorflow as tf

    images = model.inputs[0]
    return tf.function(  # type: ignore[no-any-return]
        lambda batch: model(batch, training=False),
        input_signature=[tf.TensorSpec((1, *images.shape[1:]), images.dtype)],
        jit_compile=xla,
    )


def settle(model: "keras.Model") -> None:
    """Nothing: a model in `fit` holds its variables itself, as on JAX it does not."""


def optimizer_class() -> type["keras.Optimizer"]:
    """Keras' Adam, fused."""
    from trainers.backend.fused import FusedAdam

    return FusedAdam


def prepare_layers(model: "keras.Model") -> None:
    """Fuse what TensorFlow would trace as dozens of operations."""
    from trainers.backend.fused import fuse_batch_norm

    fuse_batch_norm(model)
