"""Asks each node of the connected cluster what it has."""

import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.node_facts import NodeFacts, Questions, facts_here
from orchestrator.node_findings import NodeReport

_ANSWER_S = 180.0


def ask_nodes(questions: Questions, patience_s: float = _ANSWER_S) -> list[NodeReport]:
    """A report of each living node, in the order of their addresses.

    A node that does not answer within `patience_s` seconds, or whose process fails, has no facts.
    """
    # Neither CPU nor GPU: a cluster whose trials hold all of them can be asked too.
    ask = ray.remote(num_cpus=0, max_retries=0)(_facts)
    nodes = sorted((one for one in ray.nodes() if one["Alive"]), key=_name)
    sent_at = time.time()
    asked = [
        ask.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(one["NodeID"], soft=False)
        ).remote(questions)
        for one in nodes
    ]
    answered_at: dict[ray.ObjectRef, float] = {}
    end, waiting = time.monotonic() + patience_s, asked
    while waiting and time.monotonic() < end:
        ready, waiting = ray.wait(waiting, timeout=max(0.0, end - time.monotonic()))
        answered_at |= dict.fromkeys(ready, time.time())
    return [
        _report(node, answer, sent_at, answered_at.get(answer))
        for node, answer in zip(nodes, asked, strict=True)
    ]


def _facts(questions: Questions) -> NodeFacts:
    return facts_here(questions)


def _name(node: dict[str, Any]) -> str:
    return str(node["NodeManagerAddress"])


def _report(
    node: dict[str, Any], answer: "ray.ObjectRef", sent_at: float, answered_at: float | None
) -> NodeReport:
    resources = node["Resources"]
    name, cpus, gpus = _name(node), int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    if answered_at is None:
        ray.cancel(answer, force=True)
        return NodeReport(name, cpus, gpus, silence="nothing came back in time; see its Ray logs")
    try:
        facts = ray.get(answer)
    except ray.exceptions.RayError as error:
        return NodeReport(name, cpus, gpus, silence=_last_line(str(error)))
    return NodeReport(name, cpus, gpus, facts, _ahead(facts, sent_at, answered_at))


def _ahead(facts: NodeFacts, asked_at: float, answered_at: float) -> float:
    """How far outside of the time between question and answer its clock was; 0 within."""
    if facts.clock_s < asked_at:
        return facts.clock_s - asked_at
    return max(0.0, facts.clock_s - answered_at)


def _last_line(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else "it ended without a word"
