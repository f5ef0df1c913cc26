"""Which placement groups nobody would free: those whose maker is gone, and nobody else's."""

import threading
import time

import pytest

from orchestrator.ray_environment import prepare_environment

prepare_environment()

from orchestrator import ray_places  # noqa: E402
from orchestrator.ray_places import abandoned_places_freed, is_abandoned  # noqa: E402
from orchestrator.ray_private.cluster_state import GroupRecord  # noqa: E402

MINE, OVER, OTHER = "01000000", "02000000", "03000000"
DEAD, ALIVE, NOBODY = "dead", "alive", None


@pytest.mark.parametrize(
    ("job", "maker", "more", "abandoned"),
    [
        (MINE, DEAD, {}, True),
        (MINE, ALIVE, {}, False),
        (MINE, NOBODY, {}, False),  # Tune's own, made by the driver
        (OVER, DEAD, {}, True),  # made while its job ended
        (OVER, NOBODY, {}, True),
        (OVER, ALIVE, {}, False),  # a detached actor outlives its job
        (OTHER, DEAD, {}, False),  # its own driver will see to it
        (OTHER, ALIVE, {}, False),
        (OTHER, NOBODY, {}, False),
        (MINE, DEAD, {"is_detached": True}, False),
        (OVER, DEAD, {"is_detached": True}, False),
        (MINE, DEAD, {"is_removed": True}, False),
    ],
)
def test_a_group_is_abandoned_when_nobody_would_free_it(job, maker, more, abandoned):
    group = GroupRecord("group", job, maker, **more)
    assert is_abandoned(group, MINE, {OVER}, lambda actor: actor == DEAD) is abandoned


def test_a_run_ends_though_rays_head_does_not_answer_any_more(monkeypatch: pytest.MonkeyPatch):
    asked, answered = threading.Event(), threading.Event()

    def no_answer() -> list[object]:
        asked.set()
        answered.wait(60)
        return []

    monkeypatch.setattr(ray_places, "_INTERVAL_S", 0.01)
    monkeypatch.setattr(ray_places, "_END_S", 0.1)
    monkeypatch.setattr(ray_places, "abandoned_places", no_answer)
    try:
        with abandoned_places_freed():
            assert asked.wait(30)
            begin = time.monotonic()
        assert time.monotonic() - begin < 30
    finally:
        answered.set()
