"""What the clouds' metadata services say of the machine that asks: is it about to be taken away?

Each service is asked over plain HTTP on a link-local address, which only the machine itself
reaches. The answers are those of the vendors' documentation, named at each class.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Protocol

from datasets.errors import ConfigError

_TIMEOUT_S = 2.0
_LINK_LOCAL = "http://169.254.169.254"


class MetadataError(Exception):
    """The metadata service gave no answer, or one that is not understood; it may do later."""


@dataclass(frozen=True)
class Notice:
    """The machine will be taken away. `deadline` is in seconds since 1970 UTC."""

    reason: str
    deadline: float


class CloudNotices(Protocol):
    """One cloud's metadata service."""

    name: str

    def is_here(self) -> bool:
        """True when this machine belongs to that cloud."""
        ...

    def notice(self) -> Notice | None:
        """The most urgent notice, or None; `MetadataError` when the service can't be asked."""
        ...


@dataclass
class AwsNotices:
    """AWS: IMDSv2, spot instance actions and rebalance recommendations.

    Two minutes before an interruption `spot/instance-action` answers in place of 404. A rebalance
    recommendation can come earlier, or with it, and names no time: the risk is higher, the machine
    may live for days. It counts where `rebalance` is set.
    (EC2 User Guide: "Spot Instance interruption notices", "EC2 instance rebalance recommendations",
    "Use the Instance Metadata Service".)
    """

    base_url: str = _LINK_LOCAL
    rebalance: bool = False
    name: str = "aws"
    _token: str = field(default="", repr=False)

    _TOKEN_TTL_S = 21_600
    _REBALANCE_S = 120.0

    def is_here(self) -> bool:
        """See `CloudNotices`."""
        return _answers(self._new_token)

    def notice(self) -> Notice | None:
        """See `CloudNotices`."""
        action = self._get("spot/instance-action")
        if action is not None:
            values = _json(action)
            deadline = _iso_time(str(values.get("time")))
            return Notice(f"spot instance action: {values.get('action')}", deadline)
        if self.rebalance and self._get("events/recommendations/rebalance") is not None:
            return Notice("rebalance recommendation", time.time() + self._REBALANCE_S)
        return None

    def _new_token(self) -> None:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(self._TOKEN_TTL_S)}
        token = _ask(f"{self.base_url}/latest/api/token", headers, method="PUT")
        if token is None:
            raise MetadataError("the metadata service gives no token")
        self._token = token

    def _get(self, path: str) -> str | None:
        url = f"{self.base_url}/latest/meta-data/{path}"
        for fresh in (not self._token, True):
            if fresh:
                self._new_token()
            try:
                return _ask(url, {"X-aws-ec2-metadata-token": self._token})
            except _TokenExpiredError:
                continue
        raise MetadataError("the metadata service refuses its own token")


@dataclass
class GcpNotices:
    """Google Cloud: `instance/preempted`, and host maintenance that ends the machine.

    A pre-empted machine has 30 seconds from the moment that `preempted` turns TRUE.
    (Compute Engine documentation: "Spot VMs", "Query metadata for host maintenance event notices".)
    """

    base_url: str = "http://metadata.google.internal"
    name: str = "gcp"

    _NOTICE_S = 30.0
    _MAINTENANCE_S = 60.0  # the least there is; machines with GPUs get more

    def is_here(self) -> bool:
        """See `CloudNotices`."""
        return _answers(lambda: _present(self._get("id")))

    def notice(self) -> Notice | None:
        """See `CloudNotices`."""
        if (self._get("preempted") or "").strip() == "TRUE":
            return Notice("pre-empted", time.time() + self._NOTICE_S)
        if (self._get("maintenance-event") or "").strip() == "TERMINATE_ON_HOST_MAINTENANCE":
            return Notice("host maintenance ends it", time.time() + self._MAINTENANCE_S)
        return None

    def _get(self, path: str) -> str | None:
        url = f"{self.base_url}/computeMetadata/v1/instance/{path}"
        return _ask(url, {"Metadata-Flavor": "Google"})


