"""`run-all` as a user runs it: through Ray, in a process of its own, killed and continued."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from trainers.books import Books
from trainers.checkpoint import Position
from trainers.entries import End
from trainers.interruption import Cause
from trainers.result import PROGRESS_FILE, RESULT_FILE, TrialProgress, TrialResult, read_record

pytestmark = pytest.mark.slow

TRIALS = ("mobilenet-s0", "mobilenetv2-s0")
SETTINGS = (
    "recipe.image_size=32",
    "recipe.batch_size=8",
    "recipe.epochs=2",
    "resilience.checkpoint_steps=2",
    "data.drawn.train=96",
    "data.drawn.validation=24",
    "data.drawn.size=32",
    "resources.max_concurrent=1",
)


# For what concerns one trial: the other costs a third of a minute each time.
ONE = ("--only", "mobilenet")
RUN_WORDS = "--preset demo --only mobilenet"


def command(run_dir: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "orchestrator", "run-all", "--preset", "demo"]
    words += ["--only", "mobilenet,mobilenetv2", "--run-dir", str(run_dir)]
    for setting in SETTINGS:
        words += ["--set", setting]
    return [*words, *more]


def start(run_dir: Path, *more: str, start_new_session: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(run_dir, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=start_new_session,
    )


def finish(run_dir: Path, *more: str, code: int = 0) -> str:
    done = subprocess.run(
        command(run_dir, *more), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file's bytes and time of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def result_of(run_dir: Path, trial: str) -> TrialResult:
    result = read_record(run_dir / "trials" / trial / RESULT_FILE, TrialResult)
    assert result is not None
    return result


def assert_same_outcome(one: Path, other: Path, trials: tuple[str, ...] = TRIALS) -> None:
    for trial in trials:
        for name in ("history.csv", "predictions.parquet"):
            paths = [run / "trials" / trial / name for run in (one, other)]
            assert paths[0].read_bytes() == paths[1].read_bytes(), f"{trial} {name}"


def wait_until(condition, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def reached(run_dir: Path, trial: str) -> Position:
    folder = run_dir / "trials" / trial
    if not (folder / "position").is_file():
        return Position()
    books = Books(folder)
    try:
        return books.reached()
    finally:
        books.close()


def ray_process(driver: subprocess.Popen[str], name: str) -> int:
    """The pid of the one such actor among the processes that the driver started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = [driver.pid]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    (found,) = [pid for pid in family if name in Path(f"/proc/{pid}/cmdline").read_text()]
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("run") / "undisturbed"
    finish(run_dir)
    return run_dir


def test_a_run_leaves_the_contracts_files(undisturbed: Path):
    for trial in TRIALS:
        folder = undisturbed / "trials" / trial
        assert result_of(undisturbed, trial).accuracy >= 0
        for name in ("history.csv", "predictions.parquet", "model.keras", "log.txt"):
            assert (folder / name).stat().st_size > 0
        assert list((folder / "tensorboard").glob("events*"))
        assert not list((folder / "checkpoints").glob("*"))
    with (undisturbed / "report" / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["status"] for row in rows] == ["finished", "finished"]
    assert (undisturbed / "report" / "index.html").stat().st_size > 10_000
    provenance = json.loads((undisturbed / "provenance.json").read_text())
    assert provenance["versions"]["ray"].startswith("2.60")
    assert not (undisturbed / ".ray").exists()


def test_the_same_command_again_trains_nothing_and_changes_no_file(undisturbed: Path):
    before = files(undisturbed)
    begin = time.monotonic()
    output = finish(undisturbed)
    assert time.monotonic() - begin < 20
    assert "starting Ray" not in output
    assert files(undisturbed) == before


def test_output_without_a_terminal_is_plain_lines(tmp_path: Path, undisturbed: Path):
    output = finish(undisturbed)
    assert "\x1b" not in output
    assert "raylet" not in output
    assert f"report: {undisturbed / 'report' / 'index.html'}" in output


