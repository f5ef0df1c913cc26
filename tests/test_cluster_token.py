"""Without the token nobody reads a cluster's GCS or gives it a job."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO

import grpc
import pytest

pytestmark = pytest.mark.slow

WRONG = "0" * 64

# A head with its job server, which stays until its standard input is closed.
HEAD = """
import json, sys
from ray.cluster_utils import Cluster
args = {"num_cpus": 1, "include_dashboard": True, "dashboard_port": 0}
args["dashboard_agent_listen_port"] = int(sys.argv[1])  # other clusters have the usual one
cluster = Cluster(initialize_head=True, head_node_args=args)
print(json.dumps([cluster.gcs_address, cluster.head_node.webui_url]), flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@dataclass(frozen=True)
class Head:
    gcs: str
    jobs: str
    token: str


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    home = tmp_path_factory.mktemp("home")
    token = secrets.token_hex(32)
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text(token, encoding="utf-8")
    environment = os.environ | {
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with subprocess.Popen(
        [sys.executable, "-c", HEAD, str(_free_port())],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        gcs, dashboard = json.loads(_json_line(process.stdout))
        try:
            yield Head(gcs, f"http://{dashboard}/api/jobs/", token)
        finally:
            process.communicate(timeout=60)


def _json_line(lines: IO[str]) -> str:
    return next(line for line in lines if line.startswith("["))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


@pytest.mark.parametrize("token", [None, WRONG])
def test_an_outsider_does_not_read_the_gcs(head: Head, token: str | None):
    with pytest.raises(grpc.RpcError) as refused:
        _keys(head, token)
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_the_gcs_answers_who_has_the_token(head: Head):
    assert _keys(head, head.token)


def _keys(head: Head, token: str | None) -> bytes:
    """What the GCS keeps, as any program on the network would ask for it."""
    with grpc.insecure_channel(head.gcs) as channel:
        ask = channel.unary_unary("/ray.rpc.InternalKVGcsService/InternalKVKeys")
        metadata = [("authorization", f"Bearer {token}")] if token else []
        answer: bytes = ask(b"", timeout=20, metadata=metadata)
    return answer


@pytest.mark.parametrize(("token", "status"), [(None, 401), (WRONG, 403)])
def test_an_outsider_gives_no_job(head: Head, token: str | None, status: int):
    with pytest.raises(urllib.error.HTTPError) as refused:
        _submit(head, token)
    assert refused.value.code == status


def test_who_has_the_token_gives_a_job(head: Head):
    end = time.monotonic() + 120
    while (job := _submit_if_up(head)) is None:
        assert time.monotonic() < end
        time.sleep(0.5)
    assert job["submission_id"]


def _submit_if_up(head: Head) -> dict[str, str] | None:
    try:
        return _submit(head, head.token)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.INTERNAL_SERVER_ERROR:  # "try again later"
            return None
        raise


def _submit(head: Head, token: str | None) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"entrypoint": "true"}).encode()
    request = urllib.request.Request(head.jobs, body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        given: dict[str, str] = json.loads(answer.read())
    return given


def test_the_token_is_in_no_command_line(head: Head):
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _ours(path)]
    assert any(b"gcs_server" in line for line in lines)
    assert not any(head.token.encode() in line for line in lines)


def _ours(path: Path) -> bool:
    try:
        return path.stat().st_uid == os.getuid() and bool(path.read_bytes())
    except OSError:
        return False


def _check(head: Head, home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """`fer-orch check` of the cluster, by a user with this home who has set nothing else."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", "check", "--address", head.gcs],
        env=environment | {"HOME": str(home), "COLUMNS": "300"} | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _home(folder: Path, token: str) -> Path:
    (folder / ".ray").mkdir()
    (folder / ".ray" / "auth_token").write_text(token, encoding="utf-8")
    return folder


def test_a_user_without_the_token_is_told_so_in_one_line(head: Head, tmp_path: Path):
    done = _check(head, tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: the cluster at {head.gcs} asks for a token, and there is none in "
        f"{tmp_path}/.ray/auth_token: put the head node's ~/.ray/auth_token there, with mode 600\n"
    )


def test_a_user_with_another_token_is_told_so_in_one_line(head: Head, tmp_path: Path):
    done = _check(head, _home(tmp_path, WRONG))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: the cluster at {head.gcs} asks for another token than ")
    assert WRONG not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_user_who_has_turned_tokens_off_is_told_so_in_one_line(head: Head, tmp_path: Path):
    done = _check(head, _home(tmp_path, head.token), RAY_AUTH_MODE="disabled")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: the cluster at {head.gcs} asks for a token, and RAY_AUTH_MODE=disabled is set "
        "here: unset it\n"
    )


def test_a_user_with_the_token_needs_nothing_else(head: Head, tmp_path: Path):
    done = _check(head, _home(tmp_path, head.token))
    assert done.returncode == 0, done.stderr
    assert "all is well" in done.stdout
