"""Switches of a recipe change what is computed, and nothing of the promise to resume exactly."""

import json
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from datasets.batches import TrainBatches
from datasets.errors import ConfigError
from orchestrator.cli import app
from orchestrator.config_sources import load_config
from tests.resuming import (
    INTERRUPTED,
    KILLED,
    assert_same_outcome,
    checkpoint_of,
    finish,
    run,
)
from tests.small_net import STILL
from tests.test_sampler import Numbered
from trainers.backend import environment
from trainers.recipe import RECIPES, Recipe, config_hash

SWITCHES = {
    "bfloat16": "recipe:precision=mixed_bfloat16",
    "float16": "recipe:precision=mixed_float16",
}


def state(folder: Path) -> bytes:
    """The last checkpoint's arrays: weights, optimizer, metrics."""
    return (folder / "state").read_bytes()


def probabilities(folder: Path) -> np.ndarray:
    """Of the last model, [images, 8]."""
    table = pq.read_table(folder / "trial" / "predictions.parquet")
    return np.array(table["probabilities"].to_pylist())


@pytest.mark.slow
@pytest.mark.parametrize("switch", SWITCHES)
def test_with_a_switch_a_killed_trial_ends_with_the_same_bytes(
    switch: str, small_shards: Path, undisturbed: Path, tmp_path: Path
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(small_shards, whole, SWITCHES[switch])
    assert run(small_shards, killed, SWITCHES[switch], "kill-step:4").returncode == KILLED
    finish(small_shards, killed, SWITCHES[switch])
    assert_same_outcome(whole, killed)
    assert state(whole) != state(undisturbed)  # the switch does something
    # The scale of the loss and the steps since it grew are part of the state.
    assert (len(state(whole)) > len(state(undisturbed))) == (switch == "float16")


@pytest.mark.slow
@pytest.mark.parametrize("switch", SWITCHES)
def test_layers_compute_in_less_and_the_softmax_does_not(
    switch: str, small_shards: Path, tmp_path: Path
):
    finish(small_shards, tmp_path, SWITCHES[switch])
    with zipfile.ZipFile(tmp_path / "trial" / "model.keras") as saved:
        layers = json.loads(saved.read("config.json"))["config"]["layers"]
    policies = {
        layer["config"]["name"]: layer["config"]["dtype"]["config"]["name"]
        for layer in layers
        if isinstance(layer["config"].get("dtype"), dict)
    }
    assert policies.pop("expression") == "float32"
    assert f"mixed_{switch}" in policies.values()


@pytest.mark.slow
def test_a_killed_trial_goes_on_with_xla(small_shards: Path, tmp_path: Path):
    """TensorFlow has no XLA that is deterministic: the outcome is near, not the same."""
    plain, ours, dump = tmp_path / "plain", tmp_path / "xla", tmp_path / "dump"
    # Without dropout, for which XLA draws other numbers.
    words = f"architecture:{STILL}", "recipe:deterministic=false"
    xla = (*words, "recipe:xla=true", f"environment:XLA_FLAGS=--xla_dump_to={dump}")
    assert run(small_shards, plain, *words, "stop-step:1").returncode == INTERRUPTED
    assert run(small_shards, ours, *xla, "stop-step:1").returncode == INTERRUPTED
    assert list(dump.glob("*one_step_on_data*"))  # XLA was given the step
    one, two = checkpoint_of(plain), checkpoint_of(ours)
    assert one.keys() == two.keys()
    for key, array in one.items():  # measured: 2e-4 of an array's largest value at most
        np.testing.assert_allclose(two[key], array, rtol=0, atol=5e-4 * np.abs(array).max())

    finish(small_shards, plain, *words)
    assert run(small_shards, ours, *xla, "kill-step:4").returncode == KILLED
    assert finish(small_shards, ours, *xla).restarts == 2
    assert "jit_compile=False" not in (ours / "stderr.txt").read_text()  # Keras' warning
    assert state(ours) != state(plain)
    # Measured: 3e-8; a learning rate that is 1 % higher makes 1e-4 of it.
    np.testing.assert_allclose(probabilities(ours), probabilities(plain), rtol=0, atol=1e-6)


def test_xla_and_determinism_exclude_each_other():
    with pytest.raises(ConfigError, match=r"with recipe\.xla=true set recipe\.deter"):
        load_config(settings=["recipe.xla=true"])
    both = load_config(settings=["recipe.xla=true", "recipe.deterministic=false"])
    assert both.recipe.xla


@pytest.mark.parametrize(
    ("switch", "told"),
    [
        (
            "recipe.precision=mixed_float16",
            r"recipe\.precision is mixed_float16, resources\.gpus_per_trial 2: .* set "
            r"recipe\.precision=mixed_bfloat16, or resources\.gpus_per_trial=1",
        ),
        (
            "recipe.xla=true",
            r"recipe\.xla is true, resources\.gpus_per_trial 2: .* set recipe\.xla=false, or "
            r"resources\.gpus_per_trial=1",
        ),
    ],
)
def test_what_several_gpus_can_not_do_is_refused(switch: str, told: str):
    several = "resources.gpus_per_trial=2"
    with pytest.raises(ConfigError, match=told):
        load_config(preset="paper", settings=[switch, several])
    for fitting in ("0", "0.5", "1", "auto"):
        load_config(preset="paper", settings=[switch, f"resources.gpus_per_trial={fitting}"])
    load_config(preset="paper", settings=["recipe.precision=mixed_bfloat16", several])


def test_a_switch_changes_the_trials_hash_and_its_default_does_not():
    plain = RECIPES["demo"]
    hashes = {
        config_hash("mobilenet", 0, plain.model_copy(update=change))
        for change in ({}, {"precision": "mixed_bfloat16"}, {"xla": True})
    }
    assert len(hashes) == 3
    # That of a run that began before there were switches.
    assert config_hash("mobilenet", 0, Recipe()) == "e4053e12c5bc9915"


class Counted(Numbered):
    """Counts the batches that were made."""

    made = 0

    def gather(self, indices: "np.ndarray") -> "np.ndarray":
        self.made += 1
        return super().gather(indices)


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [0, 4])
def test_batches_are_made_ahead(ahead: int):
    from trainers.backend import Replicas
    from trainers.fitting import EpochFeed

    split = Counted(60)
    feed = EpochFeed(TrainBatches(split, 5, seed=0), 0, 0)
    batches = iter(Replicas().dataset(feed, ahead))
    next(batches)
    end = time.monotonic() + 120
    while split.made < 2 + ahead and time.monotonic() < end:
        time.sleep(0.01)
    # One more tells TensorFlow the shapes.
    assert split.made == 2 + ahead
    assert sum(1 for _ in batches) == 11


@pytest.mark.parametrize("words", [["models"], ["run-all", "--preset", "demo", "--dry-run"]])
def test_a_backend_that_is_none_or_not_there_is_told(
    words: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "valid: tensorflow, jax" in done.output) == (2, True)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "install fer-orch[jax], or" in done.output) == (2, True)
