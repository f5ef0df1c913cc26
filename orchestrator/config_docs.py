"""`docs/configuration.md`, made of the configuration's own descriptions.

`python -m orchestrator.config_docs` prints it; a test holds the file to it.
"""

import json
from collections.abc import Iterator

from pydantic import BaseModel

from orchestrator.config import RunConfig
from trainers.recipe import RECIPES

_HEAD = """# Configuration

What a YAML file (`--config`) and `--set KEY=VALUE` may say. A preset gives the recipe's values;
what the file or `--set` says counts more. A run keeps its configuration in `run.yaml`; `--dry-run`
shows what a command would do. This page is made by `python -m orchestrator.config_docs`.

| key | default | meaning |
|---|---|---|
"""

_TAIL = """
Presets: `paper` has the defaults above. `demo` has, for two CPU cores:

```yaml
{demo}
```
"""


def configuration_page() -> str:
    """The page in Markdown: a row a key, then what the preset `demo` changes."""
    rows = "".join(_row(*one) for one in _keys(RunConfig, ""))
    plain, demo = (RECIPES[name].model_dump(mode="json") for name in ("paper", "demo"))
    changed = [f"  {key}: {json.dumps(demo[key])}" for key in demo if demo[key] != plain[key]]
    return _HEAD + rows + _TAIL.format(demo="\n".join(["recipe:", *changed]))


def _keys(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, object, str]]:
    """Key, default and description of each setting in a section and those below it."""
    for name, info in section.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _keys(inner, f"{prefix}{name}.")
            continue
        default = "" if info.is_required() else info.get_default(call_default_factory=True)
        yield f"{prefix}{name}", default, info.description or ""


def _row(key: str, default: object, description: str) -> str:
    shown = "all fourteen" if key == "architectures" else f"`{json.dumps(default)}`"
    text = " ".join(description.split()).replace("|", "\\|")
    return f"| `{key}` | {'' if default == '' else shown} | {text} |\n"


if __name__ == "__main__":
    print(configuration_page(), end="")
