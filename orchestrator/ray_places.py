"""Places of trials whose Train controller died: Ray keeps them taken, so we give them back.

A placement group lives on when the actor that made it dies, as long as the job does. Train starts
an actor that is to remove it, but in Ray 2.60 that one asks the dashboard, which a Ray on this
machine does without, and looks the address up in a file that belongs to whoever ran `ray start`
last: it then hears that the controller is unknown and ends a trial in perfect health.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.core.generated import gcs_pb2
from ray.util import remove_placement_group
from ray.util.placement_group import PlacementGroup

# Nothing answers there, so that Train's own actor learns nothing and does nothing.
NO_API_SERVER = {"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9"}

_INTERVAL_S = 2.0


@contextmanager
def abandoned_places_freed() -> Iterator[None]:
    """While this is open, free what dead controllers of this job leave, every two seconds."""
    ended = threading.Event()
    thread = threading.Thread(target=_free_until, args=(ended,), name="places", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _free_until(ended: threading.Event) -> None:
    log = logging.getLogger(__name__)
    while not ended.wait(_INTERVAL_S):
        try:
            for group in abandoned_places():
                remove_placement_group(group)
        except Exception:  # Ray's head may be away for a while; the run itself will hear of it
            log.debug("no look at the places of this job", exc_info=True)


def abandoned_places() -> list[PlacementGroup]:
    """Placement groups of this job that some actor made and that outlived it."""
    job = ray.get_runtime_context().get_job_id()
    accessor = ray._private.state.state._connect_and_get_accessor()  # no public way tells the maker
    groups = map(gcs_pb2.PlacementGroupTableData.FromString, accessor.get_placement_group_table())
    return [
        PlacementGroup(ray.PlacementGroupID(group.placement_group_id))
        for group in groups
        if group.creator_job_id.hex() == job
        and group.creator_actor_dead  # also true of one that the driver itself made
        and not ray.ActorID(group.creator_actor_id).is_nil()
        and group.state != gcs_pb2.PlacementGroupTableData.REMOVED
    ]
