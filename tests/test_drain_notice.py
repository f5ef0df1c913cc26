"""A trial hears of its node's end, and training never waits for the answer."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from orchestrator.ray_environment import prepare_environment

prepare_environment()

from ray import train  # noqa: E402

from orchestrator import ray_drain  # noqa: E402
from orchestrator.ray_drain import DrainNotice  # noqa: E402


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_drain, "_ASK_EVERY_S", 0.01)


@dataclass(frozen=True)
class PreemptionInfo:
    """What Train tells of a node that is drained."""


def noticing() -> DrainNotice:
    return DrainNotice(threading.Lock())


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_it_is_given_once_the_node_is_drained_and_stays(monkeypatch: pytest.MonkeyPatch):
    answers = iter([None, None, PreemptionInfo()])
    asked = []

    def info() -> object:
        asked.append(None)
        return next(answers)

    monkeypatch.setattr(train, "get_preemption_info", info)
    notice = noticing()
    assert eventually(notice.given)
    assert len(asked) == 3
    time.sleep(0.1)
    assert notice.given()
    assert len(asked) == 3  # it needs no further answer


def test_a_head_that_is_silent_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch):
    answer = threading.Event()
    monkeypatch.setattr(train, "get_preemption_info", lambda: answer.wait(120) or None)
    notice = noticing()
    begin = time.monotonic()
    assert not notice.given()
    assert time.monotonic() - begin < 30
    answer.set()
    assert eventually(notice.given)


def test_a_question_that_fails_is_told_once_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    failures = iter(range(5))

    def info() -> PreemptionInfo:
        if next(failures, None) is not None:
            raise ConnectionError("the head is away")
        return PreemptionInfo()

    monkeypatch.setattr(train, "get_preemption_info", info)
    with caplog.at_level(logging.WARNING):
        assert eventually(noticing().given)
    (record,) = [one for one in caplog.records if one.name == ray_drain.__name__]
    assert "can't ask whether this node is being drained" in record.message
    assert "the head is away" in str(record.exc_info)


def test_it_does_not_ask_while_the_worker_asks_something_else(monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(train, "get_preemption_info", lambda: asked.append(None))
    alone = threading.Lock()
    with alone:
        notice = DrainNotice(alone)
        time.sleep(0.1)
        assert not asked
    assert eventually(lambda: bool(asked))
    notice.close()


def test_after_its_end_nothing_is_asked(monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(train, "get_preemption_info", lambda: asked.append(None))
    notice = noticing()
    assert eventually(lambda: len(asked) > 2)
    notice.close()
    time.sleep(0.1)
    so_far = len(asked)
    time.sleep(0.1)
    assert len(asked) == so_far