def test_a_killed_driver_is_continued_and_the_finished_keep_their_bytes(
    undisturbed: Path, tmp_path: Path
):
    run_dir = tmp_path / "run"
    driver = start(run_dir)
    # The plan's order, one at a time: the first is finished, the second is in mid-epoch.
    order = _plan(undisturbed)
    wait_until(lambda: reached(run_dir, order[1]) >= Position(0, 5), driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    finished = files(run_dir / "trials" / order[0])
    assert RESULT_FILE in finished
    finish(run_dir)  # at once: the killed driver's worker may still be there
    assert files(run_dir / "trials" / order[0]) == finished
    assert_same_outcome(undisturbed, run_dir)
    assert result_of(run_dir, order[1]).restarts >= 1


def _plan(run_dir: Path) -> list[str]:
    return yaml.safe_load((run_dir / "run.yaml").read_text())["trials"]


def test_a_killed_worker_is_started_again_and_loses_nothing(undisturbed: Path, tmp_path: Path):
    run_dir = tmp_path / "run"
    driver = start(run_dir, *ONE)
    trial = TRIALS[0]
    wait_until(lambda: reached(run_dir, trial) >= Position(0, 5), driver)
    progress = read_record(run_dir / "trials" / trial / PROGRESS_FILE, TrialProgress)
    assert progress is not None
    os.kill(progress.pid, signal.SIGKILL)
    output, _ = driver.communicate(timeout=600)
    assert driver.returncode == 0, output
    assert_same_outcome(undisturbed, run_dir, TRIALS[:1])
    assert result_of(run_dir, trial).restarts == 1


def test_a_killed_controller_gives_its_place_back_and_the_trial_goes_on(
    undisturbed: Path, tmp_path: Path
):
    """On a machine of one core, where a place that stayed taken would block the next start."""
    run_dir = tmp_path / "run"
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        driver = start(run_dir, *ONE)
    finally:
        os.sched_setaffinity(0, cores)
    trial = TRIALS[0]
    wait_until(lambda: reached(run_dir, trial) >= Position(0, 5), driver)
    os.kill(ray_process(driver, "TrainController"), signal.SIGKILL)
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, output
    assert_same_outcome(undisturbed, run_dir, TRIALS[:1])
    assert result_of(run_dir, trial).restarts_by_cause == {Cause.KILLED: 1}


def test_a_ray_of_somebody_else_on_the_machine_disturbs_nobody(undisturbed: Path, tmp_path: Path):
    """`ray start` leaves its address where Ray looks first, also from within another cluster."""
    from ray.cluster_utils import Cluster

    other = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        finish(tmp_path / "run", *ONE)
    finally:
        other.shutdown()
    assert_same_outcome(undisturbed, tmp_path / "run", TRIALS[:1])
    assert result_of(tmp_path / "run", TRIALS[0]).restarts == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_a_step_with_a_checkpoint_and_the_same_command_continues(
    number: signal.Signals, undisturbed: Path, tmp_path: Path
):
    run_dir = tmp_path / "run"
    driver = start(run_dir, *ONE)
    wait_until(lambda: reached(run_dir, TRIALS[0]) >= Position(0, 3), driver)
    driver.send_signal(number)
    output, _ = driver.communicate(timeout=120)
    assert driver.returncode == 130, output
    assert "each trial checkpoints at its next step" in output
    assert f"continues where it stopped: python -m orchestrator run-all {RUN_WORDS}" in output
    assert not (run_dir / "stop").exists()
    finish(run_dir, *ONE)
    assert_same_outcome(undisturbed, run_dir, TRIALS[:1])
    result = result_of(run_dir, TRIALS[0])
    assert result.restarts_by_cause == {Cause.STOPPED: 1}
    assert result.steps_repeated == 0


def test_a_signal_to_the_whole_group_is_one_to_the_driver(undisturbed: Path, tmp_path: Path):
    """`timeout`, a shell and a batch system send SIGTERM to all that a command has started."""
    run_dir = tmp_path / "run"
    driver = start(run_dir, *ONE, start_new_session=True)
    wait_until(lambda: reached(run_dir, TRIALS[0]) >= Position(0, 3), driver)
    os.killpg(driver.pid, signal.SIGTERM)
    output, _ = driver.communicate(timeout=45)
    assert driver.returncode == 130, output
    assert ends_of(run_dir, TRIALS[0]) == [Cause.STOPPED]
    finish(run_dir, *ONE)
    assert_same_outcome(undisturbed, run_dir, TRIALS[:1])
    assert result_of(run_dir, TRIALS[0]).steps_repeated == 0


def test_a_run_goes_on_when_nobody_reads_its_output(tmp_path: Path):
    run_dir = tmp_path / "run"
    driver = start(run_dir, *ONE)
    assert driver.stdout
    driver.stdout.readline()
    driver.stdout.close()  # as `| head -1` does
    assert driver.wait(timeout=200) == 0
    assert (run_dir / "report" / "index.html").is_file()


def test_a_stop_while_the_plans_first_trial_trains_waits_for_nobody(tmp_path: Path):
    run_dir = tmp_path / "run"
    driver = start(run_dir)
    wait_until((run_dir / "run.yaml").is_file, driver)
    first = _plan(run_dir)[0]
    wait_until(lambda: reached(run_dir, first) >= Position(0, 3), driver)
    driver.stdout.close()  # the terminal is gone too, as with `| tee`
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=45) == 130
    assert ends_of(run_dir, first) == [Cause.STOPPED]


