"""What an attempt at a stored trial leaves, and how the run's driver takes it over.

trials/NAME/attempts/0003/…        what attempt 3 has stored, by the names of the trial's own files
trials/NAME/attempts/0003.settled  it has been taken over; what comes to 0003/ later is not read

An attempt that was cut off, and does not know of it, may store on for hours: in a folder of its
own, which counts for nothing once its number is settled.
"""

import re

from datasets.folder import Folder, write_bytes
from trainers.result import LOG_FILE, RESULT_FILE

ATTEMPTS_DIR = "attempts"

_FOLDER = re.compile(r"(\d{4,})/.+")
_SETTLED = re.compile(r"(\d{4,})\.settled")


def attempt_dir(attempt: int) -> str:
    """Where an attempt stores its files, in the trial's folder."""
    return f"{ATTEMPTS_DIR}/{attempt:04d}"


def settle(trial: Folder) -> int:
    """Take over what the newest attempt has stored; returns its number, 0 where there is none.

    For the one driver of the run. The attempt must be over, or known to be cut off: what it stores
    from now on is dropped. `result.json` is taken last, so that it still means finished.
    """
    names = trial.below(ATTEMPTS_DIR).names()
    begun = {int(found[1]) for name in names if (found := _FOLDER.fullmatch(name))}
    settled = {int(found[1]) for name in names if (found := _SETTLED.fullmatch(name))}
    newest = max(begun | settled, default=0)
    if newest in begun - settled:
        _take_over(trial, attempt_dir(newest), [f"{ATTEMPTS_DIR}/{name}" for name in names])
        write_bytes(trial, f"{attempt_dir(newest)}.settled", b"", anew=True)
    for attempt in begun:
        trial.remove_below(attempt_dir(attempt))
    return newest


def _take_over(trial: Folder, folder: str, names: list[str]) -> None:
    own = [name.removeprefix(f"{folder}/") for name in names if name.startswith(f"{folder}/")]
    for name in sorted(own, key=lambda name: (name == RESULT_FILE, name)):
        if name == LOG_FILE:
            _add_log(trial, trial.read(f"{folder}/{name}"))
        else:
            trial.copy(f"{folder}/{name}", name)


def _add_log(trial: Folder, log: bytes) -> None:
    """One log for all attempts. A driver may be killed between this and its note of it."""
    before = trial.read(LOG_FILE) if trial.has(LOG_FILE) else b""
    if not before.endswith(log):
        write_bytes(trial, LOG_FILE, before + log, anew=True)
