"""Which placement groups nobody would free: those whose maker is gone, and nobody else's."""

import pytest

from orchestrator.ray_environment import prepare_environment

prepare_environment()

import ray  # noqa: E402
from ray.core.generated.gcs_pb2 import PlacementGroupTableData  # noqa: E402

from orchestrator.ray_places import is_abandoned  # noqa: E402

MINE, OVER, OTHER = (ray.JobID.from_int(number) for number in (1, 2, 3))
DEAD, ALIVE = (ray.ActorID.of(MINE, ray.TaskID.nil(), number) for number in (1, 2))
NOBODY = ray.ActorID.nil()


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
        (MINE, DEAD, {"state": PlacementGroupTableData.REMOVED}, False),
    ],
)
def test_a_group_is_abandoned_when_nobody_would_free_it(job, maker, more, abandoned):
    group = PlacementGroupTableData(
        creator_job_id=job.binary(), creator_actor_id=maker.binary(), **more
    )
    found = is_abandoned(group, MINE.hex(), {OVER.hex()}, lambda id_: id_ == DEAD.binary())
    assert found is abandoned
