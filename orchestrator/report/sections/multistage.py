"""Figure 7 of the paper: the curves of a training in one go and in stages, overlaid.

Reads `multistage.json` and the two histories; see `orchestrator.multistage`, which writes them.
"""

import math
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

import plotly.graph_objects as go
from pydantic import BaseModel, ConfigDict

from datasets.errors import ConfigError
from datasets.files import write_text
from orchestrator.report import paper
from orchestrator.report.blocks import Card, Cell, Figure, Header, Page, Section, Table
from orchestrator.report.collect import EpochRow, read_history
from orchestrator.report.formats import fixed, percent, plural
from orchestrator.report.forms.html import to_html
from orchestrator.report.forms.markdown import to_markdown
from orchestrator.report.sections.figures import new_figure
from orchestrator.report.sections.tables import number_cell
from orchestrator.run_store import RunStore, trial_name
from trainers.architectures import ARCHITECTURES
from trainers.result import HISTORY_FILE, read_record

MULTISTAGE_DIR = "multistage"
RESULT_FILE = "multistage.json"

_KINDS = ("continuous", "staged")
_LABELS = {"continuous": "in one go", "staged": "in stages"}


class MultistageResult(BaseModel):
    """`multistage.json`: largest absolute differences between the two trainings."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    architecture: str
    seed: int
    stages: list[int]
    deterministic: bool
    largest_difference: dict[str, float]
    """Over all epochs, by column of `history.csv`: losses in nats, accuracies fractions of 1."""
    weights_difference: float
    """0 when every weight has the same bits."""
    same_predictions: bool

    @property
    def is_identical(self) -> bool:
        """True when nothing differs at all."""
        curves = any(self.largest_difference.values())
        return self.same_predictions and not self.weights_difference and not curves


def write_multistage_report(root: Path) -> Path:
    """Write `report/` of an experiment; the path of its `index.html`."""
    section = multistage_section(root)
    result = read_record(root / RESULT_FILE, MultistageResult)
    if section is None or result is None:
        raise ConfigError(f"{root} holds no finished multistage training")
    page = Page(
        title=f"Multistage training of {_title(result)}",
        lead=section.paragraphs,
        cards=_cards(result),
        notices=(),
        sections=(Section(section.id, "Curves", figures=section.figures, tables=section.tables),),
        files=(f"../{RESULT_FILE}", "report.md"),
    )
    directory = root / "report"
    write_text(directory / "report.md", to_markdown(page))
    write_text(directory / "index.html", to_html(page))
    return directory / "index.html"


def multistage_section(root: Path) -> Section | None:
    """The experiment as a section of a report; None where it was not run to its end."""
    result = read_record(root / RESULT_FILE, MultistageResult)
    if result is None:
        return None
    name = trial_name(result.architecture, result.seed)
    histories = {
        kind: read_history(RunStore(root / kind).trial_dir(name) / HISTORY_FILE) for kind in _KINDS
    }
    if {len(rows) for rows in histories.values()} != {sum(result.stages)}:
        return None  # one of the two has begun again
    return Section(
        "multistage",
        "Training in one go and in stages (Figure 7 of the paper)",
        (_sentence(result), "The paper calls the two “very similar”."),
        figures=(_figure(result, histories, "accuracy"), _figure(result, histories, "loss")),
        tables=(_table(histories), _bests_table(histories)),
    )


def _title(result: MultistageResult) -> str:
    row = ARCHITECTURES.get(result.architecture)
    return row.title if row else result.architecture


def _sentence(result: MultistageResult) -> str:
    stages = ", ".join(map(str, result.stages[:-1])) + f" and {result.stages[-1]}"
    begin = f"{_title(result)}, {sum(result.stages)} epochs in one go and in stages of {stages}, "
    if result.is_identical:
        return begin + "each in new processes: curves, weights and predictions are identical."
    worst = max(result.largest_difference.values())
    why = "" if result.deterministic else " (deterministic mode is off)"
    return begin + (
        f"each in new processes: the curves differ by at most {worst:g}, the weights by at most "
        f"{result.weights_difference:g}{why}."
    )


def _cards(result: MultistageResult) -> tuple[Card, ...]:
    accuracy = result.largest_difference["val_accuracy"]
    loss = result.largest_difference["val_loss"]
    return (
        Card("Largest difference", f"{percent(accuracy)} %", "of validation accuracy, any epoch"),
        Card("Of validation loss", f"{loss:g}", "nats, any epoch"),
        Card("Of a weight", f"{result.weights_difference:g}", "after the last epoch"),
        Card(
            "Predictions",
            "equal" if result.same_predictions else "differ",
            "of the final models on the validation images",
        ),
    )


def _figure(
    result: MultistageResult, histories: dict[str, tuple[EpochRow, ...]], metric: str
) -> Figure:
    scale, axis = (100, "Accuracy, %") if metric == "accuracy" else (1, "Loss, nats")
    figure = new_figure("Epoch", axis)
    for kind, rows in histories.items():
        for prefix, stage in (("", "training"), ("val_", "validation")):
            figure.add_trace(_trace(kind, rows, f"{prefix}{metric}", stage, scale))
    for end in list(accumulate(result.stages))[:-1]:
        figure.add_vline(x=end + 0.5, line={"width": 1, "dash": "dash", "color": "gray"})
    epochs = sum(result.stages)
    figure.update_xaxes(range=[0.5, epochs + 0.5], rangemode="normal")
    if epochs <= 12:
        figure.update_xaxes(dtick=1)
    return Figure(
        id=f"multistage-{metric}",
        caption=f"{metric.capitalize()} in one go (circles) and in stages (crosses): validation "
        "solid, training dotted; a dashed line where a stage ends",
        alternative=f"Line chart of {metric} over {plural(epochs, 'epoch')} for both trainings. "
        "The table after the figures gives its figures.",
        plotly_json=figure.to_json(engine="json"),
        table_id="multistage-table",
        has_training=True,
    )


def _trace(
    kind: str, rows: tuple[EpochRow, ...], column: str, stage: str, scale: float
) -> go.Scatter:
    label = _LABELS[kind]
    staged = kind == "staged"
    return go.Scatter(
        x=[row.epoch for row in rows],
        y=[scale * getattr(row, column) for row in rows],
        name=label,
        mode="markers" if staged else "lines+markers",
        line={"dash": "dot" if stage == "training" else "solid", "width": 2},
        # Equal curves lie upon each other: crosses in circles show both.
        marker={"symbol": "x" if staged else "circle-open", "size": 5 if staged else 12},
        meta={
            "series": 1 if staged else 0,
            "trial": kind,
            "label": label.capitalize(),
            "stage": stage,
        },
        hovertemplate=f"{label}, {stage}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
    )


def _bests_table(histories: dict[str, tuple[EpochRow, ...]]) -> Table:
    """Highest accuracies and lowest losses, and those that the paper's text gives."""
    headers = [Header("Training", numeric=False)]
    for text in ("Highest {} accuracy, %", "Lowest {} loss, nats"):
        for stage in ("training", "validation"):
            headers += [Header(text.format(stage)), Header(text.format(stage), "paper")]
    rows = []
    for kind, epochs in histories.items():
        theirs = paper.multistage()[kind]
        pairs = (
            (max(_finite(row.accuracy for row in epochs)), theirs.training_accuracy, percent),
            (max(_finite(row.val_accuracy for row in epochs)), theirs.validation_accuracy, percent),
            (min(_finite(row.loss for row in epochs)), theirs.training_loss, _loss),
            (min(_finite(row.val_loss for row in epochs)), theirs.validation_loss, _loss),
        )
        cells = [number_cell(value, show(value)) for *both, show in pairs for value in both]
        rows.append((Cell(_LABELS[kind].capitalize()), *cells))
    return Table(
        "multistage-bests-table",
        "Highest accuracies and lowest losses, and the paper's",
        tuple(headers),
        tuple(rows),
        note="The paper's are of MobileNetV2, 100 epochs on AffectNet, in stages of 45, 30 and 25.",
    )


