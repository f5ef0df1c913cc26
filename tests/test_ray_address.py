"""What `--address` may be, and how soon a wrong one is told."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from datasets.errors import ConfigError
from orchestrator import ray_token
from orchestrator.ray_address import head_of
from orchestrator.ray_token import agree_on_token


@pytest.mark.parametrize("address", ["192.0.2.10:6379", "head.lab:1", "[2001:db8::1]:65535"])
def test_an_address_is_its_heads(address: str):
    assert head_of(address) == address


@pytest.mark.parametrize(
    "address",
    [
        *("", "192.0.2.10", "192.0.2.10:", ":6379", "head:99999", "head:0", "http://head:1"),
        *("a b:1", "user@head:1", "2001:db8::1:6379", "local"),
    ],
)
def test_what_is_no_address_is_refused_with_the_way_out(address: str):
    with pytest.raises(ConfigError) as refused:
        head_of(address)
    assert str(refused.value) == (
        f"--address {address!r} is no address of a Ray cluster: write HOST:PORT of the head node's "
        "GCS, as 192.0.2.10:6379, or auto"
    )


def test_a_server_of_ray_client_is_refused_as_one():
    with pytest.raises(ConfigError, match=r"'ray://head:10001' is a server of Ray Client.*job sub"):
        head_of("ray://head:10001")


class TestAuto:
    def test_takes_what_ray_is_told_by_the_environment(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("RAY_ADDRESS", "192.0.2.10:6379")
        assert head_of("auto") == "192.0.2.10:6379"

    def test_names_the_variable_that_holds_no_address(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
        with pytest.raises(ConfigError, match=r"^RAY_ADDRESS \(for --address auto\) 'ray://"):
            head_of("auto")

    @pytest.fixture
    def noted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Where `ray start` notes the cluster of this machine."""
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
        (tmp_path / "ray").mkdir()
        return tmp_path / "ray" / "ray_current_cluster"

    def test_takes_what_ray_start_noted(self, noted: Path, monkeypatch: pytest.MonkeyPatch):
        noted.write_text("192.0.2.10:6379\n")
        assert head_of("auto") == "192.0.2.10:6379"
        monkeypatch.setenv("RAY_ADDRESS", "auto")
        assert head_of("auto") == "192.0.2.10:6379"

    def test_looks_where_temporary_files_are(self, noted: Path, monkeypatch: pytest.MonkeyPatch):
        noted.write_text("192.0.2.10:6379")
        monkeypatch.delenv("RAY_TMPDIR")
        monkeypatch.setenv("TMPDIR", str(noted.parents[1]))
        assert head_of("auto") == "192.0.2.10:6379"

    def test_names_the_file_that_holds_no_address(self, noted: Path):
        for text in (b"", b"cut sh", b"\xff"):
            noted.write_bytes(text)
            with pytest.raises(ConfigError, match=str(noted)):
                head_of("auto")

    def test_says_how_to_start_one_where_none_is_noted(self, noted: Path):
        with pytest.raises(
            ConfigError, match=f"no Ray cluster runs on this machine.*{noted}.*ray start --head"
        ):
            head_of("auto")


def told(gcs: str) -> str:
    begin = time.monotonic()
    with pytest.raises(ConfigError) as refused:
        agree_on_token(gcs)
    assert time.monotonic() - begin < 120
    message = str(refused.value)
    assert message.startswith(f"no Ray cluster answers at {gcs} (")
    assert "give --address the head node's HOST:PORT" in message
    assert "\n" not in message
    return message


def test_a_web_server_is_no_head():
    class Page(http.server.BaseHTTPRequestHandler):
        """Answers nothing but errors, and logs nothing."""

        def log_message(self, *_: object) -> None:
            """See the class."""

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told(f"127.0.0.1:{server.server_port}")
        server.shutdown()


def test_another_server_of_ray_is_no_head():
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert "UNIMPLEMENTED" in told(f"127.0.0.1:{port}")
    server.stop(None)


@contextmanager
def silent_server() -> Iterator[int]:
    """Takes connections and never says a word."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one.getsockname()[1]


def test_who_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ray_token, "_ANSWER_S", 0.5)
    with silent_server() as port:
        assert "DEADLINE_EXCEEDED" in told(f"127.0.0.1:{port}")


def test_a_head_that_says_much_is_one():
    class Much(grpc.GenericRpcHandler):
        """Answers every question with more than gRPC takes by default."""

        def service(self, details: object) -> grpc.RpcMethodHandler:
            """See the class."""
            return grpc.unary_unary_rpc_method_handler(lambda request, context: bytes(5 << 20))

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Much()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    agree_on_token(f"127.0.0.1:{port}")
    server.stop(None)


def test_with_tls_it_is_left_to_ray(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with silent_server() as port:
        agree_on_token(f"127.0.0.1:{port}")
