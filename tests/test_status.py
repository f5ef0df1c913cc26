"""`fer-orch status`: the report's accuracy table at the terminal, of whatever is there."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from datasets.errors import ConfigError
from orchestrator import status
from orchestrator.cli import app
from orchestrator.progress import plain_line, trial_table
from orchestrator.report import write_report
from orchestrator.report.collect import collect
from orchestrator.report.forms import html
from orchestrator.report.sections.columns import accuracy_table
from orchestrator.run_store import RunStore
from orchestrator.show import print_outcome
from orchestrator.texts import one_line, visible
from tests.made_up_runs import ALL_TRIALS, MIXED_STATES, MadeUpRun, write_run
from tests.test_checkpoint import made_up
from tests.test_report_latex import EVIL
from trainers.books import Books
from trainers.checkpoint import Position
from trainers.interruption import Cause
from trainers.result import TrialState

ROOT = Path(__file__).parents[1]
SMALL = MadeUpRun(
    trials=("mobilenet-s0", "mobilenetv2-s0", "xception-s0", "resnet50-s0"),
    states={
        "mobilenetv2-s0": TrialState.RUNNING,
        "xception-s0": TrialState.FAILED,
        "resnet50-s0": TrialState.DIVERGED,
    },
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    return write_run(tmp_path_factory.mktemp("mixed"))


def terminal(width: int = 200, is_terminal: bool = True) -> Console:
    return Console(force_terminal=is_terminal, width=width, record=True, file=io.StringIO())


def at_terminal(root: Path, width: int = 200) -> str:
    console = terminal(width)
    status.print_status(RunStore(root), console)
    return console.export_text()


def plain(root: Path) -> list[str]:
    done = CliRunner().invoke(app, ["status", str(root)])
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_terminal_shows_the_reports_accuracy_table(mixed):
    said = at_terminal(mixed.root)
    table = accuracy_table(collect(mixed.root))
    lines = iter(line for line in said.splitlines() if line.startswith("│"))
    for name, accuracy, interval, state, *_ in table.rows:
        line = next(lines)
        for cell in (name, accuracy, interval, state):
            assert f" {cell.text} " in line
        assert state.detail in line
    assert "1 pending, 1 running, 10 finished, 1 failed, 1 diverged" in said
    assert "validation accuracy 30.00 % so far, about 55 s left" in said


def test_on_80_characters_nothing_is_lost(mixed):
    said = at_terminal(mixed.root, 80)
    assert max(map(len, said.splitlines())) <= 80
    words = "".join(said.replace("│", " ").split())
    assert "ResourceExhaustedError:" in words
    assert "(epoch3," in words
    for trial in collect(mixed.root).trials:
        assert trial.title in said


def test_without_a_terminal_there_is_one_plain_line_a_trial(mixed):
    headline, *lines = plain(mixed.root)
    assert headline.startswith("made-up: 1 pending")
    assert [line.split()[0] for line in lines] == list(ALL_TRIALS)
    for line in lines:
        name = line.split()[0]
        assert line.split()[1].rstrip(",:") == MIXED_STATES.get(name, TrialState.FINISHED)
    said = "\n".join(lines)
    trial = next(one for one in collect(mixed.root).finished if one.record.name == "resnet50-s0")
    low, high = trial.scores.interval.low, trial.scores.interval.high
    assert f"accuracy {100 * trial.accuracy:.2f} % ({100 * low:.2f} – {100 * high:.2f})" in said
    assert "resnet152-s0 failed: ResourceExhaustedError: out of memory" in said
    assert "diverged: the training loss became nan (epoch 3, step 17)" in said
    assert "running, 2 of 5 epochs done, validation accuracy 30.00 % so far" in said


@pytest.mark.slow
def test_json_is_what_results_json_holds(mixed):
    done = CliRunner().invoke(app, ["status", str(mixed.root), "--json"])
    assert done.exit_code == 0, done.output
    write_report(mixed.root)
    said = json.loads(done.stdout)
    del said["progress"]
    assert said == json.loads((mixed.report_dir / "results.json").read_text(encoding="utf-8"))
    assert len(said["trials"]) == 14


def test_json_has_no_character_that_a_terminal_obeys(tmp_path):
    name = "a\x9b31m\u202eb\x7f\U0001f600"
    store = write_run(tmp_path, MadeUpRun(name=name, trials=("mobilenet-s0",), states={}))
    said = status.status_json(store)
    assert all(one == "\n" or " " <= one <= "~" for one in said)
    assert json.loads(said)["run"] == name


def test_json_and_watch_together_are_refused(mixed):
    done = CliRunner().invoke(app, ["status", str(mixed.root), "--json", "--watch"])
    assert done.exit_code == 2
    assert "--json prints once" in done.output


def finish(store: RunStore) -> None:
    """End the running trial."""
    write_run(store.root, MadeUpRun(trials=SMALL.trials, states={**SMALL.states, RUNNING: OVER}))
    (store.trial_dir(RUNNING) / "progress.json").unlink()


RUNNING, OVER = "mobilenetv2-s0", TrialState.FINISHED


def test_a_watch_without_a_terminal_tells_what_changed_and_ends_with_the_run(tmp_path):
    store = write_run(tmp_path, SMALL)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            finish(store)

    console = terminal(300, is_terminal=False)
    status.watch_status(RunStore(tmp_path), console, pause=pause)
    headline, *lines = console.export_text().splitlines()
    assert pauses == [2.0, 2.0]
    # Four trials at first, then the headline and the one that changed.
    assert [line.split()[0] for line in lines[:4]] == list(SMALL.trials)
    assert "1 running" in headline
    assert lines[4].startswith("made-up: 2 finished")
    assert lines[5].startswith(f"{RUNNING} finished, accuracy")
    assert len(lines) == 6


def test_a_watch_at_a_terminal_ends_with_the_last_state(tmp_path):
    store = write_run(tmp_path, SMALL)
    console = terminal()
    status.watch_status(RunStore(tmp_path), console, pause=lambda _: finish(store))
    assert "2 finished, 1 failed, 1 diverged" in console.export_text()


def test_a_finished_trials_predictions_are_read_once_while_they_stay(tmp_path, monkeypatch):
    from orchestrator.report import collect as module

    store = write_run(tmp_path, SMALL)
    reads: list[Path] = []
    read = module.read_predictions
    monkeypatch.setattr(module, "read_predictions", lambda path: reads.append(path) or read(path))
    module.collect(tmp_path)
    module.collect(tmp_path)
    assert len(reads) == 1
    path = store.trial_dir("mobilenet-s0") / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:100])
    (trial,) = (one for one in module.collect(tmp_path).trials if one.record.result)
    assert len(reads) == 2
    assert trial.scores is None


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_watch_ends_with_130(tmp_path, number):
    write_run(tmp_path, SMALL)
    command = [sys.executable, "-m", "orchestrator", "status", str(tmp_path), "--watch"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().startswith("made-up:")
    time.sleep(0.3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_hostile_texts_come_out_as_text_at_the_terminal(tmp_path):
    run = MadeUpRun(
        name=f"{EVIL} [bold red]name[/] :smile:",
        trials=("[blink]x[/]\x1b]0;title\x07-s0", "mobilenet-s0"),
        states={"mobilenet-s0": TrialState.FAILED},
        reason=f"{EVIL} [link=x]reason[/link] :boom: \x9b31m \r\x08",
    )
    store = write_run(tmp_path, run)
    console = terminal(3000)
    console.print(trial_table(store.trials()))
    print_outcome(store.trials(), str(tmp_path), tmp_path / "index.html", console)
    lines = [plain_line(record) for record in store.trials()]
    for said in (at_terminal(tmp_path, 3000), "\n".join(plain(tmp_path)), console.export_text()):
        assert not {"\x1b", "\x07", "\x9b", "\r", "\x08", "\u202e"} & set(said)
        assert "[link=x]reason[/link] :boom:" in said
    assert "[bold red]name[/] :smile:" in at_terminal(tmp_path, 3000)
    assert "[blink]x[/]" in at_terminal(tmp_path, 3000)
    assert not {"\x1b", "\x9b"} & set("".join(lines))


def test_texts_keep_what_can_be_shown():
    assert one_line(" a\n\tb\x1b[0m é 漢 \u202ex ") == "a b\ufffd[0m é 漢 \ufffdx"
    assert visible("a\n\tb\x07\udc80") == "a\n\tb\ufffd\ufffd"


def lengths(path: Path, size: int) -> list[int]:
    """Where to cut a file: before all, somewhere, before its last line's end, its last byte."""
    if path.suffix == ".png":  # there are many, and they are only shown
        return [0, size // 2]
    return sorted({0, size // 2, size - 20, size - 1} & set(range(size)))


@pytest.mark.slow
def test_whatever_file_is_half_written_report_and_status_work(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "_plotly", lambda: "")  # 5 MB each time
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    store = write_run(tmp_path, SMALL)
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.name for path in whole} >= {"run.yaml", "result.json", "history.csv"}
    for path, data in whole.items():
        for length in lengths(path, len(data)):
            path.write_bytes(data[:length])
            try:
                write_report(store.root)
                said = "\n".join(plain(store.root))
            except ConfigError:
                # Written whole before the first trial starts, by a rename.
                assert path.name == "run.yaml"
            else:
                assert all(name in said for name in SMALL.trials), (path, length)
        path.write_bytes(data)


def test_a_cut_number_is_not_taken_for_a_whole_one(tmp_path):
    store = write_run(tmp_path, SMALL)
    path = store.trial_dir(RUNNING) / "history.csv"
    path.write_bytes(path.read_bytes()[:-6])
    (trial,) = (one for one in collect(tmp_path).trials if one.record.name == RUNNING)
    assert len(trial.history) == 1


def test_a_stopped_trial_says_where_it_stood(tmp_path):
    pending = {"mobilenet-s0": TrialState.PENDING}
    store = write_run(tmp_path, MadeUpRun(trials=("mobilenet-s0",), states=pending))
    assert not store.trial("mobilenet-s0").stopped
    books = Books(store.trial_dir("mobilenet-s0"))
    books.step(Position(1, 31))
    books.close()
    where = "stopped at epoch 2, step 31; has no checkpoint yet and begins again"
    assert store.trial("mobilenet-s0").stopped == where
    store.checkpoints("mobilenet-s0").write(made_up())
    where = "stopped at epoch 2, step 31; goes on from its last checkpoint"
    assert where in at_terminal(tmp_path, 300)
    assert f"mobilenet-s0 pending: {where}" in plain(tmp_path)
    (record,) = store.trials()
    assert plain_line(record) == f"mobilenet-s0 pending: {where}"
    console = terminal(300)
    console.print(trial_table([record]))
    assert where in console.export_text()


def test_a_trial_that_was_started_again_says_how_often_and_why(tmp_path):
    store = write_run(tmp_path, SMALL)
    books = Books(store.trial_dir(RUNNING), session="one")
    books.start()
    assert "restart" not in plain_line(store.trial(RUNNING))
    books.start()
    assert plain_line(store.trial(RUNNING)).endswith(", restart 1 (killed)")
    books.end(Cause.OUT_OF_MEMORY)
    books.start()
    books.close()
    record = store.trial(RUNNING)
    assert plain_line(record).endswith(", restart 2 (out of memory)")
    console = terminal(300)
    console.print(trial_table([record]))
    assert "restart 2 (out of memory)" in console.export_text()


def test_json_has_the_progress_of_what_runs(mixed):
    content = json.loads(status.status_json(mixed))
    (progress,) = content["progress"]
    running = next(one for one in mixed.trials() if one.state is TrialState.RUNNING)
    assert running.progress is not None
    assert progress == running.progress.model_dump(mode="json")
