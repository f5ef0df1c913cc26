"""From an architecture and a recipe to a compiled Keras model that takes raw images."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import ConfigError
from datasets.labels import NUM_CLASSES
from trainers import backend
from trainers.architectures import Architecture
from trainers.recipe import Recipe
from trainers.weights import find_weights

if TYPE_CHECKING:
    import keras


def compiled_model(
    row: Architecture, recipe: Recipe, seed: int, replicas: backend.Replicas
) -> "keras.Model":
    """`build_model` and `compile_model` for the devices that train it."""
    import keras

    with replicas.scope():
        model = build_model(row, recipe, seed)
    if replicas.count > 1:
        # One that is made in the scope is fed a batch more by each `fit`, to build it again.
        with _dtype_policy(recipe.precision):
            model = keras.Model(model.inputs, model.outputs, name=model.name)
    with replicas.scope():
        compile_model(model, recipe)
    return model


def build_model(row: Architecture, recipe: Recipe, seed: int) -> "keras.Model":
    """The architecture with a new eight-class head, not compiled.

    Input: uint8 RGB `[batch, image_size, image_size, 3]`, values 0 to 255. Output: float32
    probabilities `[batch, 8]` in the order of `datasets.labels.EXPRESSIONS`. The preprocessing of
    the ImageNet weights is inside, made of Keras' own operations, so that the saved file loads
    without this package. All layers train. Weights that don't fit raise `ConfigError`.
    """
    import keras

    path = find_weights(row, recipe.weights)  # a download builds a model: before the seed is set
    keras.utils.set_random_seed(seed)
    module = getattr(keras.applications, row.module)
    images = keras.Input((recipe.image_size, recipe.image_size, 3), dtype="uint8", name="images")
    pixels = module.preprocess_input(keras.ops.cast(images, "float32"))
    with _dtype_policy(recipe.precision):
        features = _features(module, row, path, pixels)
        probabilities = keras.layers.Dense(
            NUM_CLASSES, activation="softmax", dtype="float32", name="expression"
        )(features)
        model = keras.Model(images, probabilities, name=row.id)
    _set_batch_norm_momentum(model, recipe.batch_norm_momentum)
    return model


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Layers and models that are made here compute in this policy."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _features(module: Any, row: Architecture, path: Path | None, pixels: Any) -> Any:
    try:
        with warnings.catch_warnings():
            # Keras only warns when a file fills a part of the layers; the rest would stay random.
            warnings.filterwarnings("error", message=".*freshly-initialized")
            return getattr(module, row.builder)(
                include_top=False,
                weights=None if path is None else str(path),
                input_tensor=pixels,
                pooling="avg",
            ).output
    except (ValueError, OSError, KeyError, UserWarning) as error:
        if path is None:
            raise
        raise ConfigError(
            f"weights {path} don't fit {row.id}: {error}; put a file of {row.id} without its top "
            "there, or choose other recipe.weights"
        ) from error


def _set_batch_norm_momentum(model: "keras.Model", momentum: float | None) -> None:
    import keras

    if momentum is None:
        return
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def compile_model(model: "keras.Model", recipe: Recipe) -> None:
    """Compile, and create every optimizer and metric variable at once.

    A checkpoint can only be restored into variables that exist; and variables born inside the
    first step would make TensorFlow trace that step twice.
    """
    import keras

    backend.prepare_layers(model)
    model.compile(
        optimizer=backend.optimizer_class()(recipe.learning_rate),
        loss=recipe.loss,
        metrics=["accuracy"],
        jit_compile=recipe.xla or backend.is_on_jax(),  # JAX is of no use without
    )
    model.optimizer.build(model.trainable_variables)
    blank = keras.ops.zeros((1, NUM_CLASSES))
    model.compute_metrics(None, blank, blank)
    model.compute_loss(None, blank, blank)
    model.reset_metrics()


def save_for_inference(model: "keras.Model", path: Path) -> None:
    """Write the model without its optimizer; `path` ends in `.keras`."""
    import keras

    keras.Model(model.inputs, model.outputs, name=model.name).save(path)


def count_parameters_1000(row: Architecture) -> int:
    """Parameters of the architecture with its ImageNet head, counted from the built model."""
    import keras

    module = getattr(keras.applications, row.module)
    # Variables without values: the count needs no memory and no initialisation.
    with keras.StatelessScope():
        model = getattr(module, row.builder)(weights=None)
        return int(model.count_params())


def count_activations(model: "keras.Model") -> int:
    """Values that the layers of a model give out for one image, inputs of the model left out."""
    import keras

    outputs = [
        output
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
        for output in keras.tree.flatten(layer.output)
    ]
    return sum(math.prod(output.shape[1:]) for output in outputs)


def count_macs(model: "keras.Model") -> int:
    """Multiply-adds of one image's forward pass: convolutions and dense layers.

    Each output value of a layer takes one multiply-add per weight that feeds it; additions of
    biases, normalisation and activations are left out, as is usual.
    """
    import keras

    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.SeparableConv2D):
            rows, columns = layer.output.shape[1:3]
            total += rows * columns * sum(math.prod(w.shape) for w in layer.weights[:2])
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            rows, columns = layer.output.shape[1:3]
            total += rows * columns * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            total += math.prod(layer.kernel.shape)
    return total
