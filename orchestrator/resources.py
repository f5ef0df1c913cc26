"""What a trial gets of the machines that there are, and how many fit at once."""

from collections import Counter
from collections.abc import Sequence

from datasets.errors import ConfigError
from datasets.parallel import num_cores
from orchestrator.config import RunConfig
from orchestrator.hardware import local_gpus
from orchestrator.plan import Node, Resources
from orchestrator.report.formats import plural


def local_node() -> Node:
    """This machine."""
    return Node(num_cores(), local_gpus())


def gpus_of_a_trial(config: RunConfig, nodes: Sequence[Node]) -> float:
    """What was asked for; else one where a node has GPUs."""
    asked = config.resources.gpus_per_trial
    if asked is not None:
        return asked
    return 1.0 if any(node.gpus for node in nodes) else 0.0


def trial_resources(config: RunConfig, nodes: Sequence[Node]) -> Resources:
    """What each trial gets, and how many fit on the nodes at once.

    A trial that asks for more than any node has raises `ConfigError` with the numbers.
    """
    asked = config.resources
    cpus = asked.cpus_per_trial
    gpus = gpus_of_a_trial(config, nodes)
    places = sum(node.places(cpus, gpus) for node in nodes)
    if not places:
        found = Counter(map(_has, nodes))
        have = ", ".join(f"{plural(count, 'node')} of {each}" for each, count in found.items())
        raise ConfigError(
            f"a trial asks for {plural(cpus, 'CPU')} and {gpus:g} GPU{'s' * (gpus != 1)} on one "
            f"node; there {'is' if len(nodes) == 1 else 'are'} {have or 'none'}; "
            "lower resources.cpus_per_trial or resources.gpus_per_trial"
        )
    concurrent = min(places, asked.max_concurrent or places)
    return Resources(cpus, gpus, concurrent, full=concurrent == places)


def _has(node: Node) -> str:
    return f"{plural(node.cpus, 'CPU')} and {plural(node.gpus, 'GPU')}"
