"""Trials that share a GPU by their memory: how many fit, and what becomes of one that does not."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from datasets.errors import ConfigError
from orchestrator import ray_nodes, ray_run, run
from orchestrator.cli import app
from orchestrator.config_sources import load_config
from orchestrator.packing import gpu_share, memory_needed, most_at_once
from orchestrator.plan import Node, Resources, Sharing, Stay, make_plan
from orchestrator.resources import trial_resources
from orchestrator.run import RunRequest, run_all
from tests.scripts import ROOT, with_root
from tests.small_net import NAME
from trainers.architectures import ARCHITECTURES, architecture
from trainers.interruption import Cause
from trainers.recipe import Recipe
from trainers.result import RESULT_FILE, TrialResult, read_record

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


def test_gpus_whose_memory_nobody_tells_are_not_shared_and_that_is_said():
    nodes = [Node(16, 2, None), Node(16, 1, None)]
    unknown = trial_resources(load_config(settings=[AUTO]), nodes)
    assert "set resources.gpu_memory_gb" in unknown.sharing_note
    assert replace(unknown, sharing_note="") == trial_resources(load_config(), nodes)
    settings = [AUTO, "resources.gpu_memory_gb=4"]
    told = trial_resources(load_config(settings=settings), nodes)
    assert told.shares
    assert not told.sharing_note


def test_trials_without_any_gpu_to_share_train_on_cpus_and_that_is_said():
    nodes = [Node(4, 0)]
    resources = trial_resources(load_config(settings=[AUTO]), nodes)
    assert "the trials train on CPUs" in resources.sharing_note
    assert replace(resources, sharing_note="") == trial_resources(load_config(), nodes)


@pytest.mark.slow
@pytest.mark.parametrize("dry_run", [True, False])
def test_run_all_says_that_gpus_are_not_shared(
    dry_run: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    @contextmanager
    def connected(address: str | None, gpu_memory: bool = False) -> Iterator[list[Node]]:
        yield [Node(2, 1)]

    monkeypatch.setattr(run, "nodes_of", connected)
    monkeypatch.setattr(ray_run, "ray_session", connected)
    monkeypatch.setattr(ray_run, "run_trials", lambda *_, **__: {})
    monkeypatch.setattr(ray_nodes, "cluster_nodes", lambda _: [Node(2, 1)])
    small = ["data.drawn.train=8", "data.drawn.validation=8"]
    config = load_config(preset="demo", only=["mobilenet"], settings=[AUTO, *small])
    console = Console(record=True, width=200)
    run_all(RunRequest(config, tmp_path / "run", dry_run=dry_run), console)
    said = " ".join(console.export_text().split())
    assert said.count("each trial gets a whole GPU; to share GPUs set resources.gpu_memory_gb") == 1


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


def test_rates_on_shares_fill_the_gpus_with_them():
    config = load_config(
        preset="paper",
        only=["mobilenet", "resnet50"],
        seeds=[0, 1],
        settings=[AUTO, "estimate.price_per_hour=6"],
    )
    rows = {"train": 1000, "validation": 100}
    sharing = Sharing({"mobilenet": 0.25, "resnet50": 0.5}, whole=1, concurrent=4)
    rates = {"mobilenet": 100.0, "resnet50": 50.0}
    plan = make_plan(config, rows, Resources(1, 1.0, 4, sharing=sharing), rates)
    longest, other, *small = plan.trials
    assert [longest.architecture, other.architecture] == ["resnet50", "resnet50"]
    # Both fill the GPU, and the two small ones take the place of the one that is over first.
    assert plan.hours == pytest.approx(longest.hours + small[0].hours)
    assert longest.cost == pytest.approx(longest.hours * 6 * 0.5)
    assert small[0].cost == pytest.approx(small[0].hours * 6 * 0.25)
    one_by_one = Resources(1, 1.0, 1, sharing=replace(sharing, concurrent=1))
    hours = [trial.hours for trial in plan.trials]
    assert make_plan(config, rows, one_by_one, rates).hours == pytest.approx(sum(hours))
    two = Resources(1, 1.0, 8, sharing=replace(sharing, whole=2, concurrent=8))
    assert make_plan(config, rows, two, rates).hours == pytest.approx(longest.hours)


def test_a_gpu_does_as_much_for_what_was_not_measured():
    config = load_config(preset="paper", only=["resnet50", "resnet101"], settings=[AUTO])
    rows = {"train": 1000, "validation": 100}
    rates = {"resnet50": 50.0}

    def hours(share: float) -> float:
        sharing = Sharing({"resnet50": 0.25, "resnet101": share}, whole=1, concurrent=4)
        plan = make_plan(config, rows, Resources(1, 1.0, 4, sharing=sharing), rates)
        (trial,) = [trial for trial in plan.trials if trial.architecture == "resnet101"]
        assert trial.share == share
        assert trial.hours is not None
        return trial.hours - architecture("resnet101").setup_s / 3600

    assert hours(0.25) == pytest.approx(2 * hours(0.5))
    assert hours(0.25) == pytest.approx(4 * hours(1.0))


@pytest.mark.parametrize(
    ("running", "waiting", "end"),
    [
        ([], [(3, 0.5), (5, 0.5)], 5),
        ([], [(3, 0.5), (5, 0.5), (4, 0.5)], 7),
        ([], [(3, 0.5), (5, 0.5), (4, 1.0)], 9),
        ([], [(1, 0.6), (1, 0.6), (1, 0.6)], 3),
        ([], [(6, 0.5), (1, 1.0), (1, 0.5)], 8),  # none overtakes
        ([(2, 0.5), (4, 0.5)], [(3, 0.5)], 5),
        ([(2, 1.0), (4, 0.5)], [(1, 0.5)], 4),  # two that have their places, wherever these are
        ([], [(1, 0.2)] * 5, 2),  # five would fit by memory, and four by CPUs
        ([], [], 0),
        ([], [(1, 0.5), (None, 0.5)], None),
        ([(None, 0.5)], [], None),
    ],
)
def test_the_last_end_on_one_shared_gpu(running, waiting, end):
    sharing = Sharing({}, whole=1, concurrent=4)
    assert sharing.last_end([Stay(*one) for one in running], [Stay(*one) for one in waiting]) == end


@pytest.mark.parametrize("wrong", ["-1", "1.5", "all", "true", ".inf", ".nan", "[1]"])
def test_a_wrong_number_of_gpus_is_told_once_with_what_is_valid(wrong: str):
    with pytest.raises(ConfigError) as caught:
        load_config(settings=[f"resources.gpus_per_trial={wrong}"])
    message = str(caught.value)
    assert message == (
        f"configuration: resources.gpus_per_trial is {yaml.safe_load(wrong)!r}: "
        'valid: "auto", 0, a part of one GPU such as 0.5, or whole GPUs such as 2'
    )


@pytest.mark.parametrize(
    ("asked", "meant"), [("0", 0.0), ("0.5", 0.5), ("'0.5'", 0.5), ("4", 4.0), ("null", None)]
)
def test_what_is_valid_is_taken(asked: str, meant: float | None):
    config = load_config(settings=[f"resources.gpus_per_trial={asked}"])
    assert config.resources.gpus_per_trial == meant


def test_a_dry_run_shows_each_trials_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\ntest "$1" = -L && echo "GPU 0: T4 (UUID: 1)" || echo 15360\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)  # `models` hides the GPUs
    words = ["run-all", "--dry-run", "--preset", "demo", "--set", AUTO]
    words += ["--run-dir", str(tmp_path / "run"), "--only"]
    done = CliRunner().invoke(app, [*words, "mobilenet,resnet152"])
    assert done.exit_code == 0, done.output
    assert "a GPU's share by its memory, 1 to 2 at once" in done.output
    share = gpu_share(memory_needed(architecture("resnet152"), load_config().recipe), 15 * GIB)
    row = next(line for line in done.output.splitlines() if "resnet152-s0" in line)
    assert f"{share:.2g}" in row.split()


def attempts(root: Path) -> dict[str, list[tuple[float, float, float]]]:
    """Of each trial its attempts: the part of the GPU, and when it began and ended."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for line in (root / "attempts").read_text().splitlines():
        what, name, part, when = json.loads(line)
        mine = found.setdefault(name, [])
        if what == "begin":
            mine.append((part, when, math.inf))
        else:
            mine[-1] = (*mine[-1][:2], when)
    return found


