"""When the board forgets where a trial is: without Ray's processes."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.ray_environment import prepare_environment

prepare_environment()

import ray  # noqa: E402

from orchestrator import ray_run, train_run  # noqa: E402
from orchestrator.board import ALL_ATTEMPTS  # noqa: E402
from orchestrator.plan import Resources  # noqa: E402
from tests.sharing_specs import sharing_spec  # noqa: E402
from tests.test_train_run import Acted, finished  # noqa: E402
from trainers.checkpoint_writer import StorageError  # noqa: E402
from trainers.interruption import STOP_FILE  # noqa: E402
from trainers.spec import TrialSpec  # noqa: E402


@pytest.fixture
def heard() -> list[object]:
    """What happens, in order."""
    return []


@pytest.fixture
def board(heard: list[object]) -> SimpleNamespace:
    def heard_by(name: str) -> SimpleNamespace:
        return SimpleNamespace(remote=lambda *words: heard.append((name, *words)))

    return SimpleNamespace(left=heard_by("left"), forget=heard_by("forget"))


@pytest.mark.parametrize("error", [None, StorageError("no answer")])
def test_it_shows_a_trial_until_its_files_are_taken_over(
    error: StorageError | None,
    heard: list[object],
    board: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Or can't be: it does not train then either."""
    spec = sharing_spec(tmp_path)

    def take_over(_: TrialSpec, last: object = None) -> int:
        heard.append("taken over")
        if error is not None and len(heard) > 1:
            raise error
        return 0

    monkeypatch.setattr(ray, "get", lambda asked, timeout: asked)
    monkeypatch.setattr(train_run, "take_over", take_over)
    run = Acted(Resources(1, 1.0, 2), 2, spec.run_dir / STOP_FILE, board, acts=[finished])
    with pytest.raises(StorageError) if error else nullcontext():
        run.fit(spec)
    attempt = (spec.name, 1)
    assert heard == ["taken over", ("left", *attempt), "taken over", ("forget", *attempt)]


def test_it_forgets_a_trial_that_tune_has_given_up(heard: list[object], board: SimpleNamespace):
    """Where the trial's own driver was killed nobody else tells the board."""
    trial = SimpleNamespace(config={"trial": "resnet50-s0"})
    ray_run._OffTheBoard(board).on_trial_error(1, [trial], trial)
    attempts = ("resnet50-s0", ALL_ATTEMPTS)
    assert heard == [("left", *attempts), ("forget", *attempts)]
