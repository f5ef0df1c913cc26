"""The faults of `benchmarks/mutants.py` can still be put in: what they change is there, once."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_each_fault_can_be_put_in():
    mutants = runpy.run_path(str(ROOT / "benchmarks" / "mutants.py"))["MUTANTS"]
    assert len(mutants) == 12
    for one in mutants:
        assert (ROOT / one.file).read_text(encoding="utf-8").count(one.before) == 1, one.name
        assert all((ROOT / test.partition("::")[0]).is_file() for test in one.tests), one.name
