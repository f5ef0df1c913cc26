"""When a run asks what it may train on: a new one at first, a begun one once it has the lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from datasets.errors import ConfigError
from datasets.prepare import synth
from orchestrator import ray_nodes, ray_run
from orchestrator.config_sources import load_config
from orchestrator.forecast import measured_rates
from orchestrator.plan import Node, Resources
from orchestrator.run import Machines, RunRequest, run_all
from orchestrator.run_lock import driver_of, run_lock
from orchestrator.run_store import RUN_FILE, RunStore
from tests.made_up_runs import finish
from trainers.backend import environment
from trainers.result import TrialState

NAMES = ["resnet50", "nasnetmobile", "mobilenet"]


@pytest.fixture
def request_(tmp_path: Path) -> RunRequest:
    synth(tmp_path / "shards", train=16, validation=8, size=76, seed=0)
    config = load_config(preset="demo", shards=str(tmp_path / "shards"), only=NAMES, seeds=[0, 1])
    return RunRequest(config, tmp_path / "run", address="192.0.2.10:6379")


class Asked(list[str]):
    """What was done in turn, in the place of asking a cluster and of training."""

    def __init__(self, refusal: str | None = None) -> None:
        self._refusal = refusal

    def run(self, request: RunRequest) -> int:
        """`run_all` with these machines."""
        return run_all(request, Console(quiet=True), Machines(self._ask, self._train))

    def _ask(self, *_: object) -> None:
        if self._refusal:
            raise ConfigError(self._refusal)
        self.append("ask")

    def _train(self, request: RunRequest, store: RunStore, document, *_: object) -> None:
        self.append("train")
        store.write(document)


def test_a_new_run_asks_before_it_writes(request_: RunRequest):
    asked = Asked(refusal="not here")
    with pytest.raises(ConfigError, match="not here"):
        asked.run(request_)
    assert not Path(request_.run_dir).exists()
    assert asked == []


@pytest.mark.slow
def test_a_second_driver_is_told_who_has_the_run_and_asks_no_node(request_: RunRequest):
    asked = Asked()
    asked.run(request_)
    assert asked == ["ask", "train"]
    with (
        run_lock(RunStore.at(request_.run_dir), Console(quiet=True)),
        pytest.raises(ConfigError, match="in use by process"),
    ):
        asked.run(request_)
    assert asked == ["ask", "train"]
    asked.run(request_)
    assert asked == ["ask", "train", "ask", "train"]


@pytest.mark.slow
def test_a_run_with_nothing_to_do_asks_nobody(request_: RunRequest):
    asked = Asked()
    asked.run(request_)
    store = RunStore.at(request_.run_dir)
    one, *others = [record.name for record in store.trials()]
    for name in others:
        finish(store, name)
    asked.run(request_)  # one is still to do
    finish(store, one)
    asked.run(request_)
    assert asked == ["ask", "train", "ask", "train"]


@pytest.mark.slow
def test_the_cluster_that_auto_means_is_noted_and_a_finished_run_goes_without(
    request_: RunRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    noted = tmp_path / "ray" / "ray_current_cluster"
    noted.parent.mkdir()
    noted.write_text("192.0.2.10:6379")
    auto, seen = replace(request_, address="auto"), []

    def train(request: RunRequest, store: RunStore, document, *_: object) -> None:
        driver = driver_of(store)
        assert driver is not None
        seen.append(driver.address)
        store.write(document)
        for record in store.trials():
            finish(store, record.name)

    machines = Machines(lambda *_: None, train)
    run_all(auto, Console(quiet=True), machines)
    noted.unlink()
    run_all(auto, Console(quiet=True), machines)
    assert seen == ["192.0.2.10:6379"]


@pytest.mark.slow
def test_a_run_goes_on_with_what_it_began_to_compute_with(
    request_: RunRequest, monkeypatch: pytest.MonkeyPatch
):
    asked = Asked()
    monkeypatch.setattr(environment, "find_spec", lambda name: name)  # JAX is here
    for begun, other in (("tensorflow", "jax"), ("jax", "tensorflow")):
        one = replace(request_, run_dir=Path(request_.run_dir) / begun)
        monkeypatch.setenv("KERAS_BACKEND", begun)
        asked.run(one)
        file = Path(one.run_dir) / RUN_FILE
        before = file.read_bytes()
        monkeypatch.setenv("KERAS_BACKEND", other)
        asked.clear()
        told = rf"backend {begun}, .* with {other}: set KERAS_BACKEND={begun}, or name another"
        for dry_run in (True, False):
            with pytest.raises(ConfigError, match=told):
                asked.run(replace(one, dry_run=dry_run))
        assert asked == []
        assert file.read_bytes() == before


def test_several_gpus_on_jax_are_refused_before_anything_is_asked(
    request_: RunRequest, monkeypatch: pytest.MonkeyPatch
):
    asked = Asked()
    monkeypatch.setattr(environment, "find_spec", lambda name: name)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    config = load_config(preset="demo", settings=["resources.gpus_per_trial=2"])
    for dry_run in (True, False):
        one = replace(request_, config=config, dry_run=dry_run)
        with pytest.raises(ConfigError, match="gpus_per_trial is 2, and Keras' JAX backend"):
            asked.run(one)
    assert asked == []
    assert not Path(request_.run_dir).exists()


@pytest.mark.slow
def test_a_run_of_before_its_backend_was_noted_goes_on_with_either(
    request_: RunRequest, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(environment, "find_spec", lambda name: name)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    asked = Asked()
    asked.run(request_)
    file = Path(request_.run_dir) / RUN_FILE
    document = yaml.safe_load(file.read_text())
    assert document.pop("keras_backend") == "tensorflow"
    for backend in ("tensorflow", "jax"):
        file.write_text(yaml.safe_dump(document))
        monkeypatch.setenv("KERAS_BACKEND", backend)
        asked.run(request_)


@pytest.mark.slow
def test_a_continued_run_starts_what_takes_longest_by_its_own_rates(
    request_: RunRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`run.yaml` keeps its order."""
    started: list[list[str]] = []

    @contextmanager
    def connected(address: str | None) -> Iterator[None]:
        yield

    def note(specs, *_: object, **__: object) -> dict[str, str]:
        started.append([spec.name for spec in specs])
        return {}

    monkeypatch.setattr(ray_run, "ray_session", connected)
    monkeypatch.setattr(ray_run, "run_trials", note)
    monkeypatch.setattr(ray_nodes, "cluster_nodes", lambda _: [Node(2, 0)])
    local = replace(request_, address=None)
    run_all(local, Console(quiet=True))
    store = RunStore.at(local.run_dir)
    document = store.read()
    assert document is not None
    assert started == [document.trials]
    for name, rate in (("resnet50", 500.0), ("nasnetmobile", 0.01), ("mobilenet", 1.0)):
        measured = {"train_images_per_s": rate, "threads": 1, "gpu_peak_memory_mb": None}
        finish(store, f"{name}-s0", **measured)
        (store.trial_dir(f"{name}-s1") / "failure.json").unlink(missing_ok=True)
    assert len(measured_rates(store.trials(), 8, Resources(1, 0, 2))) == 3
    run_all(local, Console(quiet=True))
    to_do, done = started[1][:3], started[1][3:]
    assert to_do == ["nasnetmobile-s1", "mobilenet-s1", "resnet50-s1"]
    # Tune is told of these too.
    assert done == [one.name for one in store.trials() if one.state is TrialState.FINISHED]
    assert store.read() == document
