"""What is fused computes what Keras does, and is nowhere in a saved model."""

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from trainers.model import save_for_inference

if TYPE_CHECKING:
    import keras

pytestmark = pytest.mark.slow  # it imports Keras


def test_the_fused_adam_is_keras_adam():
    import keras

    from trainers.backend.fused import FusedAdam

    dice = np.random.default_rng(3)
    start = dice.normal(size=(7, 5)).astype("float32")
    scales = 10.0 ** dice.uniform(-6, 2, (20, 1, 1))
    gradients = (dice.normal(size=(20, 7, 5)) * scales).astype("float32")
    ends = []
    for optimizer in (keras.optimizers.Adam(0.01), FusedAdam(0.01)):
        variable = keras.Variable(start)
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        ends.append([one.numpy() for one in (variable, *optimizer.variables)])
    for plain, ours in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-5, atol=2e-6)
    assert np.abs(ends[0][0] - start).max() > 0.05


def normalising(**options: bool) -> "keras.Model":
    """A model that does nothing but normalise images of 3 channels."""
    import keras

    keras.utils.set_random_seed(1)
    images = keras.Input((5, 4, 3))
    layer = keras.layers.BatchNormalization(
        momentum=0.8,
        epsilon=1e-2,
        gamma_initializer="random_normal",
        beta_initializer="random_normal",
        **options,
    )
    return keras.Model(images, layer(images))


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}])
def test_the_fused_batch_norm_is_keras_batch_norm(options: dict[str, bool]):
    import keras

    from trainers.backend.fused import fuse_batch_norm

    dice = np.random.default_rng(2)
    plain, ours = normalising(**options), normalising(**options)
    fuse_batch_norm(ours)
    for model in (plain, ours):
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
    for _ in range(4):
        images = dice.normal(3.0, 2.0, size=(6, 5, 4, 3)).astype("float32")
        wanted = dice.normal(size=images.shape).astype("float32")
        losses = [model.train_on_batch(images, wanted) for model in (plain, ours)]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for one, other in zip(plain.weights, ours.weights, strict=True):
        np.testing.assert_allclose(other.numpy(), one.numpy(), rtol=1e-4, atol=1e-6)
    moving = ours.layers[1].moving_variance.numpy()
    assert np.abs(moving - 1).max() > 0.5  # it has moved
    answers = [model.predict_on_batch(images) for model in (plain, ours)]
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-4, atol=1e-5)


def test_a_batch_of_one_value_moves_no_variance_out_of_bounds():
    import keras

    from trainers.backend.fused import fuse_batch_norm

    images = keras.Input((1, 1, 3))
    model = keras.Model(images, keras.layers.BatchNormalization(momentum=0.5)(images))
    fuse_batch_norm(model)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model.train_on_batch(np.ones((1, 1, 1, 3), "float32"), np.ones((1, 1, 1, 3), "float32"))
    np.testing.assert_allclose(model.layers[1].moving_variance.numpy(), 0.5)


def test_what_is_not_a_number_stays_none():
    """So that a trial that diverges is seen to."""
    import keras

    from trainers.backend.fused import fuse_batch_norm

    model = normalising()
    fuse_batch_norm(model)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    images = np.zeros((2, 5, 4, 3), "float32")
    images[1, 2, 3, 1] = np.nan
    assert np.isnan(model.train_on_batch(images, np.zeros_like(images)))
    assert np.isnan(model.layers[1].moving_mean.numpy()).tolist() == [False, True, False]
    assert np.isnan(model.predict_on_batch(images)).any()


def test_a_frozen_layer_moves_nothing():
    import keras

    from trainers.backend.fused import fuse_batch_norm

    model = normalising()
    model.layers[1].trainable = False
    fuse_batch_norm(model)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    before = [one.numpy() for one in model.weights]
    images = np.full((2, 5, 4, 3), 7, "float32")
    model.train_on_batch(images, images)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(new.numpy(), old)


def test_the_saved_model_names_keras_own_layers_alone(tmp_path: Path):
    from trainers.backend.fused import fuse_batch_norm

    model = normalising()
    fuse_batch_norm(model)
    save_for_inference(model, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
    (layer,) = [
        one for one in config["config"]["layers"] if one["class_name"] == "BatchNormalization"
    ]
    assert layer["module"] == "keras.layers"
    assert layer["registered_name"] is None