@pytest.mark.slow
def test_a_trial_that_fails_on_a_shared_gpu_goes_on_alone_for_good(
    small_shards: Path, undisturbed: Path, tmp_path: Path
):
    done = subprocess.run(
        [sys.executable, "-m", "tests.sharing_trials", str(small_shards), str(tmp_path)],
        cwd=ROOT,
        env=with_root(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {}
    starved, killed, fits = (f"{NAME}-s{seed}" for seed in range(3))
    found = attempts(tmp_path)
    parts = {name: [part for part, _, _ in tried] for name, tried in found.items()}
    # The first of them is continued by another command, where it is alone from the start.
    assert parts == {starved: [0.5, 1.0, 1.0], killed: [0.5, 1.0], fits: [0.5]}
    for name, tried in found.items():
        others = [one for other in found if other != name for one in found[other]]
        for part, begin, end in tried:
            if part == 1:
                assert all(until <= begin or end <= since for _, since, until in others)

    causes = {
        starved: {Cause.OUT_OF_MEMORY: 1, Cause.STAGE_OVER: 1},
        killed: {Cause.KILLED: 1},
        fits: {},
    }
    for name, expected in causes.items():
        result = read_record(tmp_path / "trials" / name / RESULT_FILE, TrialResult)
        assert result is not None
        assert result.restarts_by_cause == expected
        assert result.batch_size == 8
    same = "predictions.parquet"
    there = (tmp_path / "trials" / starved / same).read_bytes()
    assert there == (undisturbed / "trial" / same).read_bytes()
