"""The nodes of the connected cluster: those that it has, and those that it may grow to."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import yaml

from orchestrator.hardware import local_gpu_memory
from orchestrator.plan import Node
from orchestrator.ray_ask import ask_each
from orchestrator.ray_private.cluster_state import node_limits

# `ray up` puts it on the head, and gives it to `ray start` there. Nothing in Ray 2.60 tells a
# driver the limits that it holds: of what it could ask, only KubeRay fills in the cluster's.
BOOTSTRAP_FILE = Path("~/ray_bootstrap_config.yaml")

_ANSWER_S = 60.0


def cluster_nodes(gpu_memory: bool = False, bootstrap_file: Path = BOOTSTRAP_FILE) -> list[Node]:
    """CPUs and GPUs of each node that the cluster has, or may have once it has grown.

    With `gpu_memory`, living nodes are asked for the memory of their GPUs; of those to come, and of
    one that does not answer, it is taken to be that of the smallest.
    """
    living = [one for one in ray.nodes() if one["Alive"]]
    alive = [_node(one["Resources"]) for one in living]
    may_have = _from_ray() or _from_bootstrap(bootstrap_file)
    # A file for machines of one's own counts nodes and not what they have.
    nodes = may_have if _size(may_have) > _size(alive) else alive
    if not gpu_memory:
        return nodes
    memory = _smallest_gpu([one for one in living if one["Resources"].get("GPU")])
    return [replace(node, gpu_memory=memory) if node.gpus else node for node in nodes]


def _smallest_gpu(nodes: list[dict[str, Any]]) -> int | None:
    """Bytes of the smallest GPU of nodes; None where none tells."""
    sizes = ask_each(local_gpu_memory, nodes, _ANSWER_S)
    return min((size for size in sizes if isinstance(size, int)), default=None)


def _size(nodes: list[Node]) -> tuple[int, int]:
    return sum(node.gpus for node in nodes), sum(node.cpus for node in nodes)


def _node(resources: Mapping[str, Any]) -> Node:
    return Node(int(resources.get("CPU", 0)), int(resources.get("GPU", 0)))


def _from_ray() -> list[Node]:
    found: list[Node] = []
    for resources, most in node_limits():
        found += [_node(resources)] * max(0, most)
    return found


def _from_bootstrap(path: Path) -> list[Node]:
    try:
        config = yaml.safe_load(path.expanduser().read_text(encoding="utf-8"))
        return grown(config) if _is_of_this_machine() else []
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        return []


def _is_of_this_machine() -> bool:
    """True when this process runs on the connected cluster's head, whose file it is."""
    here = ray.get_runtime_context().get_node_id()
    return any(
        one["NodeID"] == here and "node:__internal_head__" in one["Resources"]
        for one in ray.nodes()
    )


def grown(config: Mapping[str, Any]) -> list[Node]:
    """The nodes of a cluster file at its limits: the head, and the largest workers it may have."""
    types = config["available_node_types"]
    head = config["head_node_type"]
    workers: list[Node] = []
    for name, one in types.items():
        if name != head:
            workers += [_node(one["resources"])] * int(one.get("max_workers", 0))
    workers.sort(key=lambda node: (node.gpus, node.cpus), reverse=True)
    limit = int(config.get("max_workers", len(workers)))
    return [_node(types[head]["resources"]), *workers[:limit]]
