"""One question to each of several nodes of the connected cluster."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

Answer = TypeVar("Answer")


class NoAnswerError(Exception):
    """Why a node did not answer."""


def ask_each(
    question: Callable[..., Answer],
    nodes: Sequence[Mapping[str, Any]],
    patience_s: float,
    *arguments: object,
) -> list[Answer | NoAnswerError]:
    """What a function returns on each of some of `ray.nodes()`, in their order, asked all at once.

    A node that does not answer within `patience_s` seconds, or whose process fails, has the reason
    in its place.
    """
    # Neither CPU nor GPU: a cluster whose trials hold all of them can be asked too.
    ask = ray.remote(num_cpus=0, max_retries=0)(question)
    asked = [ask.options(scheduling_strategy=_on(node)).remote(*arguments) for node in nodes]
    if not asked:  # Ray waits for something
        return []
    ready, late = ray.wait(asked, num_returns=len(asked), timeout=patience_s)
    for answer in late:
        ray.cancel(answer, force=True)
    in_time = set(ready)
    return [
        _answer(one)
        if one in in_time
        else NoAnswerError("nothing came back in time; see its Ray logs")
        for one in asked
    ]


def _on(node: Mapping[str, Any]) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)


def _answer(asked: "ray.ObjectRef") -> Any:
    try:
        return ray.get(asked)
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines()
        return NoAnswerError(lines[-1] if lines else "it ended without a word")
