"""Puts faults into a copy of the product, one at a time, and sees that the tests catch each.

`python benchmarks/mutants.py` takes ten to fifteen minutes; words choose faults by their names.
Each is one edit of one file, as a tired hand would make it, in an area where a silent fault costs
most. The tests named with it belong to `make test`; they pass without it. Exit code 1 if any is not
caught.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Mutant:
    """In `file` the text `before`, which is there once, becomes `after`."""

    name: str
    fault: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "metric",
        "macro figures are weighted by support",
        "trainers/evaluation.py",
        'average="macro",',
        'average="weighted",',
        ("tests/test_evaluation.py",),
    ),
    Mutant(
        "lock",
        "a second driver is let in",
        "orchestrator/run_lock.py",
        "        lock.acquire(timeout=0)\n",
        "        pass\n",
        ("tests/test_run_places.py",),
    ),
    Mutant(
        "atomic-write",
        "a file is written in place",
        "datasets/files.py",
        "        write(temporary)\n",
        "        write(path)\n        temporary.write_bytes(path.read_bytes())\n",
        ("tests/test_files.py",),
    ),
    Mutant(
        "resume-position",
        "the step of a checkpoint is done again",
        "trainers/fitting.py",
        "        self._first_step = first_step\n",
        "        self._first_step = max(first_step - 1, 0)\n",
        (
            "tests/test_resume_anywhere.py::test_interrupted_again_and_again_it_ends_with_the_same_bytes",
        ),
    ),
    Mutant(
        "seed",
        "every epoch has the same order",
        "datasets/sampler.py",
        "    return keyed_permutation((seed, epoch), size)\n",
        "    return keyed_permutation((seed, 0), size)\n",
        ("tests/test_sampler.py",),
    ),
    Mutant(
        "redaction",
        "a password in an address is printed",
        "datasets/remote_folder.py",
        "{bucket.rpartition('@')[2]} holds",
        "{bucket} holds",
        ("tests/test_folder.py",),
    ),
    Mutant(
        "split",
        "a small class has no validation image",
        "datasets/splits.py",
        "min(max(round(rows * fraction), 1), rows - 1)",
        "round(rows * fraction)",
        ("tests/test_prepare.py", "tests/test_sources.py"),
    ),
    Mutant(
        "report-figure",
        "the confusion matrix is turned over",
        "orchestrator/report/sections/confusion.py",
        "        text=[list(row) for row in scores.confusion],\n",
        "        text=[list(row) for row in zip(*scores.confusion, strict=True)],\n",
        ("tests/test_report.py", "tests/test_report_sections.py"),
    ),
    Mutant(
        "signal",
        "the first Ctrl-C ends trials without a checkpoint",
        "orchestrator/interrupts.py",
        "            first()\n            return\n",
        "            first()\n",
        ("tests/test_interrupts.py",),
    ),
    Mutant(
        "token",
        "a cluster that wants another token is taken for one that is silent",
        "orchestrator/ray_token.py",
        "        return True\n    return False\n",
        "        return False\n    return False\n",
        ("tests/test_cluster_token.py",),
    ),
    Mutant(
        "drain",
        "a trial does not hear that its node is drained",
        "orchestrator/ray_drain.py",
        "                    info = ray.train.get_preemption_info()\n",
        "                    info = None\n",
        ("tests/test_drain_notice.py",),
    ),
    Mutant(
        "checksum",
        "a shard of the right size passes whatever it holds",
        "datasets/manifest.py",
        "    if actual != shard.sha256:\n",
        "    if len(actual) != len(shard.sha256):\n",
        ("tests/test_shards.py", "tests/test_cli.py"),
    ),
)


def copy_of_checkout(folder: Path) -> None:
    """What git tracks, as it is in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def run_tests(folder: Path, tests: tuple[str, ...]) -> list[str]:
    """The tests that fail in a checkout, up to the first."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not cluster", *tests],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):  # neither all passed nor some failed
        raise SystemExit(done.stdout + done.stderr)
    return re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)


def caught_by(folder: Path, mutant: Mutant) -> list[str]:
    """The test that fails with the fault; the file is mended again."""
    path = folder / mutant.file
    whole = path.read_text(encoding="utf-8")
    if whole.count(mutant.before) != 1:
        raise SystemExit(f"{mutant.name}: {mutant.file} has not once {mutant.before!r}")
    path.write_text(whole.replace(mutant.before, mutant.after), encoding="utf-8")
    try:
        return run_tests(folder, mutant.tests)
    finally:
        path.write_text(whole, encoding="utf-8")


def main() -> int:
    """Print a row a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = [one.name for one in MUTANTS]
    parser.add_argument("names", nargs="*", metavar="FAULT", help=f"of {', '.join(known)}")
    names = parser.parse_args().names
    if unknown := set(names) - set(known):
        parser.error(f"no fault is named {', '.join(sorted(unknown))}; valid: {', '.join(known)}")
    chosen = [one for one in MUTANTS if not names or one.name in names]
    escaped = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        folder = Path(place)
        copy_of_checkout(folder)
        tests = tuple(dict.fromkeys(test for one in chosen for test in one.tests))
        if failed := run_tests(folder, tests):
            raise SystemExit(f"without any fault {failed[0]} fails")
        print("| area | fault | caught by | s |\n|---|---|---|---|")
        for mutant in chosen:
            begin = time.monotonic()
            catchers = caught_by(folder, mutant)
            escaped += not catchers
            seconds = time.monotonic() - begin
            said = f"`{catchers[0]}`" if catchers else "**nothing**"
            print(f"| {mutant.name} | {mutant.fault} | {said} | {seconds:.0f} |", flush=True)
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
