"""The section “Confusion”: which expressions are taken for which, and what that makes of scores."""

from collections.abc import Sequence

import plotly.graph_objects as go

from datasets.labels import EXPRESSIONS
from orchestrator.report.blocks import Cell, Figure, Header, Section, Table
from orchestrator.report.collect import RunReport
from orchestrator.report.formats import MISSING, fixed, integer, percent
from orchestrator.report.scores.statistics import Scores
from orchestrator.report.sections.figures import new_figure
from orchestrator.report.sections.tables import best_marked

Named = Sequence[tuple[str, str, Scores]]
"""Finished trials with predictions, best first: the trial's key, what readers call it, scores."""
_SHOWN = 3


def confusion_section(run: RunReport) -> Section | None:
    """None where no trial has predictions."""
    scored = [(run.key_of(trial), run.name_of(trial), scores) for trial, scores in run.scored]
    if not scored:
        return None
    return Section(
        "confusion",
        "Confusion",
        figures=(_figure(scored),),
        tables=(
            _frequent_table(scored),
            _agreement_table(scored, run.same_data),
            _matrices_table(scored),
        ),
    )


def _figure(scored: Named) -> Figure:
    figure = new_figure("", "")
    for name, label, scores in scored:
        figure.add_trace(_heat_map(name, label, scores))
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(type="category", automargin=True, autotickangles=[0, -45, -90])
    return Figure(
        id="confusion-matrix",
        caption="Confusion matrix: images by true expression (rows) and predicted expression "
        "(columns), tinted by the share of the row",
        alternative="Heat map of eight true by eight predicted expressions for the trial chosen "
        "above it; each field says how many images. The table of confusion matrices gives its "
        "figures for every trial.",
        plotly_json=figure.to_json(engine="json"),
        table_id="confusion-table",
        choices=tuple((name, label) for name, label, _ in scored),
    )


def _heat_map(name: str, label: str, scores: Scores) -> go.Heatmap:
    return go.Heatmap(
        x=list(EXPRESSIONS),
        y=list(EXPRESSIONS),
        z=[_shares(row) for row in scores.confusion],
        text=[list(row) for row in scores.confusion],
        texttemplate="%{text}",
        hovertemplate="%{y} taken for %{x}: %{text} images, %{z:.1f} % of its row<extra></extra>",
        # Half of the scale: on its darker half the numbers would be hard to read.
        zmin=0,
        zmax=200,
        xgap=1,
        ygap=1,
        showscale=False,
        meta={"series": 0, "trial": name, "label": label, "stage": "validation"},
    )


def _shares(row: Sequence[int]) -> list[float | None]:
    """Percent of the row; None where it holds no image."""
    whole = sum(row)
    return [100 * count / whole if whole else None for count in row]


def frequent_confusions(scores: Scores) -> list[tuple[int, int, int]]:
    """(images, label, predicted) of every confusion that occurs, the most frequent first."""
    found = [
        (images, label, predicted)
        for label, row in enumerate(scores.confusion)
        for predicted, images in enumerate(row)
        if images and label != predicted
    ]
    return sorted(found, key=lambda one: (-one[0], one[1], one[2]))


def _frequent_table(scored: Named) -> Table:
    headers = (
        Header("Architecture", numeric=False),
        Header("Wrong", "images"),
        Header("Most frequent", numeric=False),
        Header("Second", numeric=False),
        Header("Third", numeric=False),
    )
    rows = tuple(
        (
            Cell(label, label),
            Cell(integer(scores.total - scores.correct), scores.total - scores.correct),
            *_frequent_cells(scores),
        )
        for _, label, scores in scored
    )
    return Table(
        id="confusions-table",
        caption="The most frequent confusions: true expression taken for another",
        headers=headers,
        rows=rows,
        note="In brackets the share of the images with the true expression. Where expressions have "
        "unequal numbers of images, frequent ones are confused often by their number alone.",
    )


def _frequent_cells(scores: Scores) -> list[Cell]:
    cells = []
    for images, label, predicted in frequent_confusions(scores)[:_SHOWN]:
        share = images / scores.classes[label].support
        names = f"{EXPRESSIONS[label]} for {EXPRESSIONS[predicted]}"
        cells.append(Cell(f"{names}: {integer(images)} ({percent(share)} %)"))
    return cells + [Cell(MISSING)] * (_SHOWN - len(cells))


def _agreement_table(scored: Named, marked: bool) -> Table:
    columns = (
        best_marked([s.balanced_accuracy for _, _, s in scored], percent, marked=marked),
        best_marked([s.kappa for _, _, s in scored], lambda value: fixed(value, 4), marked=marked),
        best_marked([s.macro_f1 for _, _, s in scored], percent, marked=marked),
        best_marked([s.weighted_f1 for _, _, s in scored], percent, marked=marked),
        best_marked([s.weighted_precision for _, _, s in scored], percent, marked=marked),
        best_marked([s.weighted_recall for _, _, s in scored], percent, marked=marked),
    )
    return Table(
        id="agreement-table",
        caption="Scores that weigh expressions in other ways",
        headers=(
            Header("Architecture", numeric=False),
            Header("Balanced accuracy", "%"),
            Header("Cohen's kappa"),
            Header("Macro F1", "%"),
            Header("Weighted F1", "%"),
            Header("Weighted precision", "%"),
            Header("Weighted recall", "%"),
        ),
        rows=tuple(
            (Cell(label, label), *(column[place] for column in columns))
            for place, (_, label, _) in enumerate(scored)
        ),
        note="Balanced accuracy: mean recall of the expressions that occur. Kappa: agreement "
        "beyond chance, 0 for none, 1 for all; chance is that of answers in the same shares, given "
        "without a look at the images. Weighted: by the images with each expression; weighted "
        f"recall is the accuracy.{' ★ marks the best.' if marked else ''}",
        sortable=True,
    )


def _matrices_table(scored: Named) -> Table:
    rows = [
        (
            Cell(label, label),
            Cell(EXPRESSIONS[code], EXPRESSIONS[code]),
            *(Cell(integer(images), images) for images in row),
        )
        for _, label, scores in scored
        for code, row in enumerate(scores.confusion)
    ]
    return Table(
        id="confusion-table",
        caption="Confusion matrices of all trials: images by predicted expression",
        headers=(
            Header("Architecture", numeric=False),
            Header("True expression", numeric=False),
            *(Header(name) for name in EXPRESSIONS),
        ),
        rows=tuple(rows),
        folded=True,
    )
