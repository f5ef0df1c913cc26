"""Cores of a trial: its own, or none."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from datasets.cache import stage
from datasets.prepare import synth
from trainers.cores import own_cores

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system can't keep a thread to a core"
)


def test_the_thread_keeps_to_its_cores_and_gets_them_all_back(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    with own_cores(1, tmp_path) as cores:
        assert len(cores) == 1
        assert os.sched_getaffinity(0) == cores
    assert os.sched_getaffinity(0) == allowed


def test_images_are_decoded_on_a_trials_own_cores(tmp_path: Path) -> None:
    synth(tmp_path / "shards", train=24, validation=2, size=24, seed=0)
    decoded = "decode"
    split = stage(tmp_path / "shards", tmp_path / "one", 24, mode="encoded").split("train")
    with own_cores(1, tmp_path) as cores:
        split.gather(np.arange(24))
        assert len(cores) == 1
        assert not any(one.name.startswith(decoded) for one in threading.enumerate())
    if len(os.sched_getaffinity(0)) > 1:
        split = stage(tmp_path / "shards", tmp_path / "one", 24, mode="encoded").split("train")
        split.gather(np.arange(24))
        assert any(one.name.startswith(decoded) for one in threading.enumerate())


def test_two_trials_never_share_a_core(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    code = (
        "import sys; from pathlib import Path; from trainers.cores import own_cores\n"
        f"with own_cores(1, Path({str(tmp_path)!r})) as cores:\n"
        "    print(*cores, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        taken = {int(core) for core in other.stdout.readline().split()}
        assert len(taken) == 1
        with own_cores(len(allowed) - 1, tmp_path) as cores:
            assert cores == allowed - taken
        with own_cores(len(allowed), tmp_path) as none_left:
            assert not none_left
            assert os.sched_getaffinity(0) == allowed
    with own_cores(len(allowed), tmp_path) as cores:  # the other's lock ended with its process
        assert cores == allowed
