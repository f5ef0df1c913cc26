"""Several runs as one report: their trials side by side, where they are of the same data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from datasets.errors import ConfigError
from orchestrator.config_keys import FREE_KEYS, flatten
from orchestrator.report.blocks import Section
from orchestrator.report.collect import RunReport, RunSource, TrialReport, collect
from orchestrator.run_store import split_trial_name

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
        ],
        sources,
    )
    names = [trial.record.name for trial in trials]
    first = runs[0].document.model_copy(update={"name": " + ".join(labels), "trials": names})
    return RunReport(first, runs[0].provenance, trials, warnings, sources=sources)


def _told_apart(
    trials: Sequence[TrialReport], sources: Sequence[RunSource]
) -> tuple[TrialReport, ...]:
    """Trials that are no repetitions of each other are named after their runs.

    Runs of one recipe and one data set that share no trial are taken for one: their seeds are
    repetitions. Those of another recipe or of other data never are.
    """
    alike = _alike(sources)
    together = {label: labels for labels in alike for label in labels}
    counted = Counter((together[trial.run], trial.record.name) for trial in trials)
    shared = {
        (labels, split_trial_name(name)[0])
        for (labels, name), count in counted.items()
        if count > 1
    }

    def variant(trial: TrialReport) -> str:
        labels = together[trial.run]
        if (labels, trial.record.architecture) in shared:
            return _runs((trial.run,))
        return _runs(labels) if len(alike) > 1 else ""

    return tuple(replace(trial, variant=variant(trial)) for trial in trials)


def _alike(sources: Sequence[RunSource]) -> list[tuple[str, ...]]:
    """The runs' labels, those together whose results repeat each other: same recipe, same data."""
    found: list[list[RunSource]] = []
    for source in sources:
        fitting = (group for group in found if all(_agree(source, other) for other in group))
        group = next(fitting, None)
        if group is None:
            found.append([source])
        else:
            group.append(source)
    return [tuple(source.label for source in group) for group in found]


def _agree(one: RunSource, other: RunSource) -> bool:
    same_data = one.document.data.fingerprint == other.document.data.fingerprint
    return same_data and not _differing_keys([one, other])


def _runs(labels: tuple[str, ...]) -> str:
    return f"run{'s' if len(labels) > 1 else ''} {' and '.join(labels)}"


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
    configs = [(source.label, flatten(source.document.config)) for source in sources]
    differing = [
        f"{key} " + ", ".join(f"{one[key]} ({label})" for label, one in configs if key in one)
        for key in _differing_keys(sources)
    ]
    return (f"the runs were configured differently: {'; '.join(differing)}",) if differing else ()


def _differing_keys(sources: Sequence[RunSource]) -> list[str]:
    """The settings that move results and differ.

    A key that a run lacks says nothing of it: the run is older than the setting.
    """
    configs = [flatten(source.document.config) for source in sources]
    found = []
    for key in dict.fromkeys(key for one in configs for key in one):
        stated = [one[key] for one in configs if key in one]
        if not key.startswith(_OWN_KEYS) and any(value != stated[0] for value in stated):
            found.append(key)
    return found


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
