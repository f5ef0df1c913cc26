import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from datasets.errors import ConfigError
from tests import small_net
from trainers.architectures import Preprocessing, architecture
from trainers.model import build_model, compile_model, save_for_inference
from trainers.recipe import RECIPES, Recipe
from trainers.weights import find_weights, keras_cache

pytestmark = pytest.mark.slow  # it imports Keras

SMALL = RECIPES["demo"].model_copy(update={"image_size": 80})


def images(count: int = 3, size: int = 80) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


# Each of Keras' three kinds of preprocessing: caffe, torch, tf.
@pytest.mark.parametrize(
    "name",
    [
        "resnet50",
        "densenet121",
        "mobilenetv2",
    ],
)
def test_raw_images_are_preprocessed_inside_as_keras_does(name: str):
    import keras

    row = architecture(name)
    model = build_model(row, SMALL, seed=0)
    module = getattr(keras.applications, row.module)
    plain = getattr(module, row.builder)(
        include_top=False, weights=None, input_shape=(80, 80, 3), pooling="avg"
    )
    *inner, kernel, bias = model.get_weights()
    plain.set_weights(inner)
    features = plain.predict(module.preprocess_input(images().astype("float32")), verbose=0)
    logits = features @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(images(), verbose=0), expected, atol=1e-5)


def test_all_layers_train_and_the_head_is_float32():
    model = build_model(architecture("mobilenet"), SMALL, seed=0)
    assert all(layer.trainable for layer in model.layers)
    assert model.output.shape == (None, 8)
    assert model.output.dtype == "float32"
    assert model.input.dtype == "uint8"


def test_the_seed_decides_the_first_weights():
    one, same, other = (build_model(architecture("mobilenet"), SMALL, seed) for seed in (1, 1, 2))
    for left, right in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    assert any(
        not np.array_equal(left, right)
        for left, right in zip(one.get_weights(), other.get_weights(), strict=True)
    )


def test_batch_norm_momentum_is_the_recipes_or_the_architectures_own():
    import keras

    def momenta(recipe: Recipe) -> set[float]:
        model = build_model(architecture("mobilenetv2"), recipe, seed=0)
        return {
            layer.momentum
            for layer in model.layers
            if isinstance(layer, keras.layers.BatchNormalization)
        }

    assert momenta(SMALL) == {SMALL.batch_norm_momentum}
    assert momenta(SMALL.model_copy(update={"batch_norm_momentum": None})) == {0.999}


def test_compiling_makes_every_variable_at_once():
    model = build_model(architecture("mobilenet"), SMALL, seed=0)
    compile_model(model, SMALL)
    before = len(model.variables), len(model.optimizer.variables), len(model.metrics_variables)
    assert before[2] > 0
    model.train_on_batch(images(), np.eye(8, dtype=np.float32)[:3])
    after = len(model.variables), len(model.optimizer.variables), len(model.metrics_variables)
    assert before == after


def test_the_saved_model_needs_plain_keras_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With each kind of preprocessing in it."""

    monkeypatch.setattr(small_net, "ARCHITECTURES", {})  # this process' table stays as it is
    small_net.register()
    kinds: tuple[Preprocessing, ...] = ("caffe", "tf", "torch")
    for kind in kinds:
        model = build_model(replace(small_net.ROW, preprocessing=kind), SMALL, seed=0)
        save_for_inference(model, tmp_path / f"{kind}.keras")
        np.savez(tmp_path / f"{kind}.npz", x=images(), p=model.predict(images(), verbose=0))
    script = (
        "import sys, keras, numpy as np\n"
        "for kind in sys.argv[1:]:\n"
        "    stored = np.load(f'{kind}.npz')\n"
        "    found = keras.models.load_model(f'{kind}.keras').predict(stored['x'], verbose=0)\n"
        "    assert not {'trainers', 'datasets', 'orchestrator'} & set(sys.modules)\n"
        "    np.testing.assert_allclose(found, stored['p'], atol=1e-6, err_msg=kind)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, *kinds],
        cwd=tmp_path,
        check=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def test_an_unknown_architecture_lists_the_valid_ones():
    with pytest.raises(ConfigError, match=r"'vgg16'.*mobilenetv2"):
        architecture("vgg16")


def save_as_keras_did(model, path: Path) -> None:
    """The older format, in which Keras' own ImageNet files are."""

    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


@pytest.mark.parametrize("old_format", [False, True])
def test_weights_from_a_directory_are_loaded(old_format: bool, tmp_path: Path):
    import keras

    row = architecture("mobilenet")
    source = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(96, 96, 3), pooling="avg"
    )
    if old_format:
        save_as_keras_did(source, tmp_path / row.weights_file)
    else:
        source.save_weights(tmp_path / "mobilenet.weights.h5")
    recipe = SMALL.model_copy(update={"weights": str(tmp_path)})
    model = build_model(row, recipe, seed=0)
    for ours, theirs in zip(model.get_weights()[:-2], source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_of_another_architecture_are_refused_by_name(tmp_path: Path):
    import keras

    keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(96, 96, 3)
    ).save_weights(tmp_path / "mobilenet.weights.h5")
    recipe = SMALL.model_copy(update={"weights": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"mobilenet\.weights\.h5 don't fit mobilenet"):
        build_model(architecture("mobilenet"), recipe, seed=0)


def test_a_broken_weight_file_is_refused_by_name(tmp_path: Path):
    (tmp_path / "mobilenet.weights.h5").write_bytes(b"not a file of weights")
    recipe = SMALL.model_copy(update={"weights": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"mobilenet\.weights\.h5 don't fit mobilenet"):
        build_model(architecture("mobilenet"), recipe, seed=0)


def test_missing_weights_say_which_file_goes_where(tmp_path: Path):
    row = architecture("xception")
    with pytest.raises(ConfigError, match=r"xception\.weights\.h5 or xception_weights_tf"):
        find_weights(row, str(tmp_path))
    with pytest.raises(ConfigError, match="nor a directory"):
        find_weights(row, str(tmp_path / "no-such"))
    assert find_weights(row, "none") is None


def test_imagenet_without_file_and_network_says_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import keras

    def no_network(*_: object, **__: object) -> None:
        raise Exception("URL fetch failure: no route to host")  # Keras raises just this

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.applications, "Xception", no_network)
    monkeypatch.setattr(keras.applications.xception, "Xception", no_network)
    row = architecture("xception")
    with pytest.raises(ConfigError) as caught:
        find_weights(row, "imagenet")
    assert row.weights_file in str(caught.value)
    assert str(keras_cache()) in str(caught.value)
    keras_cache().mkdir(parents=True)
    (keras_cache() / row.weights_file).write_bytes(b"")
    assert find_weights(row, "imagenet") == keras_cache() / row.weights_file
