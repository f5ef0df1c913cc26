"""Asks each node of the connected cluster what it has."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.node_facts import NodeFacts, Questions, facts_here
from orchestrator.node_findings import NodeReport

_ANSWER_S = 180.0
_CLOCK_ANSWER_S = 20.0


def ask_nodes(questions: Questions, patience_s: float = _ANSWER_S) -> list[NodeReport]:
    """A report of each living node, in the order of their addresses.

    A node that does not answer within `patience_s` seconds, or whose process fails, has no facts.
    """
    # Neither CPU nor GPU: a cluster whose trials hold all of them can be asked too.
    facts, clock = (ray.remote(num_cpus=0, max_retries=0)(ask) for ask in (_facts, _now))
    nodes = sorted((one for one in ray.nodes() if one["Alive"]), key=_name)
    asked = [facts.options(scheduling_strategy=_on(node)).remote(questions) for node in nodes]
    ready, late = ray.wait(asked, num_returns=len(asked), timeout=patience_s)
    for answer in late:
        ray.cancel(answer, force=True)
    return [
        _report(node, answer if answer in ready else None, clock)
        for node, answer in zip(nodes, asked, strict=True)
    ]


def _facts(questions: Questions) -> NodeFacts:
    return facts_here(questions)


def _now() -> float:
    return time.time()


def _on(node: dict[str, Any]) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)


def _name(node: dict[str, Any]) -> str:
    return str(node["NodeManagerAddress"])


def _report(node: dict[str, Any], answer: "ray.ObjectRef | None", clock: Any) -> NodeReport:
    resources = node["Resources"]
    name, cpus, gpus = _name(node), int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    if answer is None:
        return NodeReport(name, cpus, gpus, silence="nothing came back in time; see its Ray logs")

    def read() -> float:
        seen = clock.options(scheduling_strategy=_on(node)).remote()
        return float(ray.get(seen, timeout=_CLOCK_ANSWER_S))

    try:
        return NodeReport(name, cpus, gpus, ray.get(answer), clock_ahead(read))
    except ray.exceptions.RayError as error:
        return NodeReport(name, cpus, gpus, silence=_last_line(str(error)))


def clock_ahead(read: Callable[[], float]) -> float:
    """How far the clock that `read` gives was outside of the time that reading took; 0 within."""
    asked_at = time.time()
    seen = read()
    answered_at = time.time()
    return min(0.0, seen - asked_at) + max(0.0, seen - answered_at)


def _last_line(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else "it ended without a word"
