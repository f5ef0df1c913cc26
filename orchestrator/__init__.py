"""Running the benchmark: command line, configuration, plan, Ray, progress and report."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.api import RunResult, run_all

__all__ = ["RunResult", "run_all"]


def __getattr__(name: str) -> Any:
    """The Python entry, imported when it is asked for: workers import this package too."""
    if name in __all__:
        from orchestrator import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
