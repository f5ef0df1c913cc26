"""Without the token nobody reads a cluster's GCS or gives it a job."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import grpc
import pytest

from tests import ray_heads
from tests.metadata_services import metadata_service
from tests.ray_heads import QUICK, Head, command, error, red_lines, user, write_token

pytestmark = pytest.mark.slow

WRONG = "0" * 64


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_heads.head(tmp_path_factory.mktemp("home")) as one:
        yield one


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
        answer: bytes = ask(b"", timeout=120, metadata=metadata)
    return answer


@pytest.mark.parametrize(("token", "status"), [(None, 401), (WRONG, 403)])
def test_an_outsider_gives_no_job(head: Head, token: str | None, status: int):
    with pytest.raises(urllib.error.HTTPError) as refused:
        _submit(head, token)
    assert refused.value.code == status


def test_who_has_the_token_gives_a_job(head: Head):
    end = time.monotonic() + 300
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
    with opener.open(request, timeout=300) as answer:
        given: dict[str, str] = json.loads(answer.read())
    return given


@pytest.mark.parametrize("what", ["cmdline", "environ"])
def test_the_token_is_in_no_command_line_and_no_environment(head: Head, what: str):
    lines = [_ours(path) for path in Path("/proc").glob(f"[0-9]*/{what}")]
    assert any(b"gcs_server" in line or b"RAY_AUTH_MODE" in line for line in lines)
    assert not any(head.token.encode() in line for line in lines)


def _ours(path: Path) -> bytes:
    """What a process of this user says there; nothing once it has ended."""
    try:
        return path.read_bytes() if path.stat().st_uid == os.getuid() else b""
    except OSError:
        return b""


def test_a_user_without_the_token_is_told_so_in_one_line(head: Head, tmp_path: Path):
    done = command(tmp_path, "check", "--address", head.gcs)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: the cluster at {head.gcs} asks for a token, and there is none in "
        f"{tmp_path}/.ray/auth_token: put the head node's ~/.ray/auth_token there, with mode 600\n"
    )


def test_a_user_with_another_token_is_told_so_in_one_line(head: Head, tmp_path: Path):
    write_token(tmp_path, WRONG)
    done = command(tmp_path, "check", "--address", head.gcs)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: the cluster at {head.gcs} asks for another token than ")
    assert WRONG not in done.stderr
    assert done.stderr.count("\n") == 1


def test_another_token_in_the_environment_is_named(head: Head, tmp_path: Path):
    done = command(tmp_path, "check", "--address", head.gcs, environment={"RAY_AUTH_TOKEN": WRONG})
    assert done.returncode == 2
    assert done.stderr == (
        f"error: the cluster at {head.gcs} asks for another token than that of RAY_AUTH_TOKEN: "
        "give it what the head node's ~/.ray/auth_token holds, or unset it\n"
    )


def test_a_cluster_that_is_found_is_asked_for_its_token_too(head: Head, tmp_path: Path):
    write_token(tmp_path, WRONG)
    done = command(tmp_path, "check", "--address", "auto", environment={"RAY_ADDRESS": head.gcs})
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: the cluster at {head.gcs} asks for another token than ")
    assert done.stderr.count("\n") == 1


def test_the_port_of_the_dashboard_is_told_to_be_none_of_a_head(head: Head, tmp_path: Path):
    write_token(tmp_path, head.token)
    place = head.jobs.split("/")[2]
    begin = time.monotonic()
    done = command(tmp_path, "run-all", "--run-dir", tmp_path / "run", "--address", place)
    assert time.monotonic() - begin < 180  # Ray itself would try for a quarter of an hour
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: no Ray cluster answers at {place} (")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_watch_without_the_token_does_not_start(head: Head, tmp_path: Path):
    with metadata_service("aws") as service:
        words = ("--cloud", "aws", "--metadata-url", service.url, "--address", head.gcs)
        done = command(tmp_path, "watch-preemption", *words)
    assert done.returncode == 2
    assert "asks for a token, and there is none in" in done.stderr


def test_a_user_who_has_turned_tokens_off_is_told_so_in_one_line(head: Head, tmp_path: Path):
    write_token(tmp_path, head.token)
    disabled = {"RAY_AUTH_MODE": "disabled"}
    done = command(tmp_path, "check", "--address", head.gcs, environment=disabled)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: the cluster at {head.gcs} asks for a token, and RAY_AUTH_MODE=disabled is set "
        "here: unset it\n"
    )


def test_a_user_with_the_token_needs_nothing_else_and_no_log_of_ray_holds_it(
    head: Head, tmp_path: Path
):
    """Nor any other of the session's files, after commands with it and without."""
    done = command(user(tmp_path, head), "check", "--address", head.gcs, environment=QUICK)
    assert done.returncode == 0, done.stderr
    assert "all is well" in done.stdout
    assert command(tmp_path / "nobody", "check", "--address", head.gcs).returncode == 2
    files = [path for path in head.session.rglob("*") if path.is_file()]
    assert any(path.name.startswith("gcs_server") and path.stat().st_size for path in files)
    assert [path for path in files if head.token.encode() in path.read_bytes()] == []


def test_no_gpu(head: Head, tmp_path: Path):
    home, run = user(tmp_path, head), tmp_path / "run"
    words = ("--address", head.gcs, "--set", "resources.gpus_per_trial=1")
    assert red_lines(command(home, "check", *words, environment=QUICK)) == [
        "a trial asks for 1 GPU and no node has one in Ray: add GPU nodes, or set "
        "resources.gpus_per_trial=0 to train on CPUs"
    ]
    assert error(command(home, "run-all", "--preset", "demo", *words, "--run-dir", run), run) == (
        "error: a trial asks for 1 CPU and 1 GPU on one node; there is 1 node of 2 CPUs and "
        "0 GPUs: set resources.gpus_per_trial=0 to train on CPUs"
    )
