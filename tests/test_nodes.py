"""What a cluster may grow to, by the file that its autoscaler goes by."""

import pytest

from orchestrator.config_sources import load_config
from orchestrator.plan import Node
from orchestrator.ray_nodes import grown
from orchestrator.resources import trial_resources

CLUSTER = {
    "max_workers": 6,
    "head_node_type": "head",
    "available_node_types": {
        "head": {"resources": {"CPU": 0, "memory": 1}, "max_workers": 0},
        "large": {"resources": {"CPU": 8, "GPU": 4}, "max_workers": 2},
        "small": {"resources": {"CPU": 4, "GPU": 1}, "max_workers": 6, "min_workers": 0},
    },
}


def test_the_head_and_as_many_of_the_largest_as_the_limit_allows():
    assert grown(CLUSTER) == [Node(0, 0), *[Node(8, 4)] * 2, *[Node(4, 1)] * 4]


def test_without_a_limit_of_its_own_every_type_counts_to_its_own():
    without = {name: value for name, value in CLUSTER.items() if name != "max_workers"}
    assert len(grown(without)) == 1 + 2 + 6


def test_as_many_trials_at_once_as_the_grown_cluster_has_places_for():
    resources = trial_resources(load_config(preset="demo"), grown(CLUSTER))
    assert resources.gpus == 1
    assert resources.concurrent == 2 * 4 + 4


@pytest.mark.parametrize("damage", [{}, {"head_node_type": "head"}])
def test_what_is_no_cluster_file_raises_what_is_caught(damage: dict[str, str]):
    with pytest.raises(KeyError):
        grown(damage)
