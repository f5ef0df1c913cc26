"""What a reader of a run asks its board."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from orchestrator.run_store import RunStore
from orchestrator.run_view import write_places

Look = Callable[[RunStore], None]
"""Lets the files of a run, as this machine sees them, be those of now."""

_ASK_S = 10.0


@contextmanager
def look_at_board(address: str) -> Iterator[Look]:
    """Connect to a cluster; a stored run is looked at by its board then, where it has one there.

    Raises as `prepare_environment` and `ray_session` do.
    """
    from orchestrator.ray_environment import prepare_environment

    prepare_environment(address)
    import ray  # takes seconds, and needs its environment

    from orchestrator.board import board_of
    from orchestrator.ray_run import ray_session

    def look(store: RunStore) -> None:
        store.look()
        board = board_of(store)
        if board is None or store.storage is None:
            return
        with suppress(ray.exceptions.RayError):  # its driver's notes are some seconds old
            _, places = ray.get(board.seen.remote(), timeout=_ASK_S)
            write_places(store.root, places)

    with ray_session(address):
        yield look
