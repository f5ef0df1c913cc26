"""Code that is run in a Python process of its own, for what must be imported or set up apart."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def answer_of(code: str, **environment: str) -> Any:
    """The JSON of the last line that code prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def with_root() -> dict[str, str]:
    """This process' environment, in which all that is started finds the tests' modules."""
    paths = filter(None, (os.environ.get("PYTHONPATH"), str(ROOT)))
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