def _finite(values: Iterable[float]) -> list[float]:
    """The finite ones; NaN alone where there is none."""
    return [value for value in values if math.isfinite(value)] or [math.nan]


def _loss(value: float) -> str:
    return fixed(value, 3)


def _table(histories: dict[str, tuple[EpochRow, ...]]) -> Table:
    rows = []
    for one, other in zip(*(histories[kind] for kind in _KINDS), strict=True):
        rows.append(
            (
                Cell(str(one.epoch), one.epoch),
                Cell(percent(one.val_accuracy)),
                Cell(percent(other.val_accuracy)),
                Cell(f"{one.val_loss:.4f}"),
                Cell(f"{other.val_loss:.4f}"),
                Cell(f"{abs(one.val_accuracy - other.val_accuracy):g}"),
                Cell(f"{abs(one.val_loss - other.val_loss):g}"),
            )
        )
    headers = (
        Header("Epoch"),
        Header("Validation accuracy", "%, in one go"),
        Header("Validation accuracy", "%, in stages"),
        Header("Validation loss", "in one go"),
        Header("Validation loss", "in stages"),
        Header("Difference of accuracy", "fraction of 1"),
        Header("Difference of loss", "nats"),
    )
    return Table("multistage-table", "Training in one go and in stages", headers, tuple(rows))
