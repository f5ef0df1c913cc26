"""One bar for work that is counted: images, shards."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Advance:
    """A `progress(done, total)` callback that drives a bar, which is shown from the first call."""

    def __init__(self, progress: Progress, text: str) -> None:
        self._progress = progress
        self._task = progress.add_task(text, total=None, visible=False)

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total, visible=True)


class _RateColumn(ProgressColumn):
    """Steps a second since the start. Steps come in lumps, so the latest say little."""

    def render(self, task: Task) -> Text:
        seconds = task.finished_time or task.elapsed
        rate = f"{task.completed / seconds:,.0f}/s" if seconds else ""
        return Text(rate, style="progress.data.speed")


@contextmanager
def bar(text: str, console: Console) -> Iterator[_Advance]:
    """A bar with count, rate and time left; nothing is shown for work that is done already."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=False) as progress:
        yield _Advance(progress, text)
