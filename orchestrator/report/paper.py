"""The paper's own numbers, as printed, from the CSV files in `data/`.

Source: Mostafa, El-Sayed and Belal, "Benchmarking of convolutional neural networks for facial
expressions recognition": Tables 1 to 4, Figures 10 to 12, and what section 6 says of the curves in
its text. `data/README.md` names the place of each file in the paper.

Accuracies come from the counts of Figure 12: their sums over 4,000 equal Table 3 for all fourteen.
The accuracy column printed beside Figure 12 does not: it is in another order for five ResNets, so
nothing here reads it but `misprinted_accuracies`.
"""

import csv
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Literal

from datasets.labels import EXPRESSIONS
from orchestrator.report.scores.statistics import Interval, wilson_interval

CITATION = (
    "Mostafa, El-Sayed and Belal, “Benchmarking of convolutional neural networks "
    "for facial expressions recognition”"
)
IMAGES_PER_EXPRESSION = 500
VALIDATION_IMAGES = IMAGES_PER_EXPRESSION * len(EXPRESSIONS)

Rate = Literal["recall", "precision"]

# The four photographs of Figure 13, all of a happy face, in the order of Table 4.
POSES = ("front", "occluded", "right", "left")
POSE_LABEL = EXPRESSIONS.index("Happiness")

# The paper's recipe (its section 5.3), by the names of our configuration.
RECIPE: dict[str, object] = {
    "image_size": 224,
    "batch_size": 16,
    "epochs": 100,
    "weights": "imagenet",
    "optimizer": "adam",
    "loss": "categorical_crossentropy",
}


@dataclass(frozen=True)
class PaperAccuracy:
    """One architecture in the paper: correct validation images of 4,000, by expression code."""

    correct_by_expression: tuple[int, ...]

    @property
    def correct(self) -> int:
        """Correctly classified images of all expressions."""
        return sum(self.correct_by_expression)

    @property
    def accuracy(self) -> float:
        """Fraction of 1, from the counts."""
        return self.correct / VALIDATION_IMAGES

    @property
    def interval(self) -> Interval:
        """Wilson 95 % interval; the paper gives none."""
        return wilson_interval(self.correct, VALIDATION_IMAGES)


@dataclass(frozen=True)
class PaperSize:
    """Table 2: an architecture with its 1000-class head; `size_mb` as printed, whole MB."""

    parameters: int
    size_mb: int


@dataclass(frozen=True)
class PaperBests:
    """Highest accuracies (fractions of 1) and losses as section 6 of the paper gives them."""

    training_accuracy: float
    training_loss: float
    validation_accuracy: float
    validation_loss: float


def _rows(name: str) -> list[dict[str, str]]:
    path = resources.files("orchestrator.report").joinpath("data", f"{name}.csv")
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def _by_expression(name: str) -> dict[str, tuple[float, ...]]:
    return {
        row["model"].lower(): tuple(float(row[expression]) for expression in EXPRESSIONS)
        for row in _rows(name)
    }


@cache
def accuracies() -> dict[str, PaperAccuracy]:
    """Figure 12's counts, by architecture id."""
    return {
        name: PaperAccuracy(tuple(int(count) for count in counts))
        for name, counts in _by_expression("fig12_correct_counts").items()
    }


@cache
def table3_percent() -> dict[str, float]:
    """Table 3's validation accuracy as printed, percent, by architecture id."""
    rows = _rows("table3_validation_accuracy")
    return {row["model"].lower(): float(row["accuracy_percent"]) for row in rows}


@cache
def recall() -> dict[str, tuple[float, ...]]:
    """Figure 10: recall as printed, by architecture id, in the order of the expression codes."""
    return _by_expression("fig10_recall")


@cache
def precision() -> dict[str, tuple[float, ...]]:
    """Figure 11: precision as printed, by architecture id, in the order of the expression codes."""
    return _by_expression("fig11_precision")


@cache
def average(rate: Rate) -> dict[str, float]:
    """The last column of Figure 10 or 11 as printed: the mean over the eight expressions."""
    name, column = _AVERAGES[rate]
    return {row["model"].lower(): float(row[column]) for row in _rows(name)}


_AVERAGES: dict[Rate, tuple[str, str]] = {
    "recall": ("fig10_recall", "accuracy_and_avg"),
    "precision": ("fig11_precision", "average"),
}


@cache
def sizes() -> dict[str, PaperSize]:
    """Table 2, by architecture id."""
    return {
        row["model"].lower(): PaperSize(int(row["parameters"]), int(row["size_mb"]))
        for row in _rows("table2_parameters_size")
    }


@cache
def pose_predictions() -> dict[str, dict[str, int]]:
    """Table 4: the label predicted for each of four happy faces, by architecture id and pose."""
    return {
        row["model"].lower(): {pose: int(row[pose]) for pose in POSES}
        for row in _rows("table4_pose_predictions")
    }


@cache
def best_epochs() -> dict[str, PaperBests]:
    """Section 6.1: each best accuracy with the loss given beside it; no DenseNet is in it."""
    return {
        row["model"].lower(): PaperBests(
            training_accuracy=_fraction(row["training_accuracy_percent"]),
            training_loss=float(row["training_loss"]),
            validation_accuracy=_fraction(row["validation_accuracy_percent"]),
            validation_loss=float(row["validation_loss"]),
        )
        for row in _rows("text_best_epochs")
    }


@cache
def multistage() -> dict[str, PaperBests]:
    """Section 6 on Figure 7: highest accuracies and lowest losses of `continuous` and `staged`."""
    names = [field.name for field in fields(PaperBests)]
    return {
        row["training"]: PaperBests(*(float(row[name]) for name in names))
        for row in _rows("text_multistage")
    }


def _fraction(percent: str) -> float:
    return round(float(percent) / 100, 6)


@cache
def class_counts() -> tuple[int, ...]:
    """Table 1, by expression code: training and validation images together."""
    counts = {int(row["label"]): int(row["images"]) for row in _rows("table1_class_counts")}
    return tuple(counts[code] for code in range(len(EXPRESSIONS)))


@cache
def misprinted_accuracies() -> dict[str, tuple[float, float]]:
    """Where the column printed beside Figure 12 is not its counts: id -> (printed, counted)."""
    printed = {
        row["model"].lower(): float(row["accuracy"]) for row in _rows("fig12_correct_counts")
    }
    return {
        name: (printed[name], paper.accuracy)
        for name, paper in accuracies().items()
        if abs(printed[name] - paper.accuracy) > 1e-9
    }
