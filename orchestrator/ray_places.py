"""Places of trials whose Train controller died: Ray keeps them taken, so we give them back.

A placement group lives on when the actor that made it dies, as long as the job does. Train starts
an actor that is to remove it, but in Ray 2.60 that one asks the dashboard, which a Ray on this
machine does without, and looks the address up in a file that belongs to whoever ran `ray start`
last: it then hears that the controller is unknown and ends a trial in perfect health. So
`lean_trainer` leaves it out.
"""

import logging
import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.core.generated import gcs_pb2
from ray.util import remove_placement_group
from ray.util.placement_group import PlacementGroup

_GroupData = gcs_pb2.PlacementGroupTableData
_ActorData = gcs_pb2.ActorTableData

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
    state = ray._private.state.state  # no public way tells a group's maker
    accessor = state._connect_and_get_accessor()
    over = {job["JobID"] for job in state.job_table() if job["IsDead"]}
    mine = ray.get_runtime_context().get_job_id()

    def is_gone(actor_id: bytes) -> bool:
        found = accessor.get_actor_info(ray.ActorID(actor_id))
        return found is None or _ActorData.FromString(found).state == _ActorData.DEAD

    groups = map(_GroupData.FromString, accessor.get_placement_group_table())
    return [
        PlacementGroup(ray.PlacementGroupID(group.placement_group_id))
        for group in groups
        if is_abandoned(group, mine, over, is_gone)
    ]


def is_abandoned(
    group: Any, mine: str, over: Container[str], is_gone: Callable[[bytes], bool]
) -> bool:
    """Whether nobody would free a group, a `PlacementGroupTableData`.

    `mine` is the id of this job and `over` holds those of jobs that have ended, in hexadecimal;
    `is_gone` tells of an actor's id whether it lives no more.
    """
    if group.is_detached or group.state == _GroupData.REMOVED:
        return False
    job, maker = group.creator_job_id.hex(), group.creator_actor_id
    if ray.ActorID(maker).is_nil():  # a driver made it, and has it while it lives
        return job in over
    return (job == mine or job in over) and is_gone(maker)
