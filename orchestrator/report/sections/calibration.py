"""The section “Calibration”: how far a trial's probabilities can be trusted."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from datasets.labels import EXPRESSIONS
from orchestrator.report.blocks import Cell, Figure, Header, Section, Table
from orchestrator.report.collect import RunReport
from orchestrator.report.formats import (
    EN_DASH,
    MISSING,
    fixed,
    integer,
    percent,
    percent_interval,
)
from orchestrator.report.scores.probabilities import NUM_BINS, Bin, ProbabilityScores
from orchestrator.report.sections.figures import new_figure
from orchestrator.report.sections.tables import best_marked

Named = Sequence[tuple[str, str, ProbabilityScores]]
"""Finished trials with probabilities: the trial's key, what readers call it, scores."""


def calibration_section(run: RunReport) -> Section | None:
    """None where no trial has probabilities."""
    scored = [
        (run.key_of(trial), run.name_of(trial), trial.probability_scores)
        for trial in run.finished
        if trial.probability_scores
    ]
    if not scored:
        return None
    explained = (
        "A calibrated model is right as often as it says: of the images that it is 70 % sure of, "
        "70 % are right. The reliability diagram shows it in "
        f"{NUM_BINS} bins of equal width; the expected calibration error (ECE) is the mean "
        "distance from the diagonal, weighted by images (Guo et al. 2017). Below the diagonal a "
        "model is surer than it is right."
    )
    return Section(
        "calibration",
        "Calibration",
        (explained,),
        figures=(_figure(scored),),
        tables=(
            _scores_table(scored, run.same_data),
            _auc_table(scored, run.same_data),
            _bins_table(scored),
        ),
    )


def _figure(scored: Named) -> Figure:
    figure = new_figure("Confidence, %", "Accuracy, %")
    figure.add_trace(_diagonal())
    for name, label, scores in scored:
        figure.add_trace(_reliability(name, label, scores))
    figure.update_xaxes(range=[0, 102])
    figure.update_yaxes(range=[0, 102])
    return Figure(
        id="reliability",
        caption="Reliability: accuracy by confidence; dashed where both are equal",
        alternative=f"Reliability diagram of the trial chosen above it: accuracy in {NUM_BINS} "
        "bins of confidence, beside the diagonal. The table of reliability gives its figures for "
        "every trial.",
        plotly_json=figure.to_json(engine="json"),
        table_id="reliability-table",
        choices=tuple((name, label) for name, label, _ in scored),
    )


def _diagonal() -> go.Scatter:
    return go.Scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        line={"dash": "dash", "width": 1},
        hoverinfo="skip",
        name="Calibrated",
        hovertemplate="",
        meta={"series": 6, "trial": None, "label": "Calibrated", "stage": "validation"},
    )


def _reliability(name: str, label: str, scores: ProbabilityScores) -> go.Scatter:
    filled = [one for one in scores.bins if one.images]
    return go.Scatter(
        x=[100 * one.confidence for one in filled],
        y=[100 * one.accuracy for one in filled],
        customdata=[one.images for one in filled],
        mode="lines+markers",
        line={"width": 2},
        marker={"symbol": "circle", "size": 9},
        name="Trial",
        hovertemplate="confidence %{x:.1f} %: %{y:.1f} % right of %{customdata} images"
        "<extra></extra>",
        meta={"series": 0, "trial": name, "label": label, "stage": "validation"},
    )


def _scores_table(scored: Named, marked: bool) -> Table:
    def four(value: float) -> str:
        return fixed(value, 4)

    intervals = [
        Cell(percent_interval(s.top2_interval.low, s.top2_interval.high), s.top2_interval.low)
        for _, _, s in scored
    ]
    columns = (
        best_marked([s.ece for _, _, s in scored], percent, lowest=True, marked=marked),
        best_marked([s.log_loss for _, _, s in scored], four, lowest=True, marked=marked),
        best_marked([s.brier for _, _, s in scored], four, lowest=True, marked=marked),
        best_marked([s.auc_macro for _, _, s in scored], four, marked=marked),
        best_marked([s.top2 for _, _, s in scored], percent, marked=marked),
        intervals,
    )
    return Table(
        id="calibration-table",
        caption="Scores of the probabilities",
        headers=(
            Header("Architecture", numeric=False),
            Header("ECE", "points"),
            Header("Log loss", "nats"),
            Header("Brier score", "0 to 2"),
            Header("ROC-AUC", "macro, one against rest"),
            Header("Top-2 accuracy", "%"),
            Header("95 % interval", "%, Wilson"),
        ),
        rows=tuple(
            (Cell(label, label), *(column[place] for column in columns))
            for place, (_, label, _) in enumerate(scored)
        ),
        note=_scores_note(marked),
        sortable=True,
    )


def _scores_note(marked: bool) -> str:
    best = (
        "★ marks the best of each column: the lowest of the first three, the highest of the "
        "others. "
    )
    return (best if marked else "") + (
        "A perfect model has 0, 0, 0, 1 and 100. Top-2: the label is among the two most probable "
        f"expressions. ROC-AUC is {MISSING} where an expression has no image."
    )


def _auc_table(scored: Named, marked: bool) -> Table:
    columns = [
        best_marked(
            [scores.auc[code] for _, _, scores in scored],
            lambda value: fixed(value, 4),
            marked=marked,
        )
        for code in range(len(EXPRESSIONS))
    ]
    return Table(
        id="auc-table",
        caption="ROC-AUC of each expression against the rest",
        headers=(Header("Architecture", numeric=False), *(Header(name) for name in EXPRESSIONS)),
        rows=tuple(
            (Cell(label, label), *(column[place] for column in columns))
            for place, (_, label, _) in enumerate(scored)
        ),
        note="0.5 is chance, 1 a perfect order."
        + (" ★ marks the best of each column." if marked else ""),
        sortable=True,
    )


def _bins_table(scored: Named) -> Table:
    bins = scored[0][2].bins
    return Table(
        id="reliability-table",
        caption="Reliability of all trials: accuracy in percent and, in brackets, images, "
        "by confidence in percent",
        headers=(
            Header("Architecture", numeric=False),
            *(Header(f"{100 * one.low:.1f} {EN_DASH} {100 * one.high:.1f}") for one in bins),
        ),
        rows=tuple(
            (Cell(label, label), *(_bin_cell(one) for one in scores.bins))
            for _, label, scores in scored
        ),
        note="results.json holds each bin's mean confidence too.",
        folded=True,
    )


def _bin_cell(one: Bin) -> Cell:
    if math.isnan(one.accuracy):
        return Cell(MISSING)
    return Cell(f"{percent(one.accuracy)} ({integer(one.images)})", one.accuracy)
