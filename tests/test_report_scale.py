"""A report of fourteen trials, three seeds and AffectNet's 4,000 images: time, memory, bytes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.made_up_runs import MadeUpRun, write_run
from trainers.architectures import ARCHITECTURES

CODE = """
import json, resource, sys
from pathlib import Path
from orchestrator.report import write_report
write_report(Path(sys.argv[1]))
from trainers.costs import peak_memory_bytes  # not getrusage: it would count the parent's peak
used = resource.getrusage(resource.RUSAGE_SELF)
mib = peak_memory_bytes() / 2**20
print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "mib": mib}))
"""


@pytest.mark.slow
def test_forty_two_trials_of_4000_images_take_under_30_s_and_1_gib(tmp_path):
    trials = tuple(f"{name}-s{seed}" for name in ARCHITECTURES for seed in range(3))
    run = MadeUpRun(trials=trials, states={}, validation_images=4000, epochs=100)
    reports = []
    for name in ("one", "other"):
        store = write_run(tmp_path / name, run)
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(store.root)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        )
        used = json.loads(done.stdout)
        print(f"{used['seconds']:.1f} s, {used['mib']:.0f} MiB")
        # Of processor time, all threads together: the clock on the wall counts other work too.
        assert used["seconds"] < 30
        assert used["mib"] < 1024
        files = [path for path in store.report_dir.rglob("*") if path.is_file()]
        reports.append(
            {str(path.relative_to(store.report_dir)): path.read_bytes() for path in files}
        )
    assert reports[0] == reports[1]
    assert len(reports[0]["index.html"]) < 15 * 2**20
    assert reports[0]["comparisons.csv"].count(b"\n") == 1 + 14 * 13 // 2
