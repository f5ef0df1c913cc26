"""What a trial gets of the machines that there are, and how many fit at once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from datasets.errors import ConfigError
from datasets.parallel import num_cores
from orchestrator.config import RunConfig
from orchestrator.hardware import local_gpu_memory, local_gpus
from orchestrator.packing import gpu_share, memory_needed, most_at_once
from orchestrator.plan import Node, Resources, Sharing
from orchestrator.report.formats import plural
from trainers.architectures import architecture

_NO_GPU = "no node has a GPU for resources.gpus_per_trial=auto: the trials train on CPUs"

# A cluster that has not grown yet has no GPU that could be asked.
_NO_MEMORY = (
    "no node tells the memory of its GPU (nvidia-smi): each trial gets a whole GPU; "
    "to share GPUs set resources.gpu_memory_gb"
)


def local_node(gpu_memory: bool = False) -> Node:
    """This machine; its GPUs' memory only if asked for."""
    return Node(num_cores(), local_gpus(), local_gpu_memory() if gpu_memory else None)


def shares_gpus(config: RunConfig) -> bool:
    """Whether trials get parts of a GPU by their memory."""
    return config.resources.gpus_per_trial == "auto"


def gpus_of_a_trial(config: RunConfig, nodes: Sequence[Node]) -> float:
    """What was asked for, at most; else one where a node has GPUs."""
    asked = config.resources.gpus_per_trial
    if isinstance(asked, float):
        return asked
    return 1.0 if any(node.gpus for node in nodes) else 0.0


def trial_resources(config: RunConfig, nodes: Sequence[Node]) -> Resources:
    """What each trial gets, and how many fit on the nodes at once.

    GPUs are shared only where their memory is known. A trial that asks for more than any node has
    raises `ConfigError` with the numbers.
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
            f"node; there {'is' if len(nodes) == 1 else 'are'} {have or 'none'}: "
            f"{_way_out(cpus, gpus, nodes)}"
        )
    concurrent = min(places, asked.max_concurrent or places)
    alone = Resources(cpus, gpus, concurrent, full=concurrent == places)
    if not shares_gpus(config):
        return alone
    if not gpus:
        return replace(alone, sharing_note=_NO_GPU)
    memory = _gpu_memory(config, nodes)
    if memory is None:
        return replace(alone, sharing_note=_NO_MEMORY)
    return _sharing(config, nodes, memory, places)


def _way_out(cpus: int, gpus: float, nodes: Sequence[Node]) -> str:
    most_cpus = max((node.cpus for node in nodes), default=0)
    most_gpus = max((node.gpus for node in nodes), default=0)
    ways = []
    if cpus > most_cpus > 0:
        ways.append(f"set resources.cpus_per_trial to {most_cpus} or less")
    if gpus and not most_gpus:
        ways.append("set resources.gpus_per_trial=0 to train on CPUs")
    elif gpus > most_gpus:
        ways.append(f"set resources.gpus_per_trial to {most_gpus} or less")
    return " and ".join(ways) or "lower resources.cpus_per_trial or resources.gpus_per_trial"


def _sharing(config: RunConfig, nodes: Sequence[Node], memory: int, whole: int) -> Resources:
    """Shares of GPUs of `memory` bytes; `whole` trials would fit with a GPU each."""
    asked = config.resources
    shares = {
        name: gpu_share(memory_needed(architecture(name), config.recipe), memory)
        for name in config.architectures
    }
    places = most_at_once(
        [share for share in shares.values() for _ in config.seeds], nodes, asked.cpus_per_trial
    )
    concurrent = min(places, asked.max_concurrent or places)
    sharing = Sharing(shares, min(whole, concurrent), concurrent)
    return Resources(asked.cpus_per_trial, 1.0, concurrent, sharing=sharing)


def _gpu_memory(config: RunConfig, nodes: Sequence[Node]) -> int | None:
    """Bytes of a GPU: those set, else of the smallest one that is known; None where none is."""
    if config.resources.gpu_memory_gb is not None:
        return int(config.resources.gpu_memory_gb * (1 << 30))
    known = [node.gpu_memory for node in nodes if node.gpu_memory is not None]
    return min(known, default=None)


def _has(node: Node) -> str:
    return f"{plural(node.cpus, 'CPU')} and {plural(node.gpus, 'GPU')}"
