"""Drains one Ray node by `ray drain-node`, and sees that one is drained as Ray Train tells it."""

import logging
import subprocess
import sysconfig
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import ray
import ray.train

from orchestrator.cloud_notices import Notice

logger = logging.getLogger(__name__)

_ASK_EVERY_S = 1.0
_DRAIN_S = 60.0


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
        gcs, node = context.gcs_address, node_id or context.get_node_id()
    finally:
        if started:
            ray.shutdown()
    left_s = max(1, int(notice.deadline - time.time()))
    words = [_ray_program(), "drain-node", "--address", gcs]
    words += ["--node-id", node, "--reason", "DRAIN_NODE_REASON_PREEMPTION"]
    words += ["--reason-message", notice.reason, "--deadline-remaining-seconds", str(left_s)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=_DRAIN_S, check=False, start_new_session=True
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise DrainError(f"Ray does not drain the node: {said[-1] if said else done.returncode}")


def _ray_program() -> str:
    """The `ray` of this Python's environment, which need not be on the PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "ray"
    return str(beside) if beside.is_file() else "ray"


class DrainNotice:
    """Whether Ray is about to take away the node of this Train worker.

    `ray.train.get_preemption_info` asks an actor on the head, once a second in a thread: a head
    that is silent for a while must not keep the training waiting. `alone` is held meanwhile: Train
    answers one question of a worker at a time.
    """

    def __init__(self, alone: AbstractContextManager[object]) -> None:
        self._alone = alone
        self._given = threading.Event()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="drain notice", daemon=True).start()

    def given(self) -> bool:
        """True once the node is being drained; False while the head does not answer."""
        return self._given.is_set()

    def close(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _watch(self) -> None:
        failing = False
        while not self._given.is_set() and not self._ended.is_set():
            try:
                with self._alone:
                    info = ray.train.get_preemption_info()
                if info is not None:
                    self._given.set()
                failing = False
            except Exception:  # the head may be away; if it stays away, Ray itself ends the trial
                if not failing:
                    logger.warning("can't ask whether this node is being drained", exc_info=True)
                failing = True
            self._ended.wait(_ASK_EVERY_S)
