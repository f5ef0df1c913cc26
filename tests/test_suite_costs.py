"""What is told of the suite's own costs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import suite_costs
from tests.suite_costs import KEPT, Processes, by_file, keep, longest_first

COSTS = """test,phase,process,wall_s,processor_s
tests/test_b.py::test_one[x],call,gw0,3.0,2.5
tests/test_b.py::test_one[x],setup,gw0,1.0,0.5
tests/test_a.py::test_two,setup,gw1,0.5,0.25
tests/test_a.py::test_two,call,gw1,0.25,0.25
"""


@pytest.fixture
def costs(tmp_path: Path) -> Path:
    path = tmp_path / "costs.csv"
    path.write_text(COSTS)
    return path


def test_a_file_costs_what_its_tests_phases_do(costs: Path):
    assert by_file(costs) == [("tests/test_b.py", 1, 4.0, 3.0), ("tests/test_a.py", 1, 0.75, 0.5)]


def test_what_takes_longest_comes_first_and_before_it_what_nobody_knows(
    costs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(suite_costs, "KEPT", tmp_path / "kept.csv")
    (tmp_path / "kept.csv").write_text("file,tests,wall_s,processor_s\n")
    keep(costs)
    files = ["tests/test_a.py", "tests/test_b.py", "tests/test_new.py"]
    assert longest_first(files) == ["tests/test_new.py", "tests/test_b.py", "tests/test_a.py"]


def test_costs_of_a_part_of_the_suite_are_not_kept(costs: Path):
    before = KEPT.read_bytes()
    with pytest.raises(SystemExit, match=r"is of no whole run: .*tests/test_run\.py"):
        keep(costs)
    assert KEPT.read_bytes() == before


def test_every_kept_file_is_there():
    files = [line.partition(",")[0] for line in KEPT.read_text().splitlines()[1:]]
    assert files
    assert [file for file in files if not (suite_costs.ROOT / file).is_file()] == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc")
def test_what_a_childs_child_works_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FER_ORCH_TESTS_OF", "none")
    processes = Processes()
    processes.used_s()
    work = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ninput()"
    command = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])"]
    with subprocess.Popen(
        [*command, sys.executable, "-c", work],
        env={},  # its family is told by its parent
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        used = processes.used_s()
        child.communicate(b"\n")
    assert used >= 0.45
