"""Keys of a resolved configuration, for those that only read it: `recipe.epochs`."""

from typing import Any

# What may change between two starts of one run: it moves no bit of a result.
FREE_KEYS = (
    "data.shards",  # the fingerprint is compared instead: a data set may move
    "data.cache_dir",
    "data.cache_mode",
    "data.prefetch_batches",
    "resources.gpu_memory_gb",
    "resources.max_concurrent",
    "resources.max_failures",
    "resilience.",
    "estimate.",
    "tracking",  # `tracking_uri` and `tracking_experiment` too
)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
