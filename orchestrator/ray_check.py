"""Asks each node of the connected cluster what it has."""

import time
from collections.abc import Callable
from typing import Any

import ray

from orchestrator.node_facts import NodeFacts, Questions, facts_here
from orchestrator.node_findings import NodeReport
from orchestrator.ray_ask import NoAnswerError, ask_each

_ANSWER_S = 180.0
_CLOCK_ANSWER_S = 20.0


def ask_nodes(questions: Questions, patience_s: float = _ANSWER_S) -> list[NodeReport]:
    """A report of each living node, in the order of their addresses.

    A node that does not answer within `patience_s` seconds, or whose process fails, has no facts.
    """
    nodes = sorted((one for one in ray.nodes() if one["Alive"]), key=_name)
    answers = ask_each(facts_here, nodes, patience_s, questions)
    return [_report(node, answer) for node, answer in zip(nodes, answers, strict=True)]


def _name(node: dict[str, Any]) -> str:
    return str(node["NodeManagerAddress"])


def _report(node: dict[str, Any], answer: NodeFacts | NoAnswerError) -> NodeReport:
    resources = node["Resources"]
    name, cpus, gpus = _name(node), int(resources.get("CPU", 0)), int(resources.get("GPU", 0))

    def read_clock() -> float:
        (seen,) = ask_each(_now, [node], _CLOCK_ANSWER_S)
        if isinstance(seen, NoAnswerError):
            raise seen
        return seen

    try:
        if isinstance(answer, NoAnswerError):
            raise answer
        return NodeReport(name, cpus, gpus, answer, clock_ahead(read_clock))
    except NoAnswerError as silence:
        return NodeReport(name, cpus, gpus, silence=str(silence))


def _now() -> float:
    return time.time()


def clock_ahead(read: Callable[[], float]) -> float:
    """How far the clock that `read` gives was outside of the time that reading took; 0 within."""
    asked_at = time.time()
    seen = read()
    answered_at = time.time()
    return min(0.0, seen - asked_at) + max(0.0, seen - answered_at)
