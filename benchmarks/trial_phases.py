"""Where each second of a demo trial goes.

    python benchmarks/trial_phases.py WORKDIR [--only a,b]

Trains the demo's recipe (480 drawn faces of 76 pixels, twice; 120 for validation) as a worker does,
each architecture in a process of its own, and prints a table as Markdown: seconds by phase.
"""

import time

_START = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from collections import defaultdict  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from bench_work import Bench, worker_environment  # noqa: E402
from children import figures_of  # noqa: E402
from training_times import trial  # noqa: E402

from trainers.recipe import RECIPES  # noqa: E402

STEPS = 60
PHASES = (
    "start of Python and its imports",
    "images from the cache",
    "model built",
    "first step, traced",
    "other steps",
    "evaluations",
    "checkpoints, standing still",
    "costs and probes",
    "result written",
    "else",
)
ONLY = "mobilenet,mobilenetv2,resnet50,densenet121,nasnetmobile,xception"


class Watch:
    """Adds up the seconds in functions, what they call among them counted once."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def over(self, owner: Any, name: str, phase: str) -> None:
        """Time all calls of a function under the name of a phase."""
        call: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **options: Any) -> Any:
            with_inner = self._inner
            with_inner.append(0.0)
            begin = time.perf_counter()
            try:
                return call(*args, **options)
            finally:
                took = time.perf_counter() - begin
                self.seconds[phase] += took - with_inner.pop()
                with_inner[-1] += took

        setattr(owner, name, timed)


def phases(work: Path, architecture: str) -> dict[str, float]:
    """Train one architecture in this process; seconds by phase."""
    from trainers import fitting, model, session
    from trainers import trial as trials

    watch, moments = Watch(), {}
    watch.over(trials, "stage", "images from the cache")
    watch.over(model, "compiled_model", "model built")
    watch.over(fitting, "fit_epoch", "other steps")
    watch.over(session.Session, "_evaluate", "evaluations")
    watch.over(session.Session, "save", "checkpoints, standing still")
    watch.over(session, "examine", "costs and probes")
    watch.over(session.Session, "write", "result written")
    end_of_step, fit = fitting.StepCallback.on_train_batch_end, fitting.fit_epoch

    def step(*args: Any, **options: Any) -> None:
        moments.setdefault("stepped", time.perf_counter())
        end_of_step(*args, **options)

    def epoch(*args: Any, **options: Any) -> Any:
        moments.setdefault("fitting", time.perf_counter())
        return fit(*args, **options)

    fitting.StepCallback.on_train_batch_end, fitting.fit_epoch = step, epoch
    begin = time.perf_counter()
    trial(work, architecture, RECIPES["demo"].epochs, _no_times())
    whole = time.perf_counter() - begin
    seconds = watch.seconds | {"start of Python and its imports": begin - _START}
    seconds["first step, traced"] = moments["stepped"] - moments["fitting"]
    seconds["other steps"] -= seconds["first step, traced"]
    seconds["else"] = begin - _START + whole - sum(seconds.values())
    return seconds


def _no_times() -> Any:
    from training_times import Times

    return Times()


def table(found: dict[str, dict[str, float]]) -> str:
    """A row for each phase, a column for each architecture."""
    lines = [f"| seconds | {' | '.join(found)} |", f"|---|{'--:|' * len(found)}"]
    for phase in PHASES:
        lines.append(f"| {phase} | {' | '.join(f'{one[phase]:.1f}' for one in found.values())} |")
    whole = " | ".join(f"{sum(one.values()):.1f}" for one in found.values())
    return "\n".join([*lines, f"| **all** | {whole} |"])


def main() -> None:
    """Measure all and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", default=ONLY)
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.trial:
        print(json.dumps(phases(chosen.work, chosen.trial)))
        return
    work = Bench(chosen.work.absolute()).images(STEPS)
    found = {}
    for name in chosen.only.split(","):
        words = ("trial_phases.py", work, "--trial", name)
        found[name] = figures_of(*words, environment=worker_environment())
        print(name, f"{sum(found[name].values()):.1f} s", file=sys.stderr)
    print(table(found))


if __name__ == "__main__":
    main()
