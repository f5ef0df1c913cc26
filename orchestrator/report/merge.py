"""Several runs as one report: their trials side by side, where they are of the same data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from datasets.errors import ConfigError
from orchestrator.config_keys import FREE_KEYS, flatten
from orchestrator.report.blocks import Section
from orchestrator.report.collect import RunReport, RunSource, TrialReport, collect

# What is not the same in two runs that are worth a common report.
_OWN_KEYS = ("architectures", "seeds", "preset", *FREE_KEYS)


def collect_runs(run_dirs: Sequence[Path], *, allow_different_data: bool = False) -> RunReport:
    """Read one run directory or several; `ConfigError` where they do not belong together."""
    if len(run_dirs) == 1:
        return collect(run_dirs[0])
    _check_distinct(run_dirs)
    runs = [collect(path) for path in run_dirs]
    labels = _labels([run.sources[0].label for run in runs])
    sources = tuple(
        replace(run.sources[0], label=label) for run, label in zip(runs, labels, strict=True)
    )
    warnings = (
        *_different_data(sources, allow_different_data),
        *_different_configs(sources),
        *(
            f"run {label}: {text}"
            for run, label in zip(runs, labels, strict=True)
            for text in run.warnings
        ),
    )
    trials = _told_apart(
        [
            replace(trial, run=label)
            for run, label in zip(runs, labels, strict=True)
            for trial in run.trials
        ]
    )
    names = [trial.record.name for trial in trials]
    first = runs[0].document.model_copy(update={"name": " + ".join(labels), "trials": names})
    return RunReport(first, runs[0].provenance, trials, warnings, sources=sources)


def _told_apart(trials: Sequence[TrialReport]) -> tuple[TrialReport, ...]:
    """Trials of an architecture that two runs trained from one seed are named after their run.

    Runs that share no trial are taken for one: their seeds are repetitions of each other.
    """
    counted = Counter(trial.record.name for trial in trials)
    shared = {trial.record.architecture for trial in trials if counted[trial.record.name] > 1}
    return tuple(
        replace(trial, variant=f"run {trial.run}") if trial.record.architecture in shared else trial
        for trial in trials
    )


def _check_distinct(run_dirs: Sequence[Path]) -> None:
    counted = Counter(path.resolve() for path in run_dirs)
    twice = [str(path) for path, count in counted.items() if count > 1]
    if twice:
        raise ConfigError(f"{', '.join(twice)} is given twice; name each run once")


def _labels(names: Sequence[str]) -> list[str]:
    """The runs' names, numbered where several are called the same."""
    labels: list[str] = []
    for name in names:
        label, number = name, 1
        while label in labels:
            number += 1
            label = f"{name} ({number})"
        labels.append(label)
    return labels


def _different_data(sources: Sequence[RunSource], allowed: bool) -> tuple[str, ...]:
    fingerprints = {source.document.data.fingerprint for source in sources}
    if len(fingerprints) == 1:
        return ()
    listed = ", ".join(
        f"{source.label}: fingerprint {source.document.data.fingerprint}" for source in sources
    )
    if not allowed:
        raise ConfigError(
            f"the runs are of different data ({listed}): their figures can't be compared; "
            "report them apart, or give --allow-different-data"
        )
    return (f"the runs are of different data ({listed}): their figures can't be compared",)


def _different_configs(sources: Sequence[RunSource]) -> tuple[str, ...]:
    """One warning that lists every setting in which the runs differ."""
    configs = [flatten(source.document.config) for source in sources]
    keys = dict.fromkeys(key for one in configs for key in one)
    differing = [
        f"{key} "
        + ", ".join(
            f"{config.get(key)} ({source.label})"
            for config, source in zip(configs, sources, strict=True)
        )
        for key in keys
        if not key.startswith(_OWN_KEYS)
        and any(config.get(key) != configs[0].get(key) for config in configs)
    ]
    return (f"the runs were configured differently: {'; '.join(differing)}",) if differing else ()


def apart(section: Section, number: int, source: RunSource) -> Section:
    """A section of one run of several: with its name, and ids of its own."""
    end = f"-{number}"
    return replace(
        section,
        id=section.id + end,
        title=f"{section.title}, run {source.label}",
        figures=tuple(
            replace(figure, id=figure.id + end, table_id=figure.table_id + end)
            for figure in section.figures
        ),
        tables=tuple(replace(table, id=table.id + end) for table in section.tables),
    )
