"""What is told of a cluster from what its nodes said: one sentence a fault, none without."""

import time
from dataclasses import replace

import pytest

from datasets.cache import Room
from orchestrator.check import needs_of
from orchestrator.config_sources import load_config
from orchestrator.node_facts import NodeFacts, Storage
from orchestrator.node_findings import Needs, NodeReport, findings
from orchestrator.plan import Node
from orchestrator.ray_check import clock_ahead

FACTS = NodeFacts(
    host="one",
    backend="tensorflow",
    versions={"python": "3.11.7", "ray": "2.60.0", "tensorflow": "2.21.0"},
    seen_gpus=1,
    driver="550.54.15",
    cache=Room(free=100 << 30, needed=50 << 30),
    watches=True,
    storage=Storage(1e8, 1e8),
)
HEAD = NodeReport("10.0.0.1", 0, 0, replace(FACTS, seen_gpus=0, driver=None))
WORKER = NodeReport("10.0.0.2", 8, 1, FACTS)
NEEDS = Needs(gpus=1, watcher=True)


def with_facts(**change: object) -> NodeReport:
    return replace(WORKER, facts=replace(FACTS, **change))  # type: ignore[arg-type]


def test_a_whole_cluster_has_none():
    assert findings([HEAD, WORKER], NEEDS) == []


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (
            with_facts(versions=FACTS.versions | {"ray": "2.59.0"}),
            "ray differs between nodes: 2.59.0 on 10.0.0.2; 2.60.0 on 10.0.0.1; install the "
            "versions of requirements.lock on all",
        ),
        (
            with_facts(seen_gpus=0, driver="470.82.01"),
            "Ray counts 1 GPU on 10.0.0.2, TensorFlow sees 0: its driver 470.82.01 is older than "
            "525.60.13, which CUDA 12 needs: update it; or set resources.gpus_per_trial=0",
        ),
        (
            with_facts(seen_gpus=0, driver=None),
            "Ray counts 1 GPU on 10.0.0.2, TensorFlow sees 0: it has no NVIDIA driver: install "
            "one, or start its Ray with --num-gpus=0; or set resources.gpus_per_trial=0",
        ),
        (
            with_facts(seen_gpus=0),
            "Ray counts 1 GPU on 10.0.0.2, TensorFlow sees 0: install fer-orch[gpu] there, which "
            "brings TensorFlow's CUDA libraries; or set resources.gpus_per_trial=0",
        ),
        (
            with_facts(seen_gpus=None),
            "TensorFlow does not start on 10.0.0.2: install requirements.lock there",
        ),
        (
            with_facts(backend="jax", seen_gpus=0),
            "Ray counts 1 GPU on 10.0.0.2, JAX sees 0: install jax[cuda12] there, which brings "
            "JAX's CUDA libraries; or set resources.gpus_per_trial=0",
        ),
        (
            with_facts(backend="jax", seen_gpus=0, driver="470.82.01"),
            "Ray counts 1 GPU on 10.0.0.2, JAX sees 0: its driver 470.82.01 is older than "
            "525.60.13, which CUDA 12 needs: update it; or set resources.gpus_per_trial=0",
        ),
        (
            with_facts(backend="jax", seen_gpus=None),
            "JAX does not start on 10.0.0.2: install requirements.lock there",
        ),
        (
            with_facts(cache=Room(free=3 << 30, needed=50 << 30)),
            "10.0.0.2 has 3.0 GiB free for the cache, which needs 50.0 GiB: free some, set "
            "data.cache_dir to a larger disk, or data.cache_mode=encoded",
        ),
        (
            with_facts(cache="/cache (Permission denied)"),
            "10.0.0.2 can't write to its cache, /cache (Permission denied): set data.cache_dir to "
            "a folder of its disk",
        ),
        (
            with_facts(storage=Storage(problem="ACCESS_DENIED")),
            "10.0.0.2 can't use the run's storage: ACCESS_DENIED; give its machine the permission "
            "to read, write, list and delete there",
        ),
        (
            replace(WORKER, clock_ahead_s=-7.25),
            "the clock of 10.0.0.2 is -7.2 s off the driver's: let it follow a time server",
        ),
        (
            with_facts(watches=False, cloud="Amazon EC2"),
            "10.0.0.2 is a machine of Amazon EC2 and runs no `fer-orch watch-preemption`: start it "
            "there, or its trials will not hear of a pre-emption in time",
        ),
        (
            replace(WORKER, facts=None, silence="nothing came back in time"),
            "10.0.0.2 does not answer: nothing came back in time",
        ),
    ],
)
def test_each_fault_is_told_once_with_its_way_out(node: NodeReport, told: str):
    assert findings([HEAD, node], NEEDS) == [told]


