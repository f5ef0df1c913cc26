"""What becomes of a command whose output nobody reads any more."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.made_up_runs import MadeUpRun, write_run
from trainers.result import TrialState

COMMAND = (sys.executable, "-m", "orchestrator")


def without_reader(*words: object) -> tuple[int, str]:
    """Exit code and standard error of a command, the other end of whose output is closed."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()  # as `| head -0` does
    return process.wait(120), process.stderr.read()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trials = ("mobilenet-s0", "resnet50-s0")
    made = MadeUpRun(trials=trials, states={trials[1]: TrialState.PENDING}, validation_images=8)
    return write_run(tmp_path_factory.mktemp("made"), made).root


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--json",), ("--watch",)])
def test_what_only_shows_something_ends_without_a_word(run: Path, words: tuple[str, ...]):
    assert without_reader("status", run, *words) == (128 + 13, "")


@pytest.mark.slow
def test_what_makes_something_makes_it_all_the_same(tmp_path: Path):
    words = ("data", "synth", tmp_path / "drawn", "--train", 8, "--validation", 8, "--size", 32)
    assert without_reader(*words) == (0, "")
    assert (tmp_path / "drawn" / "manifest.json").is_file()


@pytest.mark.slow
def test_a_closed_output_is_no_broken_one(run: Path):
    done = subprocess.run(
        f"{sys.executable} -m orchestrator status {run} >&-",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
