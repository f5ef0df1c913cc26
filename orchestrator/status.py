"""What `fer-orch status` prints: the report's accuracy table at the terminal, whatever the state.

Where there is no terminal, one plain line a trial; while watching, a line again when it changes.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from datasets.errors import UnreachableError
from orchestrator.board_reader import Look
from orchestrator.progress import STYLES
from orchestrator.report.collect import RunReport, TrialReport, collect, states
from orchestrator.report.formats import percent, percent_interval
from orchestrator.report.results import run_results
from orchestrator.report.scores.compare import compared
from orchestrator.report.sections.columns import accuracy_table, state_cell
from orchestrator.run_store import RunStore
from orchestrator.texts import one_line
from trainers.result import TrialState

INTERVAL_S = 2.0
_STORAGE_INTERVAL_S = 5.0  # each look at an object store is a request

# Columns of the report's table that fit on a terminal of 80 characters, beside what the state says.
_SHOWN = ("Architecture", "State", "Accuracy", "95 % interval")


def status_json(store: RunStore, look: Look = RunStore.look) -> str:
    """What `results.json` would hold now, and `progress`, the records of the trials that run.

    In ASCII: a terminal obeys what names may hold.
    """
    run = _collected(store, look)
    content = json.loads(run_results(compared(run)).model_dump_json())
    content["progress"] = [
        trial.record.progress.model_dump(mode="json")
        for trial in run.trials
        if trial.record.state is TrialState.RUNNING and trial.record.progress
    ]
    text = json.dumps(content, indent=2, ensure_ascii=False)
    # JSON has such characters in its strings alone.
    return re.sub(r"[^\n -~]", lambda found: _escaped(found[0]), text)


def _escaped(one: str) -> str:
    """As UTF-16, which JSON's escapes are of."""
    units = one.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _collected(store: RunStore, look: Look) -> RunReport:
    look(store)
    return collect(store.root, called=store.place)


def print_status(store: RunStore, console: Console, look: Look = RunStore.look) -> None:
    """Print a run once."""
    run = _collected(store, look)
    if console.is_terminal:
        console.print(status_view(run))
        return
    for line in _lines(run).values():
        _print_plain(console, line)


def watch_status(
    store: RunStore,
    console: Console,
    look: Look = RunStore.look,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Print a run again and again until every trial is over."""
    looks = _looks(store, look, pause)
    if console.is_terminal:
        _watch_live(looks, console)
    else:
        _watch_lines(looks, console)


def _looks(store: RunStore, look: Look, pause: Callable[[float], None]) -> Iterator[RunReport]:
    """The run again and again, the last time when it is over.

    It is as it was known while its storage does not answer.
    """
    run = _collected(store, look)
    while True:
        yield run
        if is_over(run):
            return
        pause(INTERVAL_S if store.storage is None else _STORAGE_INTERVAL_S)
        with suppress(UnreachableError):
            run = _collected(store, look)


def _watch_live(looks: Iterator[RunReport], console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        for run in looks:
            live.update(status_view(run), refresh=True)


def _watch_lines(looks: Iterator[RunReport], console: Console) -> None:
    told: dict[str, str] = {}
    for run in looks:
        for key, line in _lines(run).items():
            if told.get(key) != line:
                told[key] = line
                _print_plain(console, line)


def is_over(run: RunReport) -> bool:
    """True when no trial will do anything more."""
    return all(trial.record.state.is_over() for trial in run.trials)


def status_view(run: RunReport) -> Group:
    """The table, and beneath it what does not add up in the run's files."""
    warnings = (Text(f"warning: {line}", style="yellow") for line in _warnings(run))
    return Group(_table(run), *warnings)


def _table(run: RunReport) -> Table:
    source = accuracy_table(run)
    places = [[header.text for header in source.headers].index(name) for name in _SHOWN]
    table = Table(title=Text(_headline(run)), title_justify="left")
    for place in places:
        header = source.headers[place]
        table.add_column(
            Text(f"{header.text}\n{header.unit}".strip()),
            justify="right" if header.numeric else "left",
            no_wrap=place != 0,
            overflow="fold",
        )
    table.add_column("", overflow="fold")
    state = places[_SHOWN.index("State")]
    for row in source.rows:
        cells = [_marked(row[place].text, row[place].best) for place in places]
        # Text, not markup: a reason may hold [brackets].
        table.add_row(
            *map(Text, cells),
            Text(one_line(row[state].detail)),
            style=STYLES[TrialState(row[state].state)],
        )
    return table


def _marked(text: str, best: bool) -> str:
    return f"{one_line(text)} ★" if best else one_line(text)


def _headline(run: RunReport) -> str:
    counted = ", ".join(f"{count} {state}" for state, count in states(run).items() if count)
    return f"{one_line(run.document.name)}: {counted}"


def _warnings(run: RunReport) -> list[str]:
    return [one_line(text) for text in run_results(run).warnings]


def _lines(run: RunReport) -> dict[str, str]:
    """A plain line for the run, each trial and each warning; by what a change is told of."""
    trials = {trial.record.name: _line(trial) for trial in run.trials}
    return {"": _headline(run), **trials, **{text: f"warning: {text}" for text in _warnings(run)}}


def _line(trial: TrialReport) -> str:
    """State, accuracy, finished epochs, reason: nothing that changes at every step."""
    record = trial.record
    begin = f"{one_line(record.name)} {record.state}"
    if record.failure:
        return f"{begin}: {one_line(state_cell(trial).detail)}"
    if trial.result:
        interval = trial.scores.interval if trial.scores else None
        between = f" ({percent_interval(interval.low, interval.high)})" if interval else ""
        return f"{begin}, accuracy {percent(trial.accuracy)} %{between}"
    if record.state is TrialState.RUNNING and record.progress:
        so_far = record.progress.accuracy
        shown = "" if so_far is None else f", validation accuracy {percent(so_far)} % so far"
        return f"{begin}, {record.progress.epoch} of {record.progress.epochs} epochs done{shown}"
    return f"{begin}: {record.stopped}" if record.stopped else begin


def _print_plain(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)
