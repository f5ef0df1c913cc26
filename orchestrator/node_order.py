"""Which type of node Ray's autoscaler starts next: in the order of names, past what is sold out.

Ray 2.60 does not fall back. Its second autoscaler notes a type as scarce when an allocation times
out, not when the cloud refuses it, and asks for the same type for ever; the first one hands its
scorer what the cloud refused, and its own scorer looks away. So the cluster files use the first
autoscaler with this scorer (`RAY_AUTOSCALER_UTILIZATION_SCORER` in `clusters/node-env.sh`).
"""

import os
from collections.abc import Mapping
from typing import Protocol

Score = tuple[bool, int, bool, tuple[int, ...]]

# Ray asks for one of a name of this beginning to keep things on different nodes.
_EVERY_NODE_HAS = "node:__internal_implicit_resource_"


class _Availability(Protocol):
    is_available: bool


class _Availabilities(Protocol):
    """Ray's `NodeAvailabilitySummary`: what the cloud said of each type it was asked for lately."""

    node_availabilities: Mapping[str, _Availability]


def score(
    node_resources: dict[str, float],
    resources: list[dict[str, float]],
    node_type: str,
    *,
    node_availability_summary: _Availabilities,
) -> Score | None:
    """How well a node of `node_type` fits what is asked for; None: not at all, the highest wins.

    As Ray's own, no GPU node for work without a GPU (unless AUTOSCALER_CONSERVE_GPU_NODES is 0),
    then the node that has more of the kinds of resources that are asked for. Then a type that the
    cloud did not refuse in the last half hour (`AUTOSCALER_NODE_AVAILABILITY_MAX_STALENESS_S`),
    then the one whose name comes first.
    """
    has = {name for name, amount in node_resources.items() if amount >= 1}
    if not has or not any(_fits(node_resources, one) for one in resources):
        return None
    asked = {name for one in resources for name, amount in one.items() if amount > 0}
    record = node_availability_summary.node_availabilities.get(node_type)
    is_sold_out = record is not None and not record.is_available
    # Negated, so that the name that sorts first scores highest; 0 ends it, as a prefix goes first.
    order = (*(-ord(letter) for letter in node_type), 0)
    return not _wastes_gpu(node_resources, resources), len(has & asked), not is_sold_out, order


def _fits(node: Mapping[str, float], asked: Mapping[str, float]) -> bool:
    return all(
        amount <= node.get(name, 1 if name.startswith(_EVERY_NODE_HAS) else 0)
        for name, amount in asked.items()
    )


def _wastes_gpu(node: Mapping[str, float], resources: list[dict[str, float]]) -> bool:
    if os.environ.get("AUTOSCALER_CONSERVE_GPU_NODES") == "0":
        return False
    return node.get("GPU", 0) > 0 and not any("GPU" in one for one in resources)
