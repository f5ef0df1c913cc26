"""Stand-ins for the object stores, on this machine: moto for S3, an emulator for Google's."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from unittest import mock

from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer
from pyarrow import fs

from tests.ports import free_port


class Gate:
    """In front of a store: while it is closed, all that the store says is 503."""

    def __init__(self) -> None:
        self._opens_at = 0.0

    def close(self, seconds: float) -> None:
        """Let the store be away for so long, from now."""
        self._opens_at = time.monotonic() + seconds

    def wait(self) -> None:
        """Return once it is open."""
        while (left := self._opens_at - time.monotonic()) > 0:
            time.sleep(left)

    def around(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """The WSGI application `app` behind the gate."""

        def answer(environ: dict[str, object], start: Callable[..., object]) -> Iterable[bytes]:
            if time.monotonic() >= self._opens_at:
                return app(environ, start)
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Slow down.</Message></Error>"]

        return answer


@contextmanager
def s3(at: str = "127.0.0.1", gate: Gate | None = None) -> Iterator[str]:
    """Yield the address of an empty bucket; child processes inherit what leads to it.

    `at` is the address of this machine that the server listens on.
    """
    server = ThreadedMotoServer(ip_address=at, port=0, verbose=False)
    server.start()
    if gate is not None:
        assert server._server is not None
        server._server.app = gate.around(server._server.app)
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    bucket = _bucket()
    try:
        with mock.patch.dict("os.environ", environment):
            options = f"allow_bucket_creation=true&scheme=http&endpoint_override={host}:{port}"
            fs.FileSystem.from_uri(f"s3://{bucket}?{options}")[0].create_dir(bucket)
            yield f"s3://{bucket}"
    finally:
        server.stop()


@contextmanager
def gs() -> Iterator[str]:
    """Yield the address of an empty bucket; child processes inherit what leads to it."""
    bucket, port = _bucket(), free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=bucket)
    server.start()
    environment = {"CLOUD_STORAGE_EMULATOR_ENDPOINT": f"http://127.0.0.1:{port}"}
    try:
        with mock.patch.dict("os.environ", environment):
            yield f"gs://anonymous@{bucket}"
    finally:
        server.stop()


def _bucket() -> str:
    """A new name each time: opened file systems are kept by their address."""
    return f"faces-{uuid.uuid4().hex[:8]}"
