"""What interruptions and checkpoints cost each finished trial."""

from orchestrator.report.blocks import Cell, Header, Section, Table
from orchestrator.report.collect import RunReport
from orchestrator.report.formats import MISSING, duration, fixed, integer, plural
from orchestrator.report.results import by_cause
from trainers.result import TrialResult


def interruptions_section(run: RunReport) -> Section | None:
    """The books of all finished trials; None where there is none."""
    trials = [(run.name_of(trial), trial.result) for trial in run.finished if trial.result]
    if not trials:
        return None
    restarts = sum(result.restarts for _, result in trials)
    lost = sum(result.seconds_lost for _, result in trials)
    sentence = (
        f"{plural(restarts, 'restart')}, {duration(lost)} lost by them over all trials. A trial "
        "that was interrupted goes on from its last checkpoint; in deterministic mode it ends with "
        "the bytes of an undisturbed one."
    )
    headers = (
        Header("Architecture", numeric=False),
        Header("Restarts"),
        Header("By cause", numeric=False),
        Header("Steps repeated"),
        Header("Time lost"),
        Header("Checkpoints", "s"),
        Header("Checkpoints", "% of training time"),
    )
    rows = tuple(_row(name, result) for name, result in trials)
    note = (
        "Time lost runs from the last step before a restart to the first new one after it. For its "
        "checkpoints training stands still while the state is copied; it is written meanwhile."
    )
    table = Table("interruptions-table", "Interruptions and checkpoints", headers, rows, note)
    return Section("interruptions", "Interruptions", (sentence,), tables=(table,))


def _row(name: str, result: TrialResult) -> tuple[Cell, ...]:
    share = 100 * result.checkpoint_seconds / result.train_seconds if result.train_seconds else None
    return (
        Cell(name, name),
        Cell(integer(result.restarts), result.restarts),
        Cell(by_cause(result) or MISSING),
        Cell(integer(result.steps_repeated), result.steps_repeated),
        Cell(duration(result.seconds_lost), result.seconds_lost),
        Cell(fixed(result.checkpoint_seconds, 2), result.checkpoint_seconds),
        Cell(fixed(share, 2), share),
    )
