"""Progress of a run at the terminal: one live table, or plain lines where there is no terminal.

Reads the trials' files alone, so it shows the same whoever runs them. In the view of a run in an
object store the driver keeps them up to date (`board_follower`, `train_run`).
"""

import threading
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from datasets.errors import FerOrchError
from orchestrator.forecast import Forecast
from orchestrator.report.formats import plural
from orchestrator.run_store import RunStore, TrialRecord
from orchestrator.texts import one_line
from trainers.result import TrialState

_REFRESH_S = 1.0
STYLES = {
    TrialState.PENDING: "dim",
    TrialState.RUNNING: "cyan",
    TrialState.FINISHED: "green",
    TrialState.FAILED: "bold red",
    TrialState.DIVERGED: "bold magenta",
}


def duration(seconds: float | None) -> str:
    """Seconds as people read them: `42 s`, `3 min 05 s`, `2 h 10 min`; unknown is `–`."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def accuracy_of(record: TrialRecord) -> float | None:
    """The latest validation accuracy of a trial, a fraction of 1."""
    if record.result:
        return record.result.accuracy
    return record.progress.accuracy if record.progress else None


def trial_table(records: list[TrialRecord], seconds_left: float | None = None) -> Table:
    """One row a trial: state, epoch, steps a second, accuracy, time left; that of all above."""
    title = _headline(records, seconds_left)
    table = Table(title=title, title_justify="left", expand=False)
    for header in ("trial", "state"):
        table.add_column(header, no_wrap=True)
    for header in ("epoch", "step", "step/s", "accuracy", "left"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("note", overflow="ellipsis", no_wrap=True)
    for record in records:
        cells = (Text(one_line(cell)) for cell in _cells(record))  # a reason may hold [brackets]
        table.add_row(*cells, style=STYLES[record.state])
    return table


def _headline(records: list[TrialRecord], seconds_left: float | None) -> str:
    over = sum(record.state.is_over() for record in records)
    done = f"{over} of {plural(len(records), 'trial')} done"
    if seconds_left is None or over == len(records):
        return done
    return f"{done}, about {duration(seconds_left)} left"


def _cells(record: TrialRecord) -> list[str]:
    accuracy = accuracy_of(record)
    shown = f"{accuracy:.1%}" if accuracy is not None else "–"
    if record.result:
        epochs = record.result.epochs
        return [record.name, record.state, f"{epochs}/{epochs}", "", "", shown, "", ""]
    if record.failure:
        return [record.name, record.state, "", "", "", shown, "", record.failure.reason]
    now = record.progress
    if now is None or record.stopped:
        return [record.name, record.state, "", "", "", "", "", record.stopped]
    return [
        record.name,
        record.state,
        f"{now.epoch}/{now.epochs}",
        f"{now.step}/{now.steps_per_epoch}" if now.steps_per_epoch else "",
        f"{now.steps_per_s:.2f}" if now.steps_per_s else "",
        shown,
        duration(now.seconds_left) if now.seconds_left is not None else "",
        ", ".join(filter(None, ["" if now.phase == "training" else now.phase, restarted(record)])),
    ]


def restarted(record: TrialRecord) -> str:
    """How often a trial that runs was started again, and why last: `restart 2 (killed)`."""
    if not record.restarts:
        return ""
    return f"restart {len(record.restarts)} ({record.restarts[-1].replace('_', ' ')})"


class ProgressView:
    """Shows a run until it is left: `with ProgressView(store, forecast, console): …`."""

    def __init__(self, store: RunStore, forecast: Forecast, console: Console) -> None:
        self._store = store
        self._forecast = forecast
        self._console = console
        self._stop = threading.Event()
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._told: dict[str, str] = {}
        self._over = 0
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> "ProgressView":
        if self._live:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._show()
        if self._live:
            self._live.stop()

    def _watch(self) -> None:
        while not self._stop.wait(_REFRESH_S):
            self._show()

    def _show(self) -> None:
        try:
            records = self._store.trials()
        except FerOrchError:  # what is known is shown until it can be read again
            return
        if self._live:
            self._live.update(trial_table(records, self._forecast.seconds_left(records)))
            return
        self._tell_changes(records)

    def _tell_changes(self, records: list[TrialRecord]) -> None:
        for record in records:
            line = plain_line(record)
            if self._told.get(record.name, "") != line:
                self._told[record.name] = line
                if line:
                    self._print(line)
        over = sum(record.state.is_over() for record in records)
        if over > self._over:  # a log that has no table learns here how far the run is
            self._over = over
            self._print(_headline(records, self._forecast.seconds_left(records)))

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)


def plain_line(record: TrialRecord) -> str:
    """What a log should tell of a trial: state and finished epochs; nothing while pending."""
    accuracy = accuracy_of(record)
    shown = f", validation accuracy {accuracy:.1%}" if accuracy is not None else ""
    name = one_line(record.name)
    if record.failure:
        return f"{name} {record.state}: {one_line(record.failure.reason)}"
    if record.result:
        return f"{name} finished{shown}"
    if record.progress is None or record.stopped:
        return f"{name} {record.state}: {record.stopped}" if record.stopped else ""
    again = f", {restarted(record)}" if record.restarts else ""
    return f"{name} running, epoch {record.progress.epoch}/{record.progress.epochs}{shown}{again}"
