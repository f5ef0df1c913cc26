"""What commands print: the plan and the outcome of a run."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from orchestrator.config import RunConfig
from orchestrator.plan import Plan, Resources
from orchestrator.progress import duration, trial_table
from orchestrator.report.formats import plural
from orchestrator.run_store import RunStore, TrialRecord
from orchestrator.texts import one_line
from trainers.home import TRIALS_DIR


def _seconds(hours: float | None) -> float | None:
    return None if hours is None else hours * 3600


def _money(cost: float | None, currency: str) -> str:
    return "–" if cost is None else f"{cost:.2f} {currency}"


def print_plan(
    plan: Plan, config: RunConfig, store: RunStore, rows: Mapping[str, int], console: Console
) -> None:
    """Trials in order, resources, time and, with prices, cost; on which data, and where to.

    Time and cost are estimates. `rows` are the images of each split.
    """
    currency = config.estimate.currency
    trials = plural(len(plan.trials), "trial")
    table = Table(title=f"{trials}, in the order of their start", title_justify="left")
    table.add_column("trial", no_wrap=True)
    each = plan.resources
    for header in ("work, TFLOP", "time", "cost", *["GPU"][: len(each.shares)]):
        table.add_column(header, justify="right")
    for trial in plan.trials:
        table.add_row(
            trial.name,
            f"{trial.gflop / 1000:.1f}",
            duration(_seconds(trial.hours)),
            _money(trial.cost, currency),
            *[f"{each.gpus_of(trial.architecture):.2g}"][: len(each.shares)],
        )
    console.print(table)
    console.print(
        f"preset {config.preset}; each trial {each.cpus} CPU and {_gpus(each)}, "
        f"{_at_once(each)}; estimated {duration(_seconds(plan.hours))} in all, "
        f"cost {_money(plan.cost, currency)}",
        highlight=False,
        soft_wrap=True,
    )
    note = [each.sharing_note] if each.sharing_note else []
    for line in (*note, _assumption(plan, config), _data(config, rows), _place(store)):
        console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _gpus(each: Resources) -> str:
    return "a GPU's share by its memory" if each.shares else f"{each.gpus:g} GPU"


def _at_once(each: Resources) -> str:
    if each.slots == each.concurrent:
        return f"{each.concurrent} at once"
    return f"{each.slots} to {each.concurrent} at once"


def _data(config: RunConfig, rows: Mapping[str, int]) -> str:
    images = f"{rows['train']:,} training and {rows['validation']:,} validation images"
    if config.data.shards is None:
        return f"data: drawn faces, {images}; --data names shards of your own"
    return f"data: {config.data.shards}, {images}"


def _place(store: RunStore) -> str:
    if store.read() is None:
        return f"run directory: {store.place}, new"
    records = store.trials()
    done = sum(record.state.is_over() for record in records)
    return f"run directory: {store.place}, {done} of {plural(len(records), 'trial')} done"


def _assumption(plan: Plan, config: RunConfig) -> str:
    estimate = config.estimate
    if plan.measured:
        return (
            f"at the rates that this run has measured for {plan.measured} of "
            f"{plural(len(config.architectures), 'architecture')}, their median for the others"
        )
    if plan.resources.gpus:
        if estimate.gpu_gflops is None:
            return (
                "no estimate for GPU trials: set estimate.gpu_gflops to your GPU's rate in training"
            )
        return f"assumed: {estimate.gpu_gflops:g} GFLOP/s a trial (estimate.gpu_gflops)"
    return f"assumed: {estimate.cpu_gflops:g} GFLOP/s a CPU core (estimate.cpu_gflops)"


def print_outcome(
    records: list[TrialRecord], place: str, index: str | Path, console: Console
) -> None:
    """The final table, each failure's reason, and where the report is. `place` is the run's."""
    console.print(trial_table(records))
    for record in records:
        if record.failure:
            console.print(
                one_line(f"{record.name} {record.state}: {record.failure.reason}")
                + f" (see {place}/{TRIALS_DIR}/{record.name})",
                style="red",
                markup=False,
                emoji=False,
                soft_wrap=True,
            )
    console.print(f"report: {index}", markup=False, highlight=False, soft_wrap=True)
