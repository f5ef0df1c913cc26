"""Watches one machine's cloud for a notice that it is taken away, and drains its Ray node then.

Nothing in Ray asks the clouds. A drained node gets no new work, and the trials on it learn of the
drain, checkpoint and let go (`orchestrator.ray_trial`).
"""

import logging
import time
from collections.abc import Callable

from orchestrator.cloud_notices import CloudNotices, MetadataError, Notice

logger = logging.getLogger(__name__)

Drain = Callable[[Notice], None]
"""Drains this machine's node; an exception means that it must be tried again."""


class PreemptionWatch:
    """Asks a cloud again and again; drains once for each notice that is more urgent."""

    def __init__(self, cloud: CloudNotices, drain: Drain) -> None:
        self._cloud = cloud
        self._drain = drain
        self._drained: Notice | None = None
        self._unanswered = False

    @property
    def drained(self) -> Notice | None:
        """The notice for which the node was drained last."""
        return self._drained

    def look(self) -> None:
        """Ask once, and drain if there is something new."""
        try:
            notice = self._cloud.notice()
        except Exception as error:  # a watch that ends guards nothing: ask again whatever it was
            if not self._unanswered:
                known = isinstance(error, MetadataError)
                logger.warning("%s: %s; asking again", self._cloud.name, error, exc_info=not known)
            self._unanswered = True
            return
        self._unanswered = False
        if notice is None or not self._is_news(notice):
            return
        left = notice.deadline - time.time()
        logger.warning("%s: %s, in %.0f s: draining", self._cloud.name, notice.reason, left)
        try:
            self._drain(notice)
        except Exception:
            logger.exception("this node could not be drained; trying again")
            return
        self._drained = notice

    def _is_news(self, notice: Notice) -> bool:
        if self._drained is None:
            return True
        # A service without times gives a new deadline at each look.
        return notice.reason != self._drained.reason and notice.deadline < self._drained.deadline

    def run(self, interval_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """Look every `interval_s` seconds until the process is ended."""
        while True:
            self.look()
            sleep(interval_s)
