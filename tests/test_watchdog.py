"""A process whose trial hangs ends; one whose trial gets on does not."""

import subprocess
import sys

from trainers.watchdog import HUNG_EXIT_CODE

SCRIPT = """\
import sys, time
from trainers.watchdog import Watchdog
with Watchdog(1.5, lambda: print("noted", flush=True)) as dog:
    time.sleep({before_the_first})
    for _ in range(5):
        dog.beat()
        time.sleep({between})
print("done")
"""


def run(**times: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(**times)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_trial_that_gets_on_is_left_alone_and_staging_may_take_its_time():
    done = run(before_the_first=2.0, between=0.05)
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_a_hung_trial_ends_its_process_with_a_note_and_the_place_where_it_hung():
    done = run(before_the_first=0, between=900)
    assert done.returncode == HUNG_EXIT_CODE
    assert done.stdout == "noted\n"
    assert '"<string>", line 7' in done.stderr


def test_a_note_that_hangs_too_does_not_keep_the_process():
    script = SCRIPT.replace('print("noted", flush=True)', "time.sleep(900)")
    script = script.replace(
        "with Watchdog", "import trainers.watchdog as module\nmodule._REPORT_S = 1\nwith Watchdog"
    )
    done = subprocess.run(
        [sys.executable, "-c", script.format(before_the_first=0, between=900)],
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == HUNG_EXIT_CODE
