"""Forks small trials on Keras' JAX backend from a process that has imported it, without TensorFlow.

`python -m tests.jax_server` with `KERAS_BACKEND=jax`: each line of its input is SHARDS, FOLDER and
moments of `interrupted_trial`, as a JSON list; its answer is a line with the trial's exit code. A
trial's standard error goes to FOLDER/stderr.txt.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
_LONGEST_S = 600


class JaxServer:
    """The side that asks."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, shards: Path, folder: Path, *moments: str, code: int = 0) -> None:
        """Run the trial to its end, which must have this exit code."""
        folder.mkdir(parents=True, exist_ok=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(
            json.dumps([str(shards), str(folder), *moments]), file=self._process.stdin, flush=True
        )
        answer = self._process.stdout.readline()
        assert answer, "the server has ended"
        assert int(answer) == code, (folder / "stderr.txt").read_text()


@contextmanager
def jax_server() -> Iterator[JaxServer]:
    """Yield a server, which ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.jax_server"],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield JaxServer(process)
        finally:  # also of one that waits for a trial that hangs
            process.kill()


def _trial(shards: str, folder: str, *moments: str) -> int:
    """The forked process."""
    log = os.open(Path(folder) / "stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from tests import interrupted_trial

    try:
        return interrupted_trial.main(Path(shards), Path(folder), list(moments))
    except Exception:
        traceback.print_exc()
        return 1


def main() -> None:
    """Answer until the input ends."""
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # as where it is not installed
    from tests import warm_keras  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.alarm(_LONGEST_S)
            code = _trial(*json.loads(line))
            sys.stderr.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
