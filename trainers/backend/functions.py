"""A model as a function of one image."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


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
