"""Drains one Ray node, as `ray drain-node` does, and sees that one is drained."""

import logging
import threading
import time

import ray
from ray.core.generated import autoscaler_pb2

from orchestrator.cloud_notices import Notice

logger = logging.getLogger(__name__)

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
    a process of its own, 2.6 s of a core. It asks the GCS once a second, as this does, in a thread:
    a head that is silent for a while keeps the question waiting as long, and must not keep the
    training waiting too.
    """

    def __init__(self) -> None:
        self._given = threading.Event()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="drain notice", daemon=True).start()

    def given(self) -> bool:
        """True once the node is being drained; False while the GCS does not answer."""
        return self._given.is_set()

    def close(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _watch(self) -> None:
        failing = False
        while not self._given.is_set() and not self._ended.is_set():
            try:
                if _is_drained():
                    self._given.set()
                failing = False
            except Exception:  # the head may be away; if it stays away, Ray itself ends the trial
                if not failing:
                    logger.warning("can't ask whether this node is being drained", exc_info=True)
                failing = True
            self._ended.wait(_ASK_EVERY_S)


def _is_drained() -> bool:
    # No public way but that actor tells of the nodes that are being drained.
    draining = ray._private.state.state.get_draining_nodes()
    return ray.get_runtime_context().get_node_id() in draining
