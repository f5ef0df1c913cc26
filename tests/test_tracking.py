"""Tracking without a server: what is refused, and a run that goes on whatever a tracker does."""

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from datasets.errors import ConfigError
from orchestrator.cli import app
from orchestrator.config_differences import differences
from orchestrator.ray_environment import prepare_environment
from orchestrator.run import Machines, refuse_unfit_place
from orchestrator.tracking import check_tracking, without_secrets

prepare_environment()

from ray.tune.logger import LoggerCallback  # noqa: E402

from tests.ports import free_port  # noqa: E402
from tests.tracked_runs import Row, Trial, config_with, row, short_pauses, until  # noqa: E402

PASSWORD = "opensesame"


# Before anything starts


def test_an_unknown_tracker_is_refused_and_the_valid_ones_are_named():
    with pytest.raises(ConfigError, match=r"tracking is 'tensorboard'.*'mlflow' or 'wandb'"):
        config_with(tracking="tensorboard")


@pytest.mark.parametrize("user", [f"me:{PASSWORD}", f"me:/{PASSWORD}", PASSWORD])
def test_a_password_in_the_configuration_is_refused_and_not_printed(user: str):
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        config_with(tracking="mlflow", tracking_uri=f"https://{user}@192.0.2.7")
    assert PASSWORD not in str(caught.value)


def test_the_address_of_an_mlflow_server_is_not_wandbs():
    with pytest.raises(ConfigError, match="WANDB_BASE_URL"):
        config_with(tracking="wandb", tracking_uri="http://192.0.2.7:5000")


def test_tracking_may_change_between_two_starts_of_a_run():
    before = config_with().model_dump(mode="json")
    now = config_with(tracking="mlflow", tracking_uri="http://192.0.2.7", tracking_experiment="a")
    assert differences(before, now.model_dump(mode="json")) == []


def test_what_is_said_of_an_address_has_no_password():
    said = without_secrets(f"API request to http://me:{PASSWORD}@192.0.2.7/api\nfailed")
    assert said == "API request to http://192.0.2.7/api failed"


def run_all(root: Path, *settings: str) -> Result:
    def no_start(*_: object) -> None:
        raise AssertionError("training was started")

    words = ["run-all", "--run-dir", str(root)]
    for setting in settings:
        words += ["--set", setting]
    return CliRunner().invoke(app, words, obj=Machines(refuse_unfit_place, no_start))


def test_a_server_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path):
    where = f"http://127.0.0.1:{free_port()}"
    done = run_all(tmp_path / "run", "tracking=mlflow", f"tracking_uri={where}")
    assert done.exit_code == 2, done.output
    assert f"MLflow at {where} can't be reached" in " ".join(done.output.split())
    assert "Traceback" not in done.output
    assert not (tmp_path / "run").exists()


def test_a_password_of_the_environment_is_not_printed(monkeypatch: pytest.MonkeyPatch):
    there = f"http://me:{PASSWORD}@127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", there)
    with pytest.raises(ConfigError, match="can't be reached") as caught:
        check_tracking(config_with(tracking="mlflow"))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_package_that_is_not_installed_is_named(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("orchestrator.tracking.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=rf"pip install 'fer-orch\[{name}\]'"):
        check_tracking(config_with(tracking=name))


@pytest.fixture
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account with W&B, and nothing that would ask its server."""
    import wandb

    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr(wandb, "login", lambda **_: False)


@pytest.mark.usefixtures("no_account")
def test_without_a_key_wandb_is_refused():
    with pytest.raises(ConfigError, match=r"wandb login.*WANDB_MODE=offline"):
        check_tracking(config_with(tracking="wandb"))


@pytest.mark.usefixtures("no_account")
def test_wandb_that_refuses_or_is_away_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    import wandb

    def login(**_: object) -> bool:
        raise wandb.errors.AuthenticationError(f"no answer\nof https://me:{PASSWORD}@192.0.2.7")

    monkeypatch.setattr(wandb, "login", login)
    with pytest.raises(ConfigError) as caught:
        check_tracking(config_with(tracking="wandb"))
    assert "Weights & Biases can't be reached: no answer of https://192.0.2.7" in str(caught.value)


# In a run, whatever the tracker does


class Stand(LoggerCallback):
    """A tracker that fails as it is told to, or hangs, and notes what it did."""

    title = "MLflow"

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.refused = False
        self.hangs = threading.Event()
        self.hangs.set()
        self.epochs: list[int] = []

    def log_trial_result(self, iteration: int, trial: Any, result: Row) -> None:
        self.hangs.wait()
        if self.failures:
            raise self.failures.pop()
        self.epochs.append(result["epoch"])

    def is_refused(self, error: Exception) -> bool:
        return self.refused


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    short_pauses(monkeypatch)
    return Stand()


def tell(stand: Stand, *epochs: int, heard: Sequence[int] = ()) -> list[str]:
    """What is said when a tracker is told of epochs, by a run that ends once it `heard` these."""
    from orchestrator.ray_tracking import Aside

    said: list[str] = []
    aside, trial = Aside(stand, said.append), Trial()  # type: ignore[arg-type]
    aside.setup()
    for epoch in epochs:
        aside.on_trial_result(epoch, [trial], trial, row(epoch))
    until(lambda: stand.epochs == list(heard))
    aside.on_experiment_end([])
    return said


def away() -> Exception:
    return ConnectionError(f"http://me:{PASSWORD}@192.0.2.7 is away")


def test_what_fails_is_warned_of_once_and_told_later(stand: Stand):
    stand.failures = [away(), away(), away()]
    said = tell(stand, 1, 2, heard=[1, 2])
    assert len(said) == 1
    assert said[0].startswith("MLflow misses figures: http://192.0.2.7 is away. The run goes on")


def test_a_server_that_stays_away_is_warned_of_once_and_the_run_ends(stand: Stand):
    stand.failures = [away() for _ in range(100_000)]
    assert len(tell(stand, 1, 2, 3)) == 1
    assert stand.epochs == []


def test_what_is_refused_holds_up_nothing(stand: Stand):
    stand.failures, stand.refused = [ValueError("no such run")], True
    assert len(tell(stand, 1, 2, 3, heard=[2, 3])) == 1


def test_a_tracker_that_hangs_holds_up_no_trial(stand: Stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("orchestrator.ray_tracking.LAST_S", 0.1)
    stand.hangs.clear()
    begun = time.monotonic()
    said = tell(stand, 1, 2, 3)
    assert time.monotonic() - begun < 30
    assert len(said) == 1
    stand.hangs.set()


def test_tune_keeps_nothing_of_it_in_its_files():
    from orchestrator.ray_tracking import Aside

    kept = pickle.loads(pickle.dumps(Aside(Stand(), print)))  # type: ignore[arg-type]
    assert type(kept) is LoggerCallback


def test_a_run_that_is_not_tracked_imports_neither():
    code = (
        "import sys\n"
        "from orchestrator.ray_environment import prepare_environment\n"
        "prepare_environment()\n"
        "import orchestrator.ray_run, orchestrator.run, orchestrator.tracking\n"
        "print({'mlflow', 'wandb'} & sys.modules.keys())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
