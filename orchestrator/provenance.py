"""`provenance.json`: versions, hardware and commit of a run, written once when it begins."""

import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets.files import write_text
from datasets.images import decoder_name
from datasets.parallel import num_cores
from orchestrator.hardware import local_gpus
from orchestrator.plan import Resources
from trainers.backend import keras_backend, processor_name, versions

_PACKAGES = ("ray", "pyarrow", "pillow", "scikit-learn", "pandas")


def write_provenance(path: Path, resources: Resources, address: str | None) -> None:
    """Write the record unless it is there: a continued run keeps its first one."""
    if path.is_file():
        return
    record: dict[str, Any] = {
        "keras_backend": keras_backend(),
        "versions": versions() | {name: version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "processor": processor_name(),
        "cpus": num_cores(),
        "gpus": local_gpus(),
        "cluster": address is not None,
        "cpus_per_trial": resources.cpus,
        "gpus_per_trial": dict(resources.shares) or resources.gpus,
        "concurrent_trials": resources.concurrent,
        "git_commit": git_commit(),
        "decoder": decoder_name(),
    }
    write_text(path, json.dumps(record, indent=2) + "\n")


def git_commit() -> str | None:
    """The commit of the running code, `+changes` if files differ; None outside a checkout."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=root, capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip()
