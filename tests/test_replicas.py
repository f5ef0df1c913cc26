"""A trial on several GPUs. Logical devices of the processor stand for them."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from datasets.batches import TrainBatches
from datasets.errors import ConfigError, DataError
from orchestrator.config_sources import load_config
from tests.interrupted_trial import on_devices
from tests.resuming import KILLED, assert_same_outcome, finish, result_of, run
from tests.test_sampler import Numbered
from trainers.interruption import Cause
from trainers.recipe import RECIPES, config_hash

DEVICES = "devices:2"
PROCESSES = multiprocessing.get_context("forkserver")


def train(devices: int, file: Path) -> None:
    """Train a net without batch normalisation for an epoch, its last batch smaller."""
    from trainers import backend

    on_devices(devices)
    backend.configure(1, True, devices)
    import keras

    from trainers.fitting import EpochFeed
    from trainers.model import compile_model
    from trainers.state import read_state

    recipe = RECIPES["demo"]
    keras.utils.set_random_seed(0)
    replicas = backend.Replicas(devices, deterministic=True)
    with replicas.scope():
        images = keras.Input((2, 2, 3), dtype="uint8")
        values = keras.layers.Conv2D(4, 2)(keras.ops.cast(images, "float32") / 255)
        values = keras.layers.GlobalAveragePooling2D()(values)
        model = keras.Model(images, keras.layers.Dense(8, activation="softmax")(values))
    model = keras.Model(model.inputs, model.outputs)
    with replicas.scope():
        compile_model(model, recipe)
        feed = EpochFeed(TrainBatches(Numbered(22), 8, seed=0, parts=devices), 0, 0)
        model.fit(replicas.dataset(feed), steps_per_epoch=len(feed), verbose=0, shuffle=False)
    np.savez(file, **read_state(model))


def trained(devices: int, folder: Path) -> dict[str, np.ndarray]:
    file = folder / f"{devices}.npz"
    process = PROCESSES.Process(target=train, args=(devices, file))
    process.start()
    process.join(300)
    assert process.exitcode == 0
    with np.load(file) as arrays:
        return dict(arrays)


@pytest.mark.slow
def test_two_devices_learn_what_one_learns(tmp_path: Path):
    one, two = trained(1, tmp_path), trained(2, tmp_path)
    assert one.keys() == two.keys()
    for name, values in one.items():
        if name.startswith("metrics"):
            assert two[name].shape == (2, *values.shape)
            np.testing.assert_allclose(two[name].sum(axis=0), values, rtol=1e-5)
        else:
            np.testing.assert_allclose(two[name], values, rtol=1e-4, atol=1e-6)
    assert one["optimizer/00000"] == 3


@pytest.fixture(scope="module")
def undisturbed_on_two(small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    finish(small_shards, folder, DEVICES)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 4])
def test_killed_and_resumed_on_two_devices_it_ends_with_the_same_bytes(
    step: int, small_shards: Path, undisturbed_on_two: Path, tmp_path: Path
):
    assert run(small_shards, tmp_path, DEVICES, f"kill-step:{step}").returncode == KILLED
    finish(small_shards, tmp_path, DEVICES)
    assert_same_outcome(undisturbed_on_two, tmp_path)
    assert result_of(tmp_path).restarts_by_cause == {Cause.KILLED: 1}


@pytest.mark.slow
def test_a_checkpoint_of_other_devices_is_refused(small_shards: Path, tmp_path: Path):
    assert run(small_shards, tmp_path, DEVICES, "kill-step:4").returncode == KILLED
    refused = run(small_shards, tmp_path)
    assert refused.returncode == 1
    assert "config_hash" in refused.stderr


def test_the_number_of_devices_is_part_of_what_a_trial_is():
    recipe = RECIPES["paper"]
    assert config_hash("mobilenet", 0, recipe, 1) == config_hash("mobilenet", 0, recipe)
    assert config_hash("mobilenet", 0, recipe, 2) != config_hash("mobilenet", 0, recipe)


def test_an_epoch_leaves_out_what_can_not_be_cut_into_equal_parts():
    batches = TrainBatches(Numbered(23), 8, seed=0, parts=4)
    seen = [
        [batches.indices(epoch, step) for step in range(batches.steps_per_epoch)]
        for epoch in range(3)
    ]
    assert batches.images == 20
    assert [[len(one) for one in epoch] for epoch in seen] == [[8, 8, 4]] * 3
    left_out = [set(range(23)) - set(np.concatenate(epoch)) for epoch in seen]
    assert [len(one) for one in left_out] == [3] * 3
    assert len(set(map(frozenset, left_out))) > 1


def test_fewer_images_than_parts_are_refused():
    with pytest.raises(DataError, match="3 training images can't be cut into 4 parts"):
        TrainBatches(Numbered(3), 8, seed=0, parts=4)


def test_batches_that_do_not_divide_among_gpus_are_refused():
    settings = ["resources.gpus_per_trial=3"]
    with pytest.raises(ConfigError, match=r"batch_size 16 .*gpus_per_trial 3; choose a multiple"):
        load_config(preset="paper", settings=settings)
    load_config(preset="paper", settings=[*settings, "recipe.batch_size=15"])
