"""One trial on several GPUs: each holds a replica of the model and takes a part of each batch.

TensorFlow's `MirroredStrategy`: a step's gradient is the mean over the whole batch, and batch
normalisation is over each replica's part. One device needs no strategy.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]


class Replicas:
    """The devices that a trial computes on; variables are made in their `scope`.

    `deterministic` adds gradients in the order of the devices.
    """

    def __init__(self, count: int = 1, *, deterministic: bool = False) -> None:
        self.count = count
        self._strategy = _strategy(count, deterministic) if count > 1 else None

    def scope(self) -> AbstractContextManager[Any]:
        """What makes variables one to a device, and lets Keras compute on all devices."""
        return nullcontext() if self._strategy is None else self._strategy.scope()

    def dataset(self, feed: "keras.utils.PyDataset", ahead: int = 2) -> Any:
        """The batches of a feed as a tf.data set, each cut into equal parts, one for each device.

        As many as `ahead` are made before they are asked for. A batch that can't be cut so raises
        `ValueError`.
        """
        if self._strategy is None:
            return _without_autotune(feed, 1, ahead)
        return self._strategy.distribute_datasets_from_function(
            lambda _: _without_autotune(feed, self.count, ahead)
        )

    def batches(self, feed: "keras.utils.PyDataset", ahead: int = 2) -> AbstractContextManager[Any]:
        """`dataset`, as a context: there is nothing to end."""
        return nullcontext(self.dataset(feed, ahead))


def _strategy(count: int, deterministic: bool) -> Any:
    import tensorflow as tf

    # By default, NCCL adds gradients in an order of its own.
    order = tf.distribute.ReductionToOneDevice() if deterministic else None
    return tf.distribute.MirroredStrategy(_devices()[:count], cross_device_ops=order)


def _devices() -> list[str]:
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices("GPU")]


def _without_autotune(feed: "keras.utils.PyDataset", num_parts: int, ahead: int) -> Any:
    """The batches of a feed, in parts, as a tf.data set of known length whose end does not wait.

    Keras would build the same set with tf.data's autotuning on. Its thread sleeps in steps that
    double, up to a minute, and the iterator waits for it before it lets go: up to half of an epoch
    is lost at the epoch's end (ResNet50, 30 s of steps: 16 s). There is nothing to tune here.
    """
    import tensorflow as tf

    def parts() -> Iterator[Any]:
        for place in range(len(feed)):
            yield from zip(*(np.split(array, num_parts) for array in feed[place]), strict=True)

    def spec(array: Any) -> tf.TensorSpec:
        # The last batch of an epoch may be smaller.
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(parts, output_signature=tuple(map(spec, feed[0])))
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_parts * len(feed)))
    return dataset.prefetch(ahead * num_parts).with_options(options)


def read_variable(variable: Any) -> Array:
    """A copy of a Keras variable; `[replicas, ...]` of one that is of each replica's own.

    Metrics add up per replica and are summed when they are read: their sum could not be taken apart
    again into the same bits.
    """
    parts = _own_parts(variable)
    return np.array(variable) if parts is None else np.stack([part.numpy() for part in parts])


def state_shape(variable: Any) -> tuple[int, ...]:
    """The shape of what `read_variable` gives."""
    parts = _own_parts(variable)
    return tuple(variable.shape) if parts is None else (len(parts), *variable.shape)


def assign_variable(variable: Any, array: Array) -> None:
    """Set a Keras variable to what `read_variable` gave."""
    parts = _own_parts(variable)
    if parts is None:
        variable.assign(array)
        return
    for part, value in zip(parts, array, strict=True):
        part.assign(value)


def _own_parts(variable: Any) -> tuple[Any, ...] | None:
    """The replicas' own variables; None where all have the same value."""
    if getattr(variable, "synchronization", None) != "on_read":
        return None
    values = getattr(variable.value, "values", None)
    return None if values is None else tuple(values)
