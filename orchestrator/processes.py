"""Whether the processes that files name are still there."""

import os
import socket


def is_gone(host: str, pid: int) -> bool:
    """True when a process is known to have ended: it ran on this machine."""
    if host != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
