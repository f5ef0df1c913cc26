"""Stand-ins of the clouds' metadata services, with the answers of their documents."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Service:
    """What the service would answer: path (without the query) to body; else 404."""

    url: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    down: bool = False


class _Handler(BaseHTTPRequestHandler):
    service: Service

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, body: str = "") -> None:
        data = body.encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _found(self) -> None:
        self.service.asked.append(self.path)
        body = self.service.answers.get(self.path.split("?", maxsplit=1)[0])
        if self.service.down:
            self._answer(503)
        elif body is None:
            self._answer(404)
        else:
            self._answer(200, body)


class AwsHandler(_Handler):
    """IMDSv2 only: 401 without a valid token, 400 for a token without a time to live."""

    def do_PUT(self) -> None:
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != "/latest/api/token" or not ttl.isdigit():
            self._answer(400)
            return
        self.service.tokens.append(f"token-{len(self.service.tokens)}")
        self._answer(200, self.service.tokens[-1])

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") not in self.service.tokens[-1:]:
            self._answer(401)
            return
        self._found()


class GcpHandler(_Handler):
    """403 without the header `Metadata-Flavor: Google`."""

    def do_GET(self) -> None:
        if self.headers.get("Metadata-Flavor") != "Google":
            self._answer(403)
            return
        self._found()


class AzureHandler(_Handler):
    """400 without the header `Metadata: true` or without an API version."""

    def do_GET(self) -> None:
        if self.headers.get("Metadata") != "true" or "api-version=" not in self.path:
            self._answer(400)
            return
        self._found()


HANDLERS = {"aws": AwsHandler, "gcp": GcpHandler, "azure": AzureHandler}


@contextmanager
def metadata_service(cloud: str) -> Iterator[Service]:
    """A cloud's service at an address of this machine."""
    service = Service()
    if cloud == "gcp":
        service.answers["/computeMetadata/v1/instance/id"] = "4711"
        service.answers["/computeMetadata/v1/instance/preempted"] = "FALSE"
        service.answers["/computeMetadata/v1/instance/maintenance-event"] = "NONE"
    if cloud == "azure":
        service.answers["/metadata/instance/compute/name"] = "node-7"
        service.answers["/metadata/scheduledevents"] = azure_events()
    handler = type("Handler", (HANDLERS[cloud],), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def azure_events(*events: tuple[str, str, str]) -> str:
    """Scheduled Events of (type, machine, not before)."""
    return json.dumps(
        {
            "DocumentIncarnation": len(events),
            "Events": [
                {
                    "EventId": f"event-{number}",
                    "EventStatus": "Scheduled",
                    "EventType": kind,
                    "ResourceType": "VirtualMachine",
                    "Resources": [machine],
                    "NotBefore": before,
                    "Description": "",
                    "EventSource": "Platform",
                    "DurationInSeconds": -1,
                }
                for number, (kind, machine, before) in enumerate(events)
            ],
        }
    )
