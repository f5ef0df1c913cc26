"""A Ray cluster on this machine, in processes of its own, with an environment of its own."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.ports import free_port

QUICK = {"KERAS_BACKEND": "jax"}
"""Environment of a `check` that is not about the backend: each node imports it to count its GPUs,
and TensorFlow takes longer."""

_HEAD = """
import json, sys
from ray.cluster_utils import Cluster
port, gpus = map(int, sys.argv[1:])
args = {"num_cpus": 2, "num_gpus": gpus, "include_dashboard": True, "dashboard_port": 0}
args["dashboard_agent_listen_port"] = port  # other clusters have the usual one
cluster = Cluster(initialize_head=True, head_node_args=args)
node = cluster.head_node
says = [cluster.gcs_address, node.webui_url, node.get_session_dir_path()]
print(json.dumps(says), flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@dataclass(frozen=True)
class Head:
    """Addresses of the GCS and of the job server, the token that both want, and Ray's folder."""

    gcs: str
    jobs: str
    token: str
    session: Path


@contextmanager
def head(
    home: Path, num_gpus: int = 0, environment: Mapping[str, str] | None = None
) -> Iterator[Head]:
    """Yield a head with its job server and a token in `home`; it counts `num_gpus` as its own."""
    token = write_token(home, secrets.token_hex(32))
    own = {"HOME": str(home), "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    with (
        (home / "head.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", _HEAD, str(free_port()), str(num_gpus)],
            env=os.environ | own | (environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        gcs, dashboard, session = json.loads(_json_line(process.stdout, home / "head.log"))
        try:
            yield Head(gcs, f"http://{dashboard}/api/jobs/", token, Path(session))
        finally:
            try:
                process.communicate(timeout=300)
            except subprocess.TimeoutExpired:
                process.kill()  # or its `with` would wait without a limit
                raise


def write_token(home: Path, token: str) -> str:
    """Put a token where Ray looks for that of a user with this home."""
    (home / ".ray").mkdir(exist_ok=True)
    (home / ".ray" / "auth_token").write_text(token, encoding="utf-8")
    return token


def command(
    home: Path, *words: object, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `fer-orch` to its end, as a user with this home who has told Ray nothing."""
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *map(str, words)],
        env=inherited | {"HOME": str(home), "COLUMNS": "300"} | (environment or {}),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def user(folder: Path, head: Head) -> Path:
    """A home with the head's token."""
    home = folder / "home"
    home.mkdir()
    write_token(home, head.token)
    return home


def red_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What `check` found: the lines between its tables and its last."""
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[-1] == "1 to mend", done.stdout
    return [line for line in lines[1:-1] if line[:1].isalnum()][1:]


def error(done: subprocess.CompletedProcess[str], run: Path | None) -> str:
    """The one line with which a command refused; it has drawn no faces and left no folder."""
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert run is None or not run.exists()
    return line


def _json_line(lines: IO[str], log: Path) -> str:
    for line in lines:
        if line.startswith("["):
            return line
    raise RuntimeError(f"no head came up:\n{log.read_text(errors='replace')}")
