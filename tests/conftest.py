"""Fixtures that several modules share."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
import yaml

from datasets.prepare import synth
from tests.host_needs import missing
from tests.shared_folders import shared_folder

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script that runs the tests in the background has them, and what they start, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if not os.environ.get("FER_ORCH_CLUSTER"):
    # For the processes that tests start; see tests/lean_ray/sitecustomize.py.
    _paths = (str(Path(__file__).with_name("lean_ray")), os.environ.get("PYTHONPATH"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _paths))

if TYPE_CHECKING:
    from tests.clusters import Cluster
    from tests.whole_runs import Run


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests of several hosts are skipped where these can't be made; `make test-cluster` fails."""
    reason = missing() if item.get_closest_marker("cluster") else None
    if reason and os.environ.get("FER_ORCH_CLUSTER"):
        pytest.exit(reason, returncode=1)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module", autouse=True)
def _no_pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pictures take seconds to draw: reports have them only in modules that say WITH_PICTURES."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "WITH_PICTURES", False):
            patch.setattr("orchestrator.report.pictures.draw.draw", lambda run: {})
        yield


@pytest.fixture(scope="session")
def small_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces for the small trial: three steps an epoch, the last of four images."""

    def draw(folder: Path) -> None:
        synth(folder / "drawn", train=20, validation=16, size=32, seed=0)

    return shared_folder(tmp_path_factory, "small shards", draw) / "drawn"


@pytest.fixture(scope="session")
def undisturbed(small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small trial, left alone."""
    from tests.resuming import finish

    make = partial(finish, small_shards)
    return shared_folder(tmp_path_factory, "undisturbed", make)


@pytest.fixture(scope="session")
def undisturbed_run(tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A run of two small nets, left alone; without Ray, which must change no byte."""
    from tests.trials_here import finish_here
    from tests.whole_runs import Run

    def make(folder: Path) -> None:
        with mock.patch("orchestrator.report.pictures.draw.draw", return_value={}):
            finish_here(Run(folder / "run"))

    return Run(shared_folder(tmp_path_factory, "undisturbed run", make) / "run")


@pytest.fixture(scope="session", name="cluster")
def _cluster() -> "Iterator[Cluster]":
    """A laptop and three hosts, with Ray as clusters/on-prem.yaml says."""
    from tests.clusters import cluster
    from tests.hosts import ROOT

    shipped = yaml.safe_load((ROOT / "clusters" / "on-prem.yaml").read_text(encoding="utf-8"))
    with cluster(shipped, venv="~/fer-orch-venv") as one:
        yield one
