"""What several hosts on one machine need of it (tests/hosts.py)."""

import functools
import os
import shutil
import subprocess
import sys

_PACKAGES = {
    "ip": "iproute2",
    "mount": "mount",
    "rsync": "rsync",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "unshare": "util-linux",
}
MISSING = 3
"""Exit code of this module where something is missing; an error of its own is 1."""

NAMESPACES = ("unshare", "--net", "--pid", "--mount", "--uts", "--fork")


@functools.cache
def missing() -> str | None:
    """What this machine lacks for several hosts, in words; None: nothing."""
    if not sys.platform.startswith("linux"):
        return "several hosts on one machine need Linux"
    packages = sorted({package for name, package in _PACKAGES.items() if not tool(name)})
    if packages:
        return f"several hosts on one machine need the packages {', '.join(packages)}"
    if os.getuid() != 0:
        return "several hosts on one machine need root"
    name = f"fer{os.getpid()}n0"
    for words in (
        [*NAMESPACES, "true"],
        ["ip", "link", "add", name, "type", "bridge"],
        ["ip", "link", "delete", name],
    ):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            return (
                "several hosts on one machine need permission for namespaces and a bridge: "
                f"`{' '.join(words)}`: {done.stderr.strip()}"
            )
    return None


def tool(name: str) -> str | None:
    """Its path; sshd's folder is not on every PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")


if __name__ == "__main__":
    reason = missing()
    print(reason or "")
    sys.exit(MISSING if reason else 0)
