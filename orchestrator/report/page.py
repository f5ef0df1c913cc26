"""What the report says, in order: summary, accuracy, expressions, curves, data, how it was run."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from orchestrator.report import paper
from orchestrator.report.blocks import Card, Notice, Page, Section, Table
from orchestrator.report.calibration_section import calibration_section
from orchestrator.report.choice_page import choice_section
from orchestrator.report.collect import RunReport, TrialReport, states
from orchestrator.report.columns import accuracy_table
from orchestrator.report.comparison import (
    EPOCH_WARNING,
    batch_norm_note,
    choices,
    class_counts,
    recipe,
    recipe_differences,
    why_not_comparable,
)
from orchestrator.report.confusion_section import confusion_section
from orchestrator.report.differences_section import differences_section, undecided_sentence
from orchestrator.report.expressions_section import expressions_section
from orchestrator.report.figures import curves, intervals
from orchestrator.report.formats import (
    MISSING,
    duration,
    integer,
    one_line,
    percent,
    percent_interval,
    plural,
)
from orchestrator.report.interruptions import interruptions_section
from orchestrator.report.paper_differences import paper_section
from orchestrator.report.paper_tables import (
    bests_table,
    printed_section,
    sizes_section,
)
from orchestrator.report.poses import poses_section
from orchestrator.report.run_tables import data_section, run_tables
from orchestrator.report.tables import epochs_table, mapping_table
from trainers.result import TrialState


def build_page(run: RunReport, more: Sequence[Section] = ()) -> Page:
    """The whole report of a run; `more` sections go behind the curves."""
    sections = (
        _accuracy_section(run),
        differences_section(run),
        choice_section(run),
        expressions_section(run),
        confusion_section(run),
        calibration_section(run),
        _curves_section(run),
        *more,
        poses_section(run),
        sizes_section(run),
        paper_section(),
        interruptions_section(run),
        printed_section(run),
        data_section(run),
        _how_section(run),
    )
    return Page(
        title=f"Facial-expression benchmark: {one_line(run.document.name)}",
        lead=_lead(run),
        cards=_cards(run),
        notices=_notices(run),
        sections=tuple(section for section in sections if section),
    )


def _by_architecture(run: RunReport) -> list[tuple[str, list[TrialReport]]]:
    """Finished trials by architecture, the highest mean accuracy first."""
    groups: dict[str, list[TrialReport]] = defaultdict(list)
    for trial in run.finished:
        groups[trial.title].append(trial)
    return sorted(groups.items(), key=lambda item: -_mean_accuracy(item[1]))


def _mean_accuracy(trials: list[TrialReport]) -> float:
    return fmean(trial.accuracy for trial in trials)


def _lead(run: RunReport) -> tuple[str, ...]:
    ranked = _by_architecture(run)
    if not ranked:
        return ("No trial of this run has finished yet; the tables fill as trials finish.",)
    title, trials = ranked[0]
    first = f"{title} reached the highest validation accuracy"
    if len(trials) == 1:
        spread = f"{percent(trials[0].accuracy)} %{_interval_clause(trials[0])}"
    else:
        own = [trial.accuracy for trial in trials]
        spread = (
            f"{percent(_mean_accuracy(trials))} % on average over {_several(trials)} "
            f"({percent_interval(min(own), max(own))} %)"
        )
    sentences = [f"{first}: {spread}, of {plural(len(ranked), 'architecture')} with a result."]
    if clause := undecided_sentence(run) or _overlap_sentence(trials[0], run):
        sentences.append(clause)
    return tuple(sentences)


def _several(trials: list[TrialReport]) -> str:
    """`3 seeds`; `3 trials` where two of them have the same seed, in several runs."""
    seeds = {trial.record.seed for trial in trials}
    return f"{len(trials)} {'seeds' if len(seeds) == len(trials) else 'trials'}"


def _interval_clause(trial: TrialReport) -> str:
    if trial.scores is None:
        return ""
    interval = trial.scores.interval
    return f" (95 % interval {percent_interval(interval.low, interval.high)} %)"


def _overlap_sentence(best: TrialReport, run: RunReport) -> str:
    """How many trials the table alone can't tell from the best."""
    if best.scores is None:
        return ""
    own = best.scores.interval
    others = [trial.scores for trial in run.finished if trial.scores and trial is not best]
    near = sum(scores.interval.overlaps(own) for scores in others)
    if not near:
        return ""
    which = (
        "the other interval overlaps"
        if len(others) == 1
        else f"{near} of the other {len(others)} intervals {'overlaps' if near == 1 else 'overlap'}"
    )
    return (
        f"With {plural(best.scores.total, 'validation image')} {which} with its own: "
        "the order among them is provisional."
    )


