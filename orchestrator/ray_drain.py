"""Drains one Ray node, as `ray drain-node` does, and sees that one is drained."""

import logging
import time

import ray
from ray.core.generated import autoscaler_pb2

from orchestrator.cloud_notices import Notice

_ASK_EVERY_S = 1.0


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


class DrainNotice:
    """Whether Ray is about to take this process' node away.

    `ray.train.get_preemption_info` tells it too, from an actor that Train starts for each trial in
    a process of its own, 2.6 s of a core. It asks the GCS, as this does, once a second at most.
    """

    def __init__(self) -> None:
        self._asked_at = -_ASK_EVERY_S
        self._given = False

    def given(self) -> bool:
        """True once the node is being drained; False while the GCS does not answer."""
        now = time.monotonic()
        if not self._given and now - self._asked_at >= _ASK_EVERY_S:
            self._asked_at = now
            try:
                # No public way tells of nodes that are being drained but that actor.
                draining = ray._private.state.state.get_draining_nodes()
                self._given = ray.get_runtime_context().get_node_id() in draining
            except Exception:  # the head may be away for a while; Ray itself will end the trial
                logging.getLogger(__name__).debug("no look at draining nodes", exc_info=True)
        return self._given
