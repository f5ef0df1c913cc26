"""What a run in an object store asks of it: requests by kind, of its trials and of their driver.

    python benchmarks/storage_requests.py WORKDIR [--epochs 6] [--images 6000] [--set KEY=VALUE]…

`run-all` trains MobileNet, two trials at once, with its run directory in a bucket of moto's server
on this machine, which sees each request. Printed as Markdown are: what a trial asks a minute while
it trains (from its first checkpoint to its last but one), what it asks besides, at its start and
its end, and what the driver asks a minute.
"""

import argparse
import logging
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

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
SEEDS = (0, 1)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TRIAL = re.compile(r"trials/([\w-]+)")


@dataclass(frozen=True)
class Asked:
    """One request: when, of which trial (empty: of the driver), its kind, and what it is about."""

    at_s: float
    trial: str
    kind: str
    path: str

    @classmethod
    def parse(cls, line: str, trial_before: str) -> "Asked | None":
        """A line of the server's log: `... "GET /bucket/name HTTP/1.1" 200 -`."""
        request = _COLOUR.sub("", line).partition('"')[2].partition('"')[0].split()
        if len(request) != 3:
            return None
        method, path = request[0], unquote(request[1])
        kind = {"HEAD": "head", "GET": "read", "DELETE": "delete"}.get(method, "write")
        if "list-type=2" in path:
            kind = "list"
        found = _TRIAL.search(path)
        trial = found[1] if found else ""
        if method == "POST" and path.endswith("?delete"):
            kind, trial = "delete", trial_before  # it names its files elsewhere, after a list
        return cls(time.monotonic(), trial, kind, path)


class Listener(logging.Handler):
    """Keeps the requests that the server's log tells of."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        before = self.asked[-1].trial if self.asked else ""
        if one := Asked.parse(record.getMessage(), before):
            self.asked.append(one)


def listened_run(epochs: int, data: Path, settings: list[str]) -> list[Asked]:
    """The requests of a run with a trial for each seed."""
    words = ["run-all", "--preset", "demo", "--only", "mobilenet"]
    words += ["--seeds", ",".join(map(str, SEEDS)), "--data", str(data)]
    for one in (f"recipe.epochs={epochs}", "recipe.image_size=64", *settings):
        words += ["--set", one]
    log, listener = logging.getLogger("werkzeug"), Listener()
    with s3() as bucket:
        log.setLevel(logging.INFO)
        log.propagate = False
        log.addHandler(listener)
        command = [sys.executable, "-m", "orchestrator", *words, "--run-dir", f"{bucket}/run"]
        subprocess.run(command, check=True, stdout=sys.stderr)
        log.removeHandler(listener)
    return listener.asked


def training(asked: list[Asked], trial: str) -> tuple[float, float]:
    """When a trial's first checkpoint was whole, and when its last but one was."""
    whole = [
        one.at_s
        for one in asked
        if one.trial == trial and one.kind == "write" and one.path.endswith("/COMPLETE")
    ]
    if len(whole) < 3:
        raise SystemExit(f"{trial} has {len(whole)} checkpoints: give it more --epochs")
    return whole[0], whole[-2]


def table(asked: list[Asked]) -> str:
    """See the module."""
    trials = [f"mobilenet-s{seed}" for seed in SEEDS]
    steady: Counter[str] = Counter()
    besides: Counter[str] = Counter()
    minutes = 0.0
    for trial in trials:
        begin, end = training(asked, trial)
        minutes += (end - begin) / 60
        for one in (one for one in asked if one.trial == trial):
            (steady if begin < one.at_s <= end else besides)[one.kind] += 1
    driver = Counter(one.kind for one in asked if not one.trial)
    took = (asked[-1].at_s - asked[0].at_s) / 60
    lines = [
        f"| request | a trial, a minute of training (of {minutes:.1f}) | its start and its end | "
        f"the driver, a minute (of {took:.1f}) |",
        "|---|--:|--:|--:|",
    ]
    for kind, title in {**KINDS, "": "all"}.items():
        counts = [sum(one.values()) if not kind else one[kind] for one in (steady, besides, driver)]
        cells = [counts[0] / minutes, counts[1] / len(trials), counts[2] / took]
        lines.append(f"| {title} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    from datasets.prepare import synth

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=6000, help="in an epoch")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    chosen = parser.parse_args()
    data = chosen.work / f"shards-{chosen.images}"
    if not data.exists():
        synth(data, train=chosen.images, validation=40, size=64, seed=0)
    print(table(listened_run(chosen.epochs, data, chosen.settings)))


if __name__ == "__main__":
    main()
