"""Which type of node Ray's autoscaler starts next: in the order of names, past what is sold out.

Ray 2.60 does not fall back. Its second autoscaler notes a type as scarce when an allocation times
out, not when the cloud refuses it, and asks for the same type for ever; the first one hands its
scorer what the cloud refused, and its own scorer looks away. So the cluster files use the first
autoscaler with this scorer (`RAY_AUTOSCALER_UTILIZATION_SCORER` in `clusters/node-env.sh`).
"""

from ray.autoscaler._private.node_provider_availability_tracker import NodeAvailabilitySummary
from ray.autoscaler._private.resource_demand_scheduler import _resource_based_utilization_scorer

Score = tuple[bool, int, bool, tuple[int, ...]]


def score(
    node_resources: dict[str, float],
    resources: list[dict[str, float]],
    node_type: str,
    *,
    node_availability_summary: NodeAvailabilitySummary,
) -> Score | None:
    """How well a node of `node_type` fits what is asked for; None: not at all, the highest wins.

    As Ray's own, no GPU node for work without a GPU, then the node that offers most of what is
    asked for. Then a type that the cloud did not refuse in the last half hour
    (`AUTOSCALER_NODE_AVAILABILITY_MAX_STALENESS_S`), then the one whose name comes first.
    """
    fit = _resource_based_utilization_scorer(
        node_resources, resources, node_availability_summary=node_availability_summary
    )
    if fit is None:
        return None
    record = node_availability_summary.node_availabilities.get(node_type)
    wastes_no_gpu, num_resources = fit[:2]
    # Negated, so that the name that sorts first scores highest; 0 ends it, as a prefix goes first.
    order = (*(-ord(letter) for letter in node_type), 0)
    return wastes_no_gpu, num_resources, record is None or record.is_available, order