def _cards(run: RunReport) -> tuple[Card, ...]:
    counted = states(run)
    rest = [f"{counted[state]} {state}" for state in TrialState if state is not TrialState.FINISHED]
    unfinished = ", ".join(text for text in rest if not text.startswith("0 "))
    results = [trial.result for trial in run.finished if trial.result]
    restarts = sum(result.restarts for result in results)
    repeated = sum(result.steps_repeated for result in results)
    return (
        _best_card(run),
        Card(
            "Trials finished",
            f"{counted[TrialState.FINISHED]} of {len(run.trials)}",
            unfinished or "every trial has a result",
        ),
        Card(
            "Validation images",
            integer(sum(class_counts(run, "validation"))) if run.same_data else MISSING,
            f"{integer(sum(class_counts(run, 'train')))} for training"
            if run.same_data
            else "the runs are of different data",
        ),
        Card(
            "Training time",
            duration(sum(result.train_seconds for result in results) if results else None),
            f"summed over trials; {plural(restarts, 'restart')}, "
            f"{plural(repeated, 'step')} repeated",
        ),
    )


def _best_card(run: RunReport) -> Card:
    ranked = _by_architecture(run)
    if not ranked:
        return Card("Best accuracy", MISSING, "no trial has finished")
    title, trials = ranked[0]
    scores = trials[0].scores
    detail = title
    if len(trials) > 1:
        detail += f", mean of {_several(trials)}"
    elif scores:
        detail += f", {percent_interval(scores.interval.low, scores.interval.high)} %"
    if chance := _chance(run):
        detail += f"; always answering the commonest expression gives {percent(chance)} %"
    return Card("Best accuracy", f"{percent(_mean_accuracy(trials))} %", detail)


def _chance(run: RunReport) -> float:
    """Accuracy of always answering the validation split's commonest expression; 0 if unknown."""
    counts = class_counts(run, "validation") if run.same_data else (0,)
    return max(counts) / sum(counts) if sum(counts) else 0.0


def _notices(run: RunReport) -> tuple[Notice, ...]:
    counted = states(run)
    waiting = counted[TrialState.RUNNING] + counted[TrialState.PENDING]
    lost = counted[TrialState.FAILED] + counted[TrialState.DIVERGED]
    notices = []
    if waiting:
        text = f"This run is not over: {plural(waiting, 'trial')} still to finish."
        notices.append(Notice("note", text))
    if lost:
        text = (
            f"{plural(lost, 'trial')} ended without a result; the accuracy table gives the reason."
        )
        notices.append(Notice("warning", text))
    notices += [
        Notice("warning", one_line(text)) for text in (*_trial_warnings(run), *run.warnings)
    ]
    if clause := why_not_comparable(run):
        text = f"The paper's figures were measured on AffectNet and are not comparable: {clause}."
        notices.append(Notice("note", text))
    if differences := recipe_differences(run):
        text = f"The recipe differs from the paper's: {', '.join(differences)}."
        notices.append(Notice("note", text))
    momentum = recipe(run).get("batch_norm_momentum")
    if momentum is not None:
        notices.append(Notice("note", batch_norm_note(momentum)))
    notices += [Notice("note", text) for text in _trial_notes(run)]
    # Warnings first; the order within a kind stays.
    return tuple(sorted(notices, key=lambda notice: notice.kind == "note"))


def _trial_warnings(run: RunReport) -> list[str]:
    warnings = [f"{run.key_of(trial)}: {text}." for trial in run.trials for text in trial.warnings]
    for trial in run.finished:
        if trial.scores and trial.scores.interval.low <= _chance(run) and trial is run.finished[0]:
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


def _accuracy_section(run: RunReport) -> Section:
    figure = intervals(run)
    return Section(
        "accuracy",
        "Accuracy",
        figures=(figure,) if figure else (),
        tables=(accuracy_table(run),),
    )


def _curves_section(run: RunReport) -> Section | None:
    figures = [curves(run, "accuracy"), curves(run, "loss")]
    tables = tuple(table for table in (epochs_table(run), bests_table(run)) if table)
    if not tables:
        return None
    found = tuple(figure for figure in figures if figure)
    return Section(
        "curves",
        "Training and validation curves",
        (EPOCH_WARNING,),
        figures=found,
        tables=tables,
    )


def _how_section(run: RunReport) -> Section:
    tables: list[Table | None] = [
        *run_tables(run),
        mapping_table("device-table", "Trained on", _devices(run)),
    ]
    return Section(
        "how",
        "How it was run",
        paragraphs=("What the paper leaves open, and what was done here:",),
        bullets=(*choices(run), *_paper_notes()),
        tables=tuple(table for table in tables if table),
    )


def _devices(run: RunReport) -> dict[str, object]:
    """Device and threads of the finished trials: one line where all agree."""
    used: dict[str, list[str]] = defaultdict(list)
    for trial in run.trials:
        if trial.result:
            place = f"{trial.result.device}, {plural(trial.result.threads, 'thread')}"
            used[place].append(run.key_of(trial))
    if len(used) == 1:
        return {"every finished trial": next(iter(used))}
    return dict(used.items())


def _paper_notes() -> tuple[str, ...]:
    wrong = ", ".join(
        f"{name} {percent(printed)} for {percent(counted)} %"
        for name, (printed, counted) in paper.misprinted_accuracies().items()
        if not math.isclose(printed, counted)
    )
    return (
        f"The paper is {paper.CITATION}. Its accuracies here are counted from its Figure 12 and "
        "equal its Table 3; the accuracy column printed beside Figure 12 is in another order "
        f"({wrong}).",
    )
