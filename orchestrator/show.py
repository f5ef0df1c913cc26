"""What commands print: the plan and the outcome of a run."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from orchestrator.config import RunConfig
from orchestrator.plan import Plan
from orchestrator.progress import duration, trial_table
from orchestrator.run_store import TrialRecord
from orchestrator.texts import one_line
from trainers.home import TRIALS_DIR


def _seconds(hours: float | None) -> float | None:
    return None if hours is None else hours * 3600


def _money(cost: float | None, currency: str) -> str:
    return "–" if cost is None else f"{cost:.2f} {currency}"


def print_plan(plan: Plan, config: RunConfig, console: Console) -> None:
    """Trials in order, resources, estimated time and, where prices are given, cost."""
    currency = config.estimate.currency
    table = Table(title=f"{len(plan.trials)} trials, longest first", title_justify="left")
    table.add_column("trial", no_wrap=True)
    for header in ("work, TFLOP", "time", "cost"):
        table.add_column(header, justify="right")
    for trial in plan.trials:
        table.add_row(
            trial.name,
            f"{trial.gflop / 1000:.1f}",
            duration(_seconds(trial.hours)),
            _money(trial.cost, currency),
        )
    console.print(table)
    each = plan.resources
    console.print(
        f"preset {config.preset}; each trial {each.cpus} CPU and {each.gpus:g} GPU, "
        f"{each.concurrent} at once; estimated {duration(_seconds(plan.hours))} in all, "
        f"cost {_money(plan.cost, currency)}",
        highlight=False,
    )
    console.print(_assumption(plan, config), highlight=False)


def _assumption(plan: Plan, config: RunConfig) -> str:
    estimate = config.estimate
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