@dataclass
class AzureNotices:
    """Azure: Scheduled Events of the kinds Preempt and Terminate, for this machine.

    At least 30 seconds lie before `NotBefore` of Preempt; it is empty once the event has begun.
    (Azure documentation: "Scheduled Events for Linux VMs", API version 2020-07-01.)
    """

    base_url: str = _LINK_LOCAL
    name: str = "azure"
    _machine: str = ""

    def is_here(self) -> bool:
        """See `CloudNotices`."""
        return _answers(self._own_name)

    def notice(self) -> Notice | None:
        """See `CloudNotices`."""
        answer = self._get("scheduledevents", "2020-07-01")
        events = _json(answer or "{}").get("Events") or []
        own = self._own_name()
        found = [
            Notice(f"scheduled event: {event['EventType']}", _http_time(event.get("NotBefore")))
            for event in events
            if event.get("EventType") in ("Preempt", "Terminate")
            and own in event.get("Resources", [])
        ]
        return min(found, key=lambda notice: notice.deadline, default=None)

    def _own_name(self) -> str:
        if not self._machine:
            name = self._get("instance/compute/name", "2021-02-01&format=text")
            if not name:
                raise MetadataError("the metadata service does not know the machine's name")
            self._machine = name.strip()
        return self._machine

    def _get(self, path: str, version: str) -> str | None:
        url = f"{self.base_url}/metadata/{path}?api-version={version}"
        return _ask(url, {"Metadata": "true"})


_CLOUDS: dict[str, Callable[[str | None], CloudNotices]] = {
    "aws": lambda url: AwsNotices(url or _LINK_LOCAL),
    "gcp": lambda url: GcpNotices(url or "http://metadata.google.internal"),
    "azure": lambda url: AzureNotices(url or _LINK_LOCAL),
}


def find_cloud(
    name: str = "auto", base_url: str | None = None, *, rebalance: bool = False
) -> CloudNotices:
    """The metadata service of a cloud by name, or of the one that this machine belongs to.

    Raises `ConfigError` for an unknown name, and where no service answers.
    """
    if name != "auto" and name not in _CLOUDS:
        raise ConfigError(f"--cloud {name!r}: valid are auto, {', '.join(_CLOUDS)}")
    asked = [make(base_url) for key, make in _CLOUDS.items() if name in ("auto", key)]
    for cloud in asked:
        if cloud.is_here():
            if isinstance(cloud, AwsNotices):
                cloud.rebalance = rebalance
            return cloud
    raise ConfigError(
        f"no metadata service of {', '.join(cloud.name for cloud in asked)} answers: this machine "
        "is none of theirs, or may not reach it; without one there is nothing to watch"
    )


class _TokenExpiredError(Exception):
    """AWS answered 401."""


def _ask(url: str, headers: dict[str, str], method: str = "GET") -> str | None:
    """The body of the answer; None for 404."""
    request = urllib.request.Request(url, headers=headers, method=method)  # http
    # A proxy must not see what is meant for this machine alone.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return None
        if error.code == HTTPStatus.UNAUTHORIZED:
            raise _TokenExpiredError from error
        raise MetadataError(f"{url} answers {error.code}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise MetadataError(f"{url} does not answer: {error}") from error


def _present(answer: str | None) -> str:
    if not answer:
        raise MetadataError("the metadata service knows no machine")
    return answer


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (MetadataError, _TokenExpiredError):
        return False
    return True


def _json(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise MetadataError(f"not JSON: {text[:100]!r}") from error
    if not isinstance(values, dict):
        raise MetadataError(f"not an object: {text[:100]!r}")
    return values


def _iso_time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except ValueError:
        return time.time()  # a notice without a time that can be read: at once


def _http_time(text: object) -> float:
    try:
        return parsedate_to_datetime(str(text)).timestamp()
    except ValueError:
        return time.time()
