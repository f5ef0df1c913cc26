"""Whether two configurations are of the same run."""

from typing import Any

from datasets.errors import ConfigError
from orchestrator.config import parse_config
from orchestrator.config_keys import FREE_KEYS, flatten


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two resolved configurations, as `key: BEFORE before, NOW now`.

    A key that `before` lacks is newer than its run, which then had the key's default.
    """
    old, new = flatten(_completed(before)), flatten(now)
    return [
        f"{key}: {old.get(key)!r} there, {new.get(key)!r} asked for"
        for key in sorted(old.keys() | new.keys())
        if not _may_differ(key, old.get(key), new.get(key))
    ]


def _may_differ(key: str, old: Any, new: Any) -> bool:
    if key == "probes":  # a folder may move: the run keeps its pictures and compares those
        return (old is None) == (new is None)
    return old == new or key.startswith(FREE_KEYS)


def _completed(stored: dict[str, Any]) -> dict[str, Any]:
    try:
        return parse_config(stored).model_dump(mode="json")
    except ConfigError:  # of a version with other keys: compared as it stands
        return stored
