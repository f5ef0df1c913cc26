"""Trials that share a GPU by their memory: how many fit, and what becomes of one that does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datasets.errors import ConfigError
from orchestrator.cli import app
from orchestrator.config_sources import load_config
from orchestrator.packing import gpu_share, memory_needed, most_at_once
from orchestrator.plan import Node, make_plan
from orchestrator.resources import trial_resources
from tests.small_net import NAME
from trainers.architectures import ARCHITECTURES, architecture
from trainers.interruption import Cause
from trainers.recipe import Recipe
from trainers.result import RESULT_FILE, TrialResult, read_record

ROOT = Path(__file__).parent.parent
GIB = 1 << 30
AUTO = "resources.gpus_per_trial=auto"


def needed(name: str, **recipe: object) -> int:
    return memory_needed(architecture(name), Recipe.model_validate(recipe))


def test_memory_grows_with_what_a_step_holds():
    base = needed("resnet50")
    assert needed("mobilenet") < base < needed("resnet152")
    rest = needed("resnet50", batch_size=1, image_size=32)  # weights, and what the process holds
    assert needed("resnet50", batch_size=32) - rest == pytest.approx(2 * (base - rest), rel=0.02)
    assert needed("resnet50", image_size=448) - rest == pytest.approx(4 * (base - rest), rel=0.02)
    half = needed("resnet50", precision="mixed_float16")
    assert 0.4 * (base - rest) < half - rest < 0.6 * (base - rest)


def test_a_share_is_one_over_how_many_fit():
    assert gpu_share(6 * GIB, 16 * GIB) == 0.5
    assert gpu_share(9 * GIB, 16 * GIB) == 1
    assert gpu_share(99 * GIB, 16 * GIB) == 1  # it is tried with all that there is
    third = gpu_share(5 * GIB, 16 * GIB)
    assert third < 1 / 3  # three of them are no more than one
    assert 3 * third == pytest.approx(1, abs=1e-3)


def test_as_many_as_cpus_and_gpus_hold():
    assert most_at_once([0.5] * 9, [Node(8, 2)], cpus=1) == 4
    assert most_at_once([0.5] * 9, [Node(3, 2)], cpus=1) == 3
    assert most_at_once([0.5] * 3, [Node(8, 2), Node(8, 0)], cpus=1) == 3
    # Half a GPU is free on each of two, which is no whole one.
    assert most_at_once([0.5, 0.5, 0.5, 1], [Node(8, 2)], cpus=1) == 3
    assert most_at_once([0.3333] * 4, [Node(8, 1)], cpus=1) == 3


def test_shares_come_from_the_smallest_gpu_that_is_known():
    config = load_config(preset="paper", settings=[AUTO])
    nodes = [Node(16, 2, 16 * GIB), Node(16, 1, 40 * GIB), Node(16, 1, None)]
    resources = trial_resources(config, nodes)
    assert resources.gpus_of("mobilenet") == gpu_share(needed("mobilenet"), 16 * GIB) < 0.2
    assert resources.gpus_of("resnet152") > resources.gpus_of("mobilenet")
    assert resources.slots == 4
    assert resources.concurrent > 8
    assert set(resources.shares) == set(ARCHITECTURES)


def test_a_gpus_memory_can_be_set_and_must_be_known():
    nodes = [Node(16, 1, None)]
    with pytest.raises(ConfigError, match=r"set resources\.gpu_memory_gb"):
        trial_resources(load_config(settings=[AUTO]), nodes)
    settings = [AUTO, "resources.gpu_memory_gb=4"]
    assert trial_resources(load_config(settings=settings), nodes).shares


def test_without_gpus_there_is_nothing_to_share():
    resources = trial_resources(load_config(settings=[AUTO]), [Node(4, 0)])
    assert (resources.gpus, resources.concurrent, dict(resources.shares)) == (0, 4, {})


def test_the_estimate_counts_on_whole_gpus_alone():
    settings = [AUTO, "estimate.gpu_gflops=5000"]
    config = load_config(preset="paper", settings=settings)
    rows = {"train": 1000, "validation": 100}
    shared = make_plan(config, rows, trial_resources(config, [Node(64, 2, 16 * GIB)]))
    each = config.model_copy(
        update={"resources": config.resources.model_copy(update={"gpus_per_trial": 1.0})}
    )
    whole = make_plan(each, rows, trial_resources(each, [Node(64, 2)]))
    assert shared.hours == whole.hours


def test_other_words_than_auto_are_refused():
    with pytest.raises(ConfigError, match="gpus_per_trial"):
        load_config(settings=["resources.gpus_per_trial=all"])


def test_a_dry_run_shows_each_trials_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\ntest "$1" = -L && echo "GPU 0: T4 (UUID: 1)" || echo 15360\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)  # `models` hides the GPUs
    words = ["run-all", "--dry-run", "--preset", "demo", "--set", AUTO, "--only"]
    done = CliRunner().invoke(app, [*words, "mobilenet,resnet152"])
    assert done.exit_code == 0, done.output
    assert "a GPU's share by its memory, 1 to 2 at once" in done.output
    share = gpu_share(memory_needed(architecture("resnet152"), load_config().recipe), 15 * GIB)
    row = next(line for line in done.output.splitlines() if "resnet152-s0" in line)
    assert f"{share:.2g}" in row.split()


@pytest.mark.slow
def test_a_trial_without_memory_goes_on_alone(
    small_shards: Path, undisturbed: Path, tmp_path: Path
):
    done = subprocess.run(
        [sys.executable, "-m", "tests.sharing_trials", str(small_shards), str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {}
    attempts = [json.loads(line) for line in (tmp_path / "attempts").read_text().splitlines()]
    first = [attempt for attempt in attempts if attempt[0] == f"{NAME}-s0"]
    assert [part for _, part, _, _ in first] == [0.5, 1.0]
    others = [attempt for attempt in attempts if attempt[0] != f"{NAME}-s0"]
    assert [part for _, part, _, _ in others] == [0.5, 0.5]
    (_, _, begin, end) = first[1]
    assert all(until <= begin or end <= since for _, _, since, until in others)  # alone

    place = tmp_path / "trials" / f"{NAME}-s0"
    result = read_record(place / RESULT_FILE, TrialResult)
    assert result is not None
    assert result.restarts_by_cause == {Cause.OUT_OF_MEMORY: 1}
    assert result.batch_size == 8
    same = "predictions.parquet"
    assert (place / same).read_bytes() == (undisturbed / "trial" / same).read_bytes()
