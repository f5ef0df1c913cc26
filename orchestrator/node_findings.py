"""What is wrong with a cluster, from what its nodes said: each finding with the way out."""

from collections.abc import Sequence
from dataclasses import dataclass

from datasets.units import data_size
from orchestrator.node_facts import NodeFacts
from trainers.backend import FRAMEWORKS, Framework

# CUDA 12's first driver, for TensorFlow and `jax[cuda12]`; later ones of CUDA 12 run on it too
# (CUDA's release notes, table 2, "CUDA Toolkit and Minimum Required Driver Version for CUDA Minor
# Version Compatibility").
MINIMUM_DRIVER = (525, 60, 13)

# Deadlines of pre-emption and the ages of files are compared across nodes.
_CLOCK_S = 2.0


@dataclass(frozen=True)
class NodeReport:
    """A node as Ray counts it, and what it said; `facts` is None where it did not answer."""

    name: str
    cpus: int
    gpus: int
    facts: NodeFacts | None = None
    clock_ahead_s: float = 0.0
    """By how much its clock is ahead of the driver's."""
    silence: str = ""
    """Why there are no facts."""


@dataclass(frozen=True)
class Needs:
    """What a run needs of each node that trains."""

    gpus: float = 0
    """GPUs of a trial."""
    gpus_to_come: int = 0
    """GPUs of the largest node that the cluster may still grow by."""
    watcher: bool = False
    """On machines of a cloud, which may take them away, a watcher must run."""


def findings(nodes: Sequence[NodeReport], needs: Needs) -> list[str]:
    """Everything that keeps the cluster from running as it should, a sentence each."""
    found = [f"{node.name} does not answer: {node.silence}" for node in nodes if not node.facts]
    found += _of_the_cluster(nodes, needs)
    for node in nodes:
        if node.facts is not None:
            found += _of_a_node(node, node.facts, needs)
    return found


def _of_the_cluster(nodes: Sequence[NodeReport], needs: Needs) -> list[str]:
    found = []
    known = [(node.name, node.facts) for node in nodes if node.facts is not None]
    for package in known[0][1].versions if known else ():
        by_version: dict[str, list[str]] = {}
        for name, facts in known:
            by_version.setdefault(facts.versions.get(package, "none"), []).append(name)
        if len(by_version) > 1:
            told = "; ".join(f"{one} on {', '.join(on)}" for one, on in sorted(by_version.items()))
            found.append(
                f"{package} differs between nodes: {told}; install the versions of "
                "requirements.lock on all"
            )
    most = max((needs.gpus_to_come, *(node.gpus for node in nodes)))
    if needs.gpus and most < needs.gpus:
        has = f"has more than {most}" if most else "has one"
        found.append(
            f"a trial asks for {needs.gpus:g} GPU and no node {has} in Ray: add GPU nodes, or set "
            f"resources.gpus_per_trial={most}{'' if most else ' to train on CPUs'}"
        )
    return found


def _of_a_node(node: NodeReport, facts: NodeFacts, needs: Needs) -> list[str]:
    found = [*_gpus(node, facts, needs), *_disk(node, facts, needs)]
    if facts.storage.problem:
        found.append(
            f"{node.name} can't use the run's storage: {facts.storage.problem}; "
            f"{facts.storage.way_out}"
        )
    if abs(node.clock_ahead_s) > _CLOCK_S:
        found.append(
            f"the clock of {node.name} is {node.clock_ahead_s:+.1f} s off the driver's: let it "
            "follow a time server"
        )
    if needs.watcher and facts.cloud and not facts.watches:
        found.append(
            f"{node.name} is a machine of {facts.cloud} and runs no `fer-orch watch-preemption`: "
            "start it there, or its trials will not hear of a pre-emption in time"
        )
    return found


def _gpus(node: NodeReport, facts: NodeFacts, needs: Needs) -> list[str]:
    framework = FRAMEWORKS[facts.backend]
    if facts.seen_gpus is None:
        return [f"{framework.title} does not start on {node.name}: install requirements.lock there"]
    if not needs.gpus or facts.seen_gpus >= node.gpus:
        return []
    seen = f"Ray counts {node.gpus} GPU on {node.name}, {framework.title} sees {facts.seen_gpus}"
    why = _why_unseen(facts.driver, framework)
    return [f"{seen}: {why}; or set resources.gpus_per_trial=0"]


def _why_unseen(driver: str | None, framework: Framework) -> str:
    if driver is None:
        return "it has no NVIDIA driver: install one, or start its Ray with --num-gpus=0"
    if _numbers(driver) < MINIMUM_DRIVER:
        least = ".".join(map(str, MINIMUM_DRIVER))
        return f"its driver {driver} is older than {least}, which CUDA 12 needs: update it"
    return f"install {framework.for_gpus} there, which brings {framework.title}'s CUDA libraries"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _disk(node: NodeReport, facts: NodeFacts, needs: Needs) -> list[str]:
    if not node.cpus or (needs.gpus and not node.gpus):
        return []  # no trial can run there
    if isinstance(facts.cache, str):
        return [
            f"{node.name} can't write to its cache, {facts.cache}: set data.cache_dir to a folder "
            "of its disk"
        ]
    if facts.cache.free >= facts.cache.needed:
        return []
    return [
        f"{node.name} has {data_size(facts.cache.free)} free for the cache, which needs "
        f"{data_size(facts.cache.needed)}: free some, set data.cache_dir to a larger disk, or "
        "data.cache_mode=encoded"
    ]
