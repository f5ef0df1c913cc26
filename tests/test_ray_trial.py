"""What a Train worker makes of how its trial ended: without Ray's processes."""

from dataclasses import replace
from pathlib import Path

import pytest

from datasets.errors import DataError
from orchestrator.ray_environment import prepare_environment

prepare_environment()

from orchestrator import ray_trial  # noqa: E402
from orchestrator.ray_trial import work  # noqa: E402
from tests.sharing_specs import sharing_spec  # noqa: E402
from trainers import trial  # noqa: E402
from trainers.context import LocalContext  # noqa: E402
from trainers.entries import End, entries_in  # noqa: E402
from trainers.interruption import Cause, TrialInterrupted  # noqa: E402
from trainers.result import FAILURE_FILE, TrialFailure  # noqa: E402
from trainers.session import CacheChangedError  # noqa: E402
from trainers.spec import TrialSpec  # noqa: E402
from trainers.trial import run_trial  # noqa: E402
from trainers.writing import write_failure  # noqa: E402


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return sharing_spec(tmp_path)


class TestTheWorker:
    @pytest.fixture(autouse=True)
    def here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ray_trial, "_send_output_to", lambda _: None)
        monkeypatch.setattr(ray_trial, "RayContext", lambda *_: None)

    def fails(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        def run(spec: TrialSpec, _: object) -> None:
            write_failure(
                spec.trial_dir, TrialFailure(trial=spec.name, state="failed", reason=str(error))
            )
            raise error

        monkeypatch.setattr(trial, "run_trial", run)

    def test_takes_any_error_on_a_shared_gpu_for_want_of_memory(
        self, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
    ):
        self.fails(monkeypatch, RuntimeError("CUDNN_STATUS_INTERNAL_ERROR"))
        with pytest.raises(RuntimeError):
            work({"spec": spec})
        assert not (spec.trial_dir / FAILURE_FILE).exists()

    @pytest.mark.parametrize("cause", [Cause.STAGE_OVER, Cause.STOPPED, Cause.PREEMPTED])
    def test_comes_back_from_an_interruption(
        self, cause: Cause, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
    ):
        """Train takes the trial for done, and starts it no more; what is next the books say."""

        def run(*_: object) -> None:
            raise TrialInterrupted(cause)

        monkeypatch.setattr(trial, "run_trial", run)
        work({"spec": spec})

    def test_tells_train_of_it_on_a_whole_one(
        self, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
    ):
        self.fails(monkeypatch, RuntimeError("CUDNN_STATUS_INTERNAL_ERROR"))
        with pytest.raises(RuntimeError):
            work({"spec": replace(spec, gpus=1.0)})
        assert (spec.trial_dir / FAILURE_FILE).exists()

    def test_ends_a_trial_by_an_error_of_ours_wherever_it_is(
        self, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
    ):
        self.fails(monkeypatch, DataError("shards are damaged"))
        work({"spec": spec})
        assert (spec.trial_dir / FAILURE_FILE).exists()


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (RuntimeError("cuBLAS"), False),
        (DataError("no shards"), True),
        (CacheChangedError("written to"), True),
    ],
)
def test_the_books_tell_the_place_and_whether_an_error_is_ours(
    error: Exception, ours: bool, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
):
    def configure(*_: object) -> None:
        raise error

    monkeypatch.setattr(trial.backend, "configure", configure)
    with pytest.raises(type(error)):
        run_trial(spec, LocalContext(spec.trial_dir))
    start, end = entries_in(spec.trial_dir)
    assert start.shared_gpu
    assert isinstance(end, End)
    assert (end.cause, end.ours) == (Cause.FAILED, ours)
