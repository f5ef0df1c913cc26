"""What a reader must know before the figures: warnings, then notes."""

from collections import defaultdict

from orchestrator.report.blocks import Notice
from orchestrator.report.collect import RunReport, states
from orchestrator.report.comparison import (
    batch_norm_note,
    recipe_differences,
    told_by_run,
    why_not_comparable,
)
from orchestrator.report.formats import (
    one_line,
    plural,
)
from orchestrator.report.scores.oddities import oddities
from orchestrator.report.sections.summary import chance
from trainers.result import TrialState


def notices(run: RunReport) -> tuple[Notice, ...]:
    """Everything that a reader must know of the run, warnings first."""
    counted = states(run)
    waiting = counted[TrialState.RUNNING] + counted[TrialState.PENDING]
    lost = counted[TrialState.FAILED] + counted[TrialState.DIVERGED]
    found = []
    if waiting:
        what = "This run is" if len(run.sources) == 1 else "These runs are"
        text = f"{what} not over: {plural(waiting, 'trial')} still to finish."
        found.append(Notice("note", text))
    if lost:
        text = (
            f"{plural(lost, 'trial')} ended without a result; the accuracy table gives the reason."
        )
        found.append(Notice("warning", text))
    found += [Notice("warning", one_line(text)) for text in (*_trial_warnings(run), *run.warnings)]
    if clause := why_not_comparable(run):
        text = f"The paper's figures were measured on AffectNet and are not comparable: {clause}."
        found.append(Notice("note", text))
    for tell in (recipe_differences, batch_norm_note):
        found += [Notice("note", text) for text in told_by_run(run, tell)]
    found += [Notice("note", text) for text in _trial_notes(run)]
    # Warnings first; the order within a kind stays.
    return tuple(sorted(found, key=lambda notice: notice.kind == "note"))


def _trial_warnings(run: RunReport) -> list[str]:
    warnings = [f"{run.key_of(trial)}: {text}." for trial in run.trials for text in trial.warnings]
    warnings += [
        f"{run.key_of(trial)}: {one.long}."
        for trial, scores in run.scored
        for one in oddities(scores)
    ]
    best = run.finished[0].scores if run.finished and run.same_data else None
    if best and best.interval.low <= chance(run):
        warnings.append(
            "The best accuracy can't be told from always answering the commonest expression."
        )
    return warnings


def _trial_notes(run: RunReport) -> list[str]:
    """The notes that trials left in their results, each once, with the trials that it is of."""
    by_text: dict[str, list[str]] = defaultdict(list)
    for trial in run.trials:
        for text in trial.result.notes if trial.result else ():
            by_text[one_line(text)].append(run.key_of(trial))
    everyone = len(run.finished)
    return [
        f"{text} ({'every trial' if len(names) == everyone > 1 else ', '.join(names)})"
        for text, names in by_text.items()
    ]
