"""The order of node types: Ray's own, then what is not sold out, then their names."""

import itertools
from types import SimpleNamespace

import pytest

from orchestrator.ray_environment import prepare_environment

prepare_environment()

from ray._common.utils import env_integer  # noqa: E402
from ray.autoscaler._private import resource_demand_scheduler as rays  # noqa: E402

from orchestrator.node_order import score  # noqa: E402

NODES = [
    {"CPU": 4},
    {"CPU": 4, "GPU": 1},
    {"CPU": 64, "GPU": 8, "memory": 2e11},
    {"CPU": 0.5},
    {"CPU": 4, "GPU": 0},
    {"TPU": 4, "CPU": 16},
    {},
]
ASKED = [
    [{"CPU": 1}],
    [{"CPU": 1, "GPU": 1}, {"CPU": 1, "GPU": 1}],
    [{"CPU": 2}, {"CPU": 4, "GPU": 1}],
    [{"GPU": 0.5}],
    [{"CPU": 0, "memory": 1e9}],
    [{"TPU": 4}],
    [{"CPU": 1000}],
    [{"CPU": 1, "node:__internal_implicit_resource_x": 1}],
    [{"CPU": 1, "node:__internal_implicit_resource_x": 2}],
    [{}],
    [],
]


def availabilities(**sold_out: bool) -> SimpleNamespace:
    return SimpleNamespace(
        node_availabilities={
            name: SimpleNamespace(is_available=not is_so) for name, is_so in sold_out.items()
        }
    )


@pytest.mark.parametrize("conserves", ["1", "0", "of no sense"])
def test_what_fits_is_what_ray_says(conserves: str, monkeypatch: pytest.MonkeyPatch):
    name = "AUTOSCALER_CONSERVE_GPU_NODES"
    monkeypatch.setenv(name, conserves)
    monkeypatch.setattr(rays, name, env_integer(name, 1))  # as Ray does when it is imported
    seen = set()
    for node, asked in itertools.product(NODES, ASKED):
        theirs = rays._resource_based_utilization_scorer(
            node, asked, node_availability_summary=availabilities()
        )
        ours = score(node, asked, "a", node_availability_summary=availabilities())
        assert (ours and ours[:2]) == (theirs and theirs[:2]), (node, asked)
        seen.add(ours and ours[:2])
    assert None in seen
    assert len(seen) > 3


def test_names_are_the_order_past_what_is_sold_out():
    types = ["gpu-1", "gpu-10", "gpu-2", "gpu"]

    def best(**sold_out: bool) -> str:
        return max(
            types,
            key=lambda name: score(
                {"CPU": 8, "GPU": 1},
                [{"GPU": 1}],
                name,
                node_availability_summary=availabilities(**sold_out),
            ),
        )

    assert best() == "gpu"
    assert best(gpu=True) == "gpu-1"
    assert best(**{"gpu": True, "gpu-1": True, "gpu-10": False}) == "gpu-10"
    assert best(**dict.fromkeys(types, True)) == "gpu"
