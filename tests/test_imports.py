"""What starts often must not wait for imports that come later, or never."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "later"),
    [
        ("trainers.trial", {"keras", "tensorflow", "sklearn", "tensorboard", "pandas"}),
        ("orchestrator.ray_trial", {"keras", "tensorflow", "sklearn", "tensorboard"}),
        ("orchestrator.cli", {"keras", "tensorflow", "sklearn", "ray"}),
    ],
)
def test_it_is_imported_without_what_is_needed_later(module: str, later: set[str]):
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    assert module.partition(".")[0] in done.stdout.split()
    assert later & set(done.stdout.split()) == set()
