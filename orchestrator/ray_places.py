"""Places of trials whose Train controller died: Ray keeps them taken, so we give them back.

A placement group lives on when the actor that made it dies, as long as the job does. Train starts
an actor that is to remove it, but in Ray 2.60 that one asks the dashboard, which a Ray on this
machine does without, and looks the address up in a file that belongs to whoever ran `ray start`
last: it then hears that the controller is unknown and ends a trial in perfect health. So
`ray_private.lean_trainer` leaves it out.
"""

import logging
import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager

import ray
from ray.util import remove_placement_group
from ray.util.placement_group import PlacementGroup

from orchestrator.ray_private.cluster_state import (
    GroupRecord,
    actor_is_gone,
    ended_jobs,
    placement_groups,
)

_INTERVAL_S = 2.0
_END_S = 5.0


@contextmanager
def abandoned_places_freed() -> Iterator[None]:
    """While this is open, free what dead controllers left, every two seconds."""
    ended = threading.Event()
    thread = threading.Thread(target=_free_until, args=(ended,), name="places", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # A look at a head that is gone may last for minutes; the thread ends with the process.
        thread.join(timeout=_END_S)


def _free_until(ended: threading.Event) -> None:
    log = logging.getLogger(__name__)
    while not ended.wait(_INTERVAL_S):
        try:
            for group in abandoned_places():
                remove_placement_group(group)
        except Exception:  # Ray's head may be away for a while; the run itself will hear of it
            log.debug("no look at the places of this job", exc_info=True)


def abandoned_places() -> list[PlacementGroup]:
    """Placement groups whose maker is gone, of this job and of jobs that are over.

    Ray frees those of a job that ends, but not one that is made in the very moment: a group of a
    controller that was just restarting trials when its driver was killed stays for ever.
    """
    over = ended_jobs()
    mine = ray.get_runtime_context().get_job_id()
    return [
        PlacementGroup(ray.PlacementGroupID.from_hex(one.group))
        for one in placement_groups()
        if is_abandoned(one, mine, over, actor_is_gone)
    ]


def is_abandoned(
    group: GroupRecord, mine: str, over: Container[str], is_gone: Callable[[str], bool]
) -> bool:
    """Whether nobody would free a group.

    `mine` is the id of this job and `over` holds those of jobs that have ended, in hexadecimal;
    `is_gone` tells of an actor's id whether it lives no more.
    """
    if group.is_detached or group.is_removed:
        return False
    if group.maker is None:  # a driver's, which has it while it lives
        return group.job in over
    return (group.job == mine or group.job in over) and is_gone(group.maker)
