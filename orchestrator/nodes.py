"""The nodes that a request may use: this machine, or a cluster's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from orchestrator.plan import Node
from orchestrator.ray_environment import prepare_environment
from orchestrator.resources import local_node


@contextmanager
def nodes_of(address: str | None, gpu_memory: bool = False) -> Iterator[Sequence[Node]]:
    """This machine; or those that the cluster at `address` has or may grow to, connected meanwhile.

    `gpu_memory` asks for that too. Raises as `prepare_environment` and `ray_session` do.
    """
    prepare_environment(address)
    if address is None:
        yield [local_node(gpu_memory)]
        return
    # Ray takes seconds to import: a run with nothing to do never needs it.
    from orchestrator.ray_nodes import cluster_nodes
    from orchestrator.ray_run import ray_session

    with ray_session(address):
        yield cluster_nodes(gpu_memory)
