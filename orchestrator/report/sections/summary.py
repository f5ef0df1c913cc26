"""The head of the report: who is best, by how much, and the key figures."""

from collections.abc import Sequence
from statistics import fmean

from orchestrator.report.blocks import Card
from orchestrator.report.collect import RunReport, TrialReport, states
from orchestrator.report.comparison import NO_BEST, class_counts
from orchestrator.report.formats import (
    MISSING,
    duration,
    integer,
    percent,
    percent_interval,
    plural,
)
from orchestrator.report.sections.differences import undecided_sentence
from trainers.result import TrialState


def _mean_accuracy(trials: Sequence[TrialReport]) -> float:
    return fmean(trial.accuracy for trial in trials)


def lead(run: RunReport) -> tuple[str, ...]:
    """One or two sentences: the best, and who can't be told from it."""
    ranked = run.groups
    if not ranked:
        return ("No trial of this run has finished yet; the tables fill as trials finish.",)
    if not run.same_data:
        return (NO_BEST,)
    trials = next(iter(ranked.values()))
    first = f"{trials[0].title} reached the highest validation accuracy"
    if len(trials) == 1:
        spread = f"{percent(trials[0].accuracy)} %{_interval_clause(trials[0])}"
    else:
        own = [trial.accuracy for trial in trials]
        spread = (
            f"{percent(_mean_accuracy(trials))} % on average over {len(trials)} seeds "
            f"({percent_interval(min(own), max(own))} %)"
        )
    sentences = [f"{first}: {spread}, of {plural(len(ranked), 'architecture')} with a result."]
    if clause := undecided_sentence(run) or _overlap_sentence(trials[0], run):
        sentences.append(clause)
    return tuple(sentences)


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
    others = [scores for trial, scores in run.scored if trial is not best]
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


def cards(run: RunReport) -> tuple[Card, ...]:
    """Best accuracy, trials, images, training time."""
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
    ranked = run.groups
    if not ranked:
        return Card("Best accuracy", MISSING, "no trial has finished")
    if not run.same_data:
        return Card("Best accuracy", MISSING, "the runs are of different data")
    trials = next(iter(ranked.values()))
    scores = trials[0].scores
    detail = trials[0].title
    if len(trials) > 1:
        detail += f", mean of {len(trials)} seeds"
    elif scores:
        detail += f", {percent_interval(scores.interval.low, scores.interval.high)} %"
    if commonest := chance(run):
        detail += f"; always answering the commonest expression gives {percent(commonest)} %"
    return Card("Best accuracy", f"{percent(_mean_accuracy(trials))} %", detail)


def chance(run: RunReport) -> float:
    """Accuracy of always answering the validation split's commonest expression; 0 if unknown."""
    counts = class_counts(run, "validation") if run.same_data else (0,)
    return max(counts) / sum(counts) if sum(counts) else 0.0
