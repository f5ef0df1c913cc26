"""How many trials share a GPU: by an estimate of the memory that each needs."""

import math
from collections.abc import Sequence

from orchestrator.plan import Node
from trainers.architectures import Architecture
from trainers.recipe import Recipe

# What a process holds of a GPU before its first tensor (CUDA's context and the libraries' kernels),
# and what cuDNN's convolutions take besides.
_PROCESS_BYTES = 800 << 20
_WORKSPACE_BYTES = 512 << 20
# A weight, its gradient and Adam's two moments, each float32.
_BYTES_PER_PARAMETER = 16
# What is freed too late or in pieces too small to use, of activations.
_MARGIN = 1.2
_TABLE_SIZE = 224
_RAY_PARTS = 10_000  # Ray counts in parts of a ten thousandth


def memory_needed(row: Architecture, recipe: Recipe) -> int:
    """Bytes of a GPU that a trial is expected to need at most.

    Each layer's output is kept for the backward pass, in half of the bytes where layers compute in
    less than float32; outputs grow with the image's area. An estimate: a trial that needs more goes
    on alone.
    """
    size = 4 if recipe.precision == "float32" else 2
    area = (recipe.image_size / _TABLE_SIZE) ** 2
    activations = row.mega_activations_224 * 1e6 * area * recipe.batch_size * size
    parameters = row.parameters_1000 * (_BYTES_PER_PARAMETER + (size if size < 4 else 0))
    return int(_PROCESS_BYTES + _WORKSPACE_BYTES + parameters + _MARGIN * activations)


def gpu_share(needed: int, memory: int) -> float:
    """The part of a GPU that a trial gets, in bytes of need and of what a GPU has.

    One over how many such trials fit; 1 where not even two do.
    """
    fitting = max(1, memory // needed)
    return math.floor(_RAY_PARTS / fitting) / _RAY_PARTS


def most_at_once(shares: Sequence[float], nodes: Sequence[Node], cpus: int) -> int:
    """How many of the trials with these shares can train at once on nodes: the smallest ones.

    Each takes `cpus` CPUs, and its share of one GPU.
    """
    free_cpus = [node.cpus for node in nodes]
    free_gpus = [[1.0] * node.gpus for node in nodes]
    placed = 0
    for share in sorted(shares):
        for place, gpus in enumerate(free_gpus):
            fitting = [number for number, free in enumerate(gpus) if free >= share - 1e-9]
            if free_cpus[place] >= cpus and fitting:
                gpus[fitting[0]] -= share
                free_cpus[place] -= cpus
                placed += 1
                break
        else:
            break
    return placed
