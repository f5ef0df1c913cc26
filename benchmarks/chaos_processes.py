"""Processes that `chaos_faults` finds, lets stand still and ends."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def kill(pid: int | None) -> None:
    """End a process so that it can tidy up nothing."""
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def stop(pid: int | None) -> None:
    """Let a process stand still: it would write a newer checkpoint meanwhile."""
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)


def is_alive(pid: int | None) -> bool:
    """True while a process runs."""
    if pid is None:
        return False
    try:
        # A killed process whose parent has not asked yet is still listed, as a zombie.
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def pids_named(name: str) -> list[int]:
    """Processes whose command line begins with a name, as Ray's actors name themselves."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if line.startswith(name):
            found.append(int(folder.name))
    return found
