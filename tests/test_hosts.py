"""The hosts that cluster tests run on: apart from each other, and gone when they should be."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import ROOT, Host, HostError, bridge, hosts

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Host]]:
    with bridge() as net, hosts(net, ["one", "other"], {"GREETING": "good day"}) as made:
        yield made


def test_each_is_a_world_of_its_own(pair: list[Host]):
    one, other = pair
    one.run("touch ~/mine /tmp/mine /dev/shm/mine /run/mine; nohup sleep 77777 >/dev/null 2>&1 &")
    assert [host.run("hostname").strip() for host in pair] == ["one", "other"]
    assert "mine" in one.run("ls ~ /tmp /dev/shm /run")
    assert "mine" not in other.run("ls ~ /tmp /dev/shm /run")
    assert "77777" in one.run("ps ax")
    assert "77777" not in other.run("ps ax")


def test_they_have_our_python_and_checkout_and_what_they_are_told(pair: list[Host]):
    code = (
        "import os, sys, orchestrator as o; print(sys.prefix, o.__file__, os.environ['GREETING'])"
    )
    told = pair[0].run(f'python -c "{code}"').split(maxsplit=2)
    assert told == [sys.prefix, str(ROOT / "orchestrator" / "__init__.py"), "good day\n"]


def test_one_that_is_cut_off_is_silent_until_plugged_in(pair: list[Host]):
    one, other = pair
    reach = "timeout 3 bash -c 'echo > /dev/tcp/one/22'"
    other.run(reach)
    one.cut_off()
    with pytest.raises(HostError, match="ended with 124"):  # no answer at all, not a refusal
        other.run(reach)
    one.plug_in()
    other.run(reach)


def test_a_failed_command_shows_what_it_said(pair: list[Host]):
    with pytest.raises(HostError, match=r"(?s)one: `.*` ended with 3\nthis\nthat\n"):
        pair[0].run("echo this; echo that >&2; exit 3")


def test_a_failed_test_leaves_nothing():
    used = []

    def fail() -> None:
        with bridge() as net, hosts(net, ["one"]) as (host,):
            host.run("nohup setsid sleep 88888 >/dev/null 2>&1 &")
            assert host.files.exists()
            used.extend([net, host])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    net, host = used
    assert not host.files.exists()
    assert not _running("88888")
    assert not {net.name, host.cable} & _links()


def test_a_killed_process_takes_its_hosts_along():
    script = (
        "import time\nfrom tests.hosts import bridge, hosts\n"
        "with bridge() as net, hosts(net, ['one']) as (host,):\n"
        "    host.run('nohup setsid sleep 99999 >/dev/null 2>&1 &')\n"
        "    print(net.name, host.files, flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    name, files = process.stdout.readline().split()
    assert _running("99999")
    process.send_signal(signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 60
    while _running("99999") and time.monotonic() < end:
        time.sleep(0.1)
    assert not _running("99999")
    assert name in _links()  # which the next one takes away
    with bridge():
        assert not [link for link in _links() if link.startswith(name)]
    assert not Path(files).exists()


def _running(seconds: str) -> bool:
    """Whether a `sleep` of so many seconds runs anywhere on this machine."""
    found = subprocess.run(
        ["pgrep", "-fx", f"sleep {seconds}"], stdout=subprocess.DEVNULL, check=False
    )
    return found.returncode == 0


def _links() -> set[str]:
    return set(os.listdir("/sys/class/net"))
