"""Measurements in processes of their own: a child prints its figures as the last line, JSON."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measuring import BenchmarkError

_HERE = Path(__file__).resolve().parent
_LAST_OUTPUT = 2000


def figures_of(script: str, *words: object, environment: Mapping[str, str] | None = None) -> Any:
    """Run `python benchmarks/SCRIPT WORDS` and return what it prints last.

    Raises `BenchmarkError` with the end of its output if it fails.
    """
    done = subprocess.run(
        [sys.executable, str(_HERE / script), *map(str, words)],
        check=False,
        cwd=_HERE.parent,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BenchmarkError(
            f"{script} {' '.join(map(str, words))} exits with {done.returncode}:\n"
            f"{done.stdout[-_LAST_OUTPUT:]}{done.stderr[-_LAST_OUTPUT:]}"
        )
    return json.loads(done.stdout.strip().splitlines()[-1])
