"""Drains one Ray node, as `ray drain-node` does."""

import time

import ray
from ray.core.generated import autoscaler_pb2

from orchestrator.cloud_notices import Notice


class DrainError(RuntimeError):
    """Ray did not accept the drain."""


def drain_node(address: str, notice: Notice, node_id: str | None = None) -> None:
    """Tell Ray that a node will be pre-empted at the notice's deadline.

    `node_id` is in hexadecimal digits; None: the node that this process runs on. Raises what Ray
    raises when it can't be reached, and `DrainError` when it refuses.
    """
    started = not ray.is_initialized()
    if started:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    try:
        context = ray.get_runtime_context()
        client = ray._raylet.GcsClient(address=context.gcs_address)  # no public way in 2.60
        accepted, why = client.drain_node(
            node_id or context.get_node_id(),
            autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
            notice.reason,
            int(max(notice.deadline, time.time() + 1) * 1000),
        )
    finally:
        if started:
            ray.shutdown()
    if not accepted:
        raise DrainError(f"Ray does not drain the node: {why}")
