"""What Weights & Biases, without a network, has of a run: each trial once, each epoch once."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.config import RunConfig
from orchestrator.tracking import check_tracking
from tests.tracked_runs import NAME, Command, Row, Trial, config_with, row, short_pauses

if TYPE_CHECKING:
    from wandb.proto.wandb_internal_pb2 import Record

pytestmark = pytest.mark.slow

KEY = "feedface" * 5


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    short_pauses(monkeypatch)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    return config_with(tracking="wandb")


def records(file: Path) -> "Iterator[Record]":
    """What a `.wandb` file holds: LevelDB's log of blocks of 32 KiB, after a head of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (room := -at % 2**15) and room < 7:
            at += room
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part of one
            yield Record.FromString(parts)
            parts = b""


def test_wandb_has_one_run_a_trial_with_its_epochs_and_no_secret(
    offline: RunConfig, tmp_path: Path
):
    check_tracking(offline)
    root = tmp_path / "run"
    for epochs in ([row(1)], [row(1), row(2)]):
        command = Command(offline, root)
        command.tell(Trial(), epochs, failed=True)
        assert command.end() == []
    files = sorted(root.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2
    found = [list(records(file)) for file in files]
    begun = [one.run for all_of in found for one in all_of if one.HasField("run")]
    assert {(run.display_name, run.project, run.run_group) for run in begun} == {
        (NAME, "fer-orch", "faces")
    }
    assert len({run.run_id for run in begun}) == 1
    told = {one.key or one.nested_key[0]: one.value_json for one in begun[0].config.update}
    assert (told["architecture"], told["seed"]) == ('"resnet50"', "0")
    assert [one.history.step.num for one in found[1] if one.HasField("history")] == [1, 2]
    assert [one.exit.exit_code for one in found[1] if one.HasField("exit")] == [1]
    for file in root.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes(), file


class Continued:
    """A run that W&B has up to epoch 2."""

    starting_step = 3

    def __init__(self) -> None:
        self.logged: list[int] = []
        self.summary: dict[str, float] = {}
        self.exit_code: int | None = None

    def log(self, figures: Row, step: int) -> None:
        self.logged.append(step)

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


def test_wandb_is_not_told_again_what_it_has(
    offline: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, asked = Continued(), []

    def init(**how: object) -> Continued:
        asked.append((how["id"], how["resume"], how["reinit"]))
        return run

    monkeypatch.setattr("wandb.init", init)
    command = Command(offline, tmp_path / "run")
    command.tell(Trial(), [row(1), row(2, macro_f1=0.5), row(3)])
    assert command.end() == []
    known = (tmp_path / "run" / "tracking.id").read_text(encoding="utf-8")
    assert asked == [(f"{known}-{NAME}", "allow", "create_new")]
    assert run.logged == [3]
    assert run.summary["macro_f1"] == 0.5
    assert run.exit_code == 255
