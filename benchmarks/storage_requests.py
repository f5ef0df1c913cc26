"""What a run in an object store asks of it: requests by kind, of its trials and of their driver.

    python benchmarks/storage_requests.py WORKDIR [--epochs 30] [--images 240]

`run-all` trains MobileNet for one, then for two trials at once, with its run directory in a bucket
of moto's server on this machine, which sees each request. Printed as Markdown are the requests of
both runs by kind, and what the second trial added, a minute of the run from its start to its end.
"""

import argparse
import logging
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent))  # for the tests' stand-in of a store

from tests.object_stores import s3  # noqa: E402

KINDS = {
    "list": "a folder is listed",
    "head": "is it there, and how large",
    "read": "a file is read",
    "write": "a file is written",
    "delete": "a file is removed",
}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Counted(logging.Handler):
    """Counts the requests that the server's log tells of."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Sort one line: `... "GET /bucket/name HTTP/1.1" 200 -`."""
        line = _COLOUR.sub("", record.getMessage())  # of all answers but 200
        request = line.partition('"')[2].partition('"')[0].split()
        if len(request) == 3:
            self.kinds[self._kind(request[0], request[1])] += 1

    @staticmethod
    def _kind(method: str, path: str) -> str:
        if "list-type=2" in path:
            return "list"
        if method == "POST" and "?delete" in path:
            return "delete"
        return {"HEAD": "head", "GET": "read", "DELETE": "delete"}.get(method, "write")


def counted_run(epochs: int, seeds: str, data: Path) -> tuple[float, Counter[str]]:
    """Seconds of a run with a trial for each seed, and its requests."""
    words = ["run-all", "--preset", "demo", "--only", "mobilenet", "--seeds", seeds]
    log, counted = logging.getLogger("werkzeug"), Counted()
    with s3() as bucket:
        log.setLevel(logging.INFO)
        log.propagate = False
        log.addHandler(counted)
        place = ["--data", str(data), "--run-dir", f"{bucket}/run"]
        chosen = ["--set", f"recipe.epochs={epochs}", "--set", "recipe.image_size=64"]
        begin = time.perf_counter()
        command = [sys.executable, "-m", "orchestrator", *words, *place, *chosen]
        subprocess.run(command, check=True, stdout=sys.stderr)
        took = time.perf_counter() - begin
        log.removeHandler(counted)
    return took, counted.kinds


def main() -> None:
    """Measure and print."""
    from datasets.prepare import synth

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--images", type=int, default=240, help="in an epoch")
    chosen = parser.parse_args()
    data = chosen.work / f"shards-{chosen.images}"
    if not data.exists():
        synth(data, train=chosen.images, validation=40, size=64, seed=0)
    (one_s, one), (two_s, two) = (counted_run(chosen.epochs, seeds, data) for seeds in ("0", "0,1"))
    print(f"| request | one trial, {one_s:.0f} s | two at once, {two_s:.0f} s | the second |")
    print("|---|--:|--:|--:|")
    for kind, title in KINDS.items():
        added = two[kind] - one[kind]
        print(f"| {title} | {one[kind]} | {two[kind]} | {60 * added / two_s:.0f} a minute |")


if __name__ == "__main__":
    main()