def test_no_gpu_anywhere_is_told_once_and_only_to_who_asks_for_one():
    cpu_node = NodeReport("10.0.0.3", 8, 0, HEAD.facts)
    assert findings([HEAD, cpu_node], NEEDS) == [
        "a trial asks for 1 GPU and no node has one in Ray: add GPU nodes, or set "
        "resources.gpus_per_trial=0 to train on CPUs"
    ]
    assert findings([HEAD, cpu_node], replace(NEEDS, gpus=0)) == []


def test_fewer_gpus_on_each_node_than_a_trial_asks_for():
    assert findings([HEAD, WORKER], replace(NEEDS, gpus=2)) == [
        "a trial asks for 2 GPU and no node has more than 1 in Ray: add GPU nodes, or set "
        "resources.gpus_per_trial=1"
    ]


def test_a_cluster_that_has_not_grown_yet_lacks_no_gpu():
    assert findings([HEAD], replace(NEEDS, gpus=2, gpus_to_come=4)) == []
    assert findings([HEAD], replace(NEEDS, gpus=8, gpus_to_come=4)) != []


def test_the_disk_of_a_node_that_trains_nothing_does_not_matter():
    head = replace(HEAD, facts=replace(FACTS, cache=Room(free=0, needed=1)))
    assert findings([head, WORKER], NEEDS) == []


def test_gpus_that_a_run_does_not_use_do_not_matter():
    node = with_facts(seen_gpus=0, driver="470.82.01")
    assert findings([HEAD, node], replace(NEEDS, gpus=0)) == []
    dead = with_facts(seen_gpus=None)
    assert findings([HEAD, dead], replace(NEEDS, gpus=0)) != []


def test_without_a_setting_a_trial_has_a_gpu_where_there_are_some():
    head, worker = Node(cpus=8, gpus=0), Node(cpus=8, gpus=2)
    assert needs_of(load_config(), [head]).gpus == 0
    assert needs_of(load_config(), [head, worker]).gpus == 1
    full = NodeReport("10.0.0.3", 8, 0, replace(FACTS, cache=Room(free=0, needed=1)))
    assert findings([full, WORKER], needs_of(load_config(), [head, worker])) == []


def test_storage_that_fails_has_a_way_out_of_its_own():
    other = Storage(problem="/run is another folder there", way_out="mount the shared one there")
    (told,) = findings([with_facts(storage=other)], NEEDS)
    assert told.endswith("/run is another folder there; mount the shared one there")


def test_a_clock_is_found_wrong_both_ways_and_however_long_the_answer_takes():
    for off in (-9.0, 9.0):
        assert clock_ahead(lambda off=off: time.time() + off) == pytest.approx(off, abs=0.5)

    def slow() -> float:
        time.sleep(0.2)
        return time.time()

    assert clock_ahead(slow) == pytest.approx(0, abs=0.01)


def test_watchers_are_wanted_only_where_asked_for():
    node = with_facts(watches=False, cloud="Google")
    assert findings([node], replace(NEEDS, watcher=False)) == []
    assert findings([with_facts(watches=False)], NEEDS) == []  # a machine of one's own
