"""What the head of the connected cluster knows, and tells by `ray._private.state` alone.

Public `ray.util.placement_group_table` names no maker of a group, and what lists actors and jobs,
`ray.util.state`, asks the dashboard, which a Ray on one machine does without.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray._private import state as ray_state

# In which the head tells of a group; Ray's dictionaries leave the maker out.
_GROUP: Any = ray_state.gcs_pb2.PlacementGroupTableData


@dataclass(frozen=True)
class GroupRecord:
    """A placement group and who made it; ids are in hexadecimal digits."""

    group: str
    job: str
    maker: str | None
    """The actor; None where it was the job's driver."""
    is_detached: bool = False
    is_removed: bool = False


def placement_groups() -> list[GroupRecord]:
    """Every placement group that the head remembers, also removed ones."""
    accessor = ray_state.state._connect_and_get_accessor()
    return [_record(_GROUP.FromString(data)) for data in accessor.get_placement_group_table()]


def _record(group: Any) -> GroupRecord:
    maker = ray.ActorID(group.creator_actor_id)
    return GroupRecord(
        group.placement_group_id.hex(),
        group.creator_job_id.hex(),
        None if maker.is_nil() else maker.hex(),
        group.is_detached,
        group.state == _GROUP.REMOVED,
    )


def actor_is_gone(actor: str) -> bool:
    """Whether an actor, by its id in hexadecimal digits, is dead or unknown."""
    return bool(ray_state.state.actor_table(actor).get("State", "DEAD") == "DEAD")


def ended_jobs() -> set[str]:
    """Ids of the jobs that are over, in hexadecimal digits."""
    return {job["JobID"] for job in ray_state.state.job_table() if job["IsDead"]}


def node_limits() -> list[tuple[Mapping[str, float], int]]:
    """Resources of each group of nodes that the cluster may grow to, and how many there may be.

    -1: without a limit. Empty where nobody has told the head: in Ray 2.60 only KubeRay does.
    """
    config = ray_state.state.get_cluster_config()
    groups = config.node_group_configs if config else []
    return [(group.resources, group.max_count) for group in groups]
