"""A real MLflow server on a local SQLite store, and a line to it that can be cut."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.ports import free_port

_START_S = 300.0  # it imports for ten seconds of a core; the machine may be busy


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Yield the address of a server whose store and log are in this folder."""
    port = free_port()
    words = ["server", "--backend-store-uri", f"sqlite:///{folder}/store.db", "--workers", "1"]
    words += ["--artifacts-destination", str(folder / "artifacts"), "--port", str(port)]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, "--host", "127.0.0.1"],
            env=os.environ | quiet,
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health", server, folder / "log")
        yield address
    finally:
        server.terminate()
        server.wait(300)


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"MLflow's server does not answer: {log.read_text(encoding='utf-8')}")


class Line:
    """Passes requests on to a server, until it is cut: then each is hung up on."""

    def __init__(self, to: str) -> None:
        line = self
        self.is_cut = False
        self.asked = 0

        class Pass(BaseHTTPRequestHandler):
            def _pass(self) -> None:
                line.asked += 1
                if line.is_cut:
                    self.connection.close()
                    return
                size = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(size) if size else None
                kind = {"Content-Type": self.headers.get("Content-Type", "application/json")}
                asked = urllib.request.Request(to + self.path, body, kind, method=self.command)
                try:
                    with urllib.request.urlopen(asked, timeout=30) as answer:
                        self._answer(answer.status, answer.read())
                except urllib.error.HTTPError as error:
                    self._answer(error.code, error.read())

            do_GET = do_POST = do_PATCH = _pass  # noqa: N815  # the names are the library's

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Pass)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
