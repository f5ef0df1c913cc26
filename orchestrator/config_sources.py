"""Where a run's configuration comes from: presets, a YAML file, and flags over it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datasets.errors import ConfigError
from datasets.folder import absolute
from orchestrator.config import RunConfig, parse_config
from trainers.recipe import RECIPES

PRESETS: dict[str, dict[str, Any]] = {
    name: {"recipe": recipe.model_dump(mode="json")} for name, recipe in RECIPES.items()
}


def load_config(
    *,
    preset: str | None = None,
    file: Path | None = None,
    shards: str | None = None,
    only: list[str] | None = None,
    seeds: list[int] | None = None,
    probes: str | None = None,
    settings: list[str] | None = None,
) -> RunConfig:
    """Resolve preset, then file, then flags, then `key=value` settings, each over the one before.

    Without a preset: `paper` when shards are given, else `demo`. Anything unknown or out of range
    raises `ConfigError` that names it and what would be valid. The file may be the `run.yaml` of
    another run: that run is repeated.
    """
    stated = _stated(file) if file else {}
    if shards is not None:
        _put(stated, "data.shards", absolute(shards))
    if only is not None:
        stated["architectures"] = only
    if seeds is not None:
        stated["seeds"] = seeds
    if probes is not None:
        stated["probes"] = probes
    for setting in settings or []:
        _put(stated, *_split_setting(setting))
    name = preset or stated.get("preset") or _default_preset(stated)
    if preset is not None and file and _is_of_a_run(_read_yaml(file)):
        _refuse_other_preset(file, preset)
    if not isinstance(name, str) or name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; valid: {', '.join(PRESETS)}")
    origin = f"configuration of {file} and the command line" if file else "configuration"
    return parse_config(_merge(PRESETS[name], stated) | {"preset": name}, origin)


@dataclass(frozen=True)
class Repeated:
    """What a run that is repeated was trained on, and by what; None where it does not tell."""

    fingerprint: str
    keras_backend: str | None


def repeated_run(file: Path | None) -> Repeated | None:
    """What is known of the run whose `run.yaml` a file is; None if it is another file."""
    values = _read_yaml(file) if file else {}
    if not _is_of_a_run(values):
        return None
    return Repeated(str(values["data"]["fingerprint"]), values.get("keras_backend"))


def _refuse_other_preset(file: Path, preset: str) -> None:
    """A run's own file has all values of its preset: another's name would only hide them."""
    own = _stated(file).get("preset")
    if own != preset:
        raise ConfigError(f"{file} is of a run of preset {own}: leave out --preset {preset}")


def _stated(file: Path) -> dict[str, Any]:
    values = _read_yaml(file)
    return dict(values["config"]) if _is_of_a_run(values) else values


def _is_of_a_run(values: dict[str, Any]) -> bool:
    """Whether this is a `run_store.RunDocument`, as far as it is needed here."""
    data = values.get("data")
    return (
        isinstance(values.get("config"), dict) and isinstance(data, dict) and "fingerprint" in data
    )


def _default_preset(stated: dict[str, Any]) -> str:
    data = stated.get("data")
    return "paper" if isinstance(data, dict) and data.get("shards") else "demo"


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {file} can't be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"config file {file} is no YAML: {_where(error)}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"config file {file} holds a {type(values).__name__}, not keys and values"
        )
    return values


def _where(error: yaml.YAMLError) -> str:
    """What is wrong with a text and where, on one line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    return f"{problem}, at line {mark.line + 1}, column {mark.column + 1}"


def _split_setting(setting: str) -> tuple[str, Any]:
    key, sign, text = setting.partition("=")
    if not sign or not key:
        raise ConfigError(f"--set {setting!r}: write key=value, for example recipe.epochs=10")
    try:
        return key.strip(), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"--set {setting!r}: the value is not valid YAML ({_where(error)})"
        ) from error


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested dictionaries."""
    *sections, last = key.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{key}: {section} is {inner!r}, not a section")
        values = inner
    values[last] = value


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged
