"""Child: seconds for the report of a made-up run of 14 architectures, 3 seeds, 4,000 images.

python benchmarks/report_time.py WORKDIR
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the tests' made-up runs

from orchestrator.report import write_report
from tests.made_up_runs import MadeUpRun, write_run
from trainers.architectures import ARCHITECTURES


def main() -> None:
    """Make the run up, then report it."""
    trials = tuple(f"{name}-s{seed}" for name in ARCHITECTURES for seed in range(3))
    store = write_run(
        Path(sys.argv[1]), MadeUpRun(trials=trials, states={}, validation_images=4000, epochs=100)
    )
    begin = time.perf_counter()
    write_report(store.root)
    print(time.perf_counter() - begin)


if __name__ == "__main__":
    main()
