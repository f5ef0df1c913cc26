"""What a reader of a run asks its board."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from datasets.errors import ConfigError
from orchestrator.run_store import RunStore
from orchestrator.run_view import write_places

Look = Callable[[RunStore], None]
"""Lets the files of a run, as this machine sees them, be those of now."""

_ASK_S = 10.0


@contextmanager
def look_at_board(store: RunStore, address: str) -> Iterator[Look]:
    """Connect to a cluster, and let a stored run be looked at by the board that it has there.

    Raises `ConfigError` for a run in a directory and for one that has no board there, and as
    `prepare_environment` and `ray_session` do.
    """
    if store.storage is None:
        raise ConfigError(
            f"{store.place} is a directory, whose files say where its trials are: leave out "
            "--address, which is for runs in an object store"
        )
    from orchestrator.ray_environment import prepare_environment

    prepare_environment(address)
    import ray  # takes seconds, and needs its environment

    from orchestrator.board import board_of
    from orchestrator.ray_run import ray_session

    def look(store: RunStore) -> None:
        store.look()
        board = board_of(store)
        if board is None:  # the run has ended meanwhile
            return
        with suppress(ray.exceptions.RayError):  # its driver's notes are some seconds old
            _, places = ray.get(board.seen.remote(), timeout=_ASK_S)
            write_places(store.root, places)

    with ray_session(address):
        if board_of(store) is None:
            raise ConfigError(
                f"nobody drives {store.place} on the cluster at {address}: leave out --address to "
                "see what is stored"
            )
        yield look