def ends_of(run_dir: Path, trial: str) -> list[Cause]:
    books = Books(run_dir / "trials" / trial)
    try:
        return [entry.cause for entry in books.entries() if isinstance(entry, End)]
    finally:
        books.close()


def test_a_second_ctrl_c_stops_at_once_and_finished_work_stays(undisturbed: Path, tmp_path: Path):
    run_dir = tmp_path / "run"
    driver = start(run_dir)
    first, second = _plan(undisturbed)
    wait_until(lambda: reached(run_dir, second) >= Position(0, 3), driver)
    finished = files(run_dir / "trials" / first)
    assert RESULT_FILE in finished
    # Where the trial can't come to a step's end: its process stands still.
    progress = read_record(run_dir / "trials" / second / PROGRESS_FILE, TrialProgress)
    assert progress is not None
    os.kill(progress.pid, signal.SIGSTOP)
    driver.send_signal(signal.SIGINT)
    time.sleep(2)
    assert driver.poll() is None
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130, output
    assert files(run_dir / "trials" / first) == finished


def test_a_trial_that_diverges_keeps_its_row_and_the_exit_code_says_so(tmp_path: Path):
    run_dir = tmp_path / "run"
    finish(run_dir, "--only", "mobilenet", "--set", "recipe.learning_rate=3e38", code=1)
    with (run_dir / "report" / "results.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["status"] == "diverged"
    assert row["accuracy"] == ""
    assert "learning_rate" in row["reason"]


def test_a_trial_whose_storage_is_broken_fails_alone(undisturbed: Path, tmp_path: Path):
    run_dir = tmp_path / "run"
    broken = run_dir / "trials" / TRIALS[0]
    broken.mkdir(parents=True)
    (broken / "checkpoints").write_text("no folder")
    finish(run_dir, "--set", "resilience.storage_minutes=0", code=1)
    with (run_dir / "report" / "results.csv").open() as stream:
        rows = {row["architecture"]: row for row in csv.DictReader(stream)}
    assert rows["mobilenet"]["status"] == "failed"
    assert "StorageError" in rows["mobilenet"]["reason"]
    assert rows["mobilenetv2"]["status"] == "finished"
    (broken / "checkpoints").unlink()
    finish(run_dir, "--set", "resilience.storage_minutes=0")  # the same command tries it again
    assert_same_outcome(undisturbed, run_dir)


def test_plain_keras_predicts_what_the_run_wrote(undisturbed: Path, tmp_path: Path):
    """The saved model takes raw images and needs none of our packages."""
    import numpy as np
    import pyarrow.parquet as pq

    from datasets.cache import stage

    trial = undisturbed / "trials" / TRIALS[0]
    split = stage(undisturbed / "data", tmp_path / "cache", 32).split("validation")
    stored = pq.read_table(trial / "predictions.parquet")
    assert stored["image_id"].to_pylist() == list(split.image_ids)
    np.savez(
        tmp_path / "validation.npz",
        images=split.gather(np.arange(len(split))),
        probabilities=np.array(stored["probabilities"].to_pylist(), np.float32),
        predicted=stored["predicted"].to_numpy(),
    )
    script = (
        "import sys, keras, numpy as np\n"
        "stored = np.load('validation.npz')\n"
        f"found = keras.models.load_model({str(trial / 'model.keras')!r})"
        ".predict(stored['images'], verbose=0)\n"
        "assert not {'trainers', 'datasets', 'orchestrator'} & set(sys.modules)\n"
        "np.testing.assert_allclose(found, stored['probabilities'], atol=1e-5)\n"
        "assert (found.argmax(axis=1) == stored['predicted']).all()\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
