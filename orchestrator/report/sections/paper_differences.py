"""Which of the paper's own fourteen accuracies can't be told from its best."""

from dataclasses import dataclass

from orchestrator.report import paper
from orchestrator.report.blocks import Cell, Header, Section, Table
from orchestrator.report.collect import title_of
from orchestrator.report.formats import MISSING, integer, p_value, percent, percent_interval, points
from orchestrator.report.scores.paired_tests import ALPHA, holm, two_proportions_p
from orchestrator.report.sections.tables import number_cell


@dataclass(frozen=True)
class AgainstBest:
    """One of the paper's architectures against its best; p of the unpaired z test."""

    architecture: str
    p: float
    holm_p: float

    @property
    def is_different(self) -> bool:
        """True when the corrected test tells it from the best."""
        return self.holm_p < ALPHA


def ranked() -> tuple[str, ...]:
    """The paper's architectures, the highest accuracy first; equal ones in its own order."""
    counts = paper.accuracies()
    return tuple(sorted(counts, key=lambda name: -counts[name].correct))


def against_best() -> tuple[AgainstBest, ...]:
    """All but the best, the highest accuracy first, Holm's correction over these comparisons."""
    counts, (best, *others) = paper.accuracies(), ranked()
    total = paper.VALIDATION_IMAGES
    p_values = [
        two_proportions_p((counts[best].correct, counts[name].correct), (total, total))
        for name in others
    ]
    return tuple(
        AgainstBest(name, p, holm_p)
        for name, p, holm_p in zip(others, p_values, holm(p_values), strict=True)
    )


def paper_section() -> Section:
    """The paper prints neither intervals nor tests; its counts give these."""
    tests = against_best()
    near = sum(not test.is_different for test in tests)
    best = ranked()[0]
    sentence = (
        f"In the paper {title_of(best)} has the highest accuracy, "
        f"{percent(paper.accuracies()[best].accuracy)} %. {near} of the other {len(tests)} "
        "architectures can't be told from it."
    )
    why = (
        "Its predictions are not published, so its models can't be compared image by image. This "
        "test takes them for measured on different images (two proportions, unpaired, pooled "
        "variance), which for models that are right on the same images finds fewer differences "
        "than a paired one."
    )
    return Section(
        "paper-differences", "The paper's own differences", (sentence, why), tables=(_table(tests),)
    )


def _table(tests: tuple[AgainstBest, ...]) -> Table:
    best = ranked()[0]
    rows = [(*_accuracy_cells(best), *(Cell(MISSING) for _ in range(3)), Cell("the best"))]
    for test in tests:
        lead = paper.accuracies()[best].accuracy - paper.accuracies()[test.architecture].accuracy
        verdict = "different" if test.is_different else "can't be told apart"
        rows.append(
            (
                *_accuracy_cells(test.architecture),
                number_cell(lead, points(lead)),
                number_cell(test.p, p_value(test.p)),
                number_cell(test.holm_p, p_value(test.holm_p)),
                Cell(verdict, verdict),
            )
        )
    return Table(
        id="paper-differences-table",
        caption=f"The paper's {title_of(best)} against its other architectures",
        headers=(
            Header("Architecture", numeric=False),
            Header("Correct", f"of {paper.VALIDATION_IMAGES:,}"),
            Header("Accuracy", "%"),
            Header("95 % interval", "%, Wilson"),
            Header("Best less this", "points"),
            Header("p", "two proportions, unpaired"),
            Header("p corrected", "Holm"),
            Header("Verdict", numeric=False),
        ),
        rows=tuple(rows),
        note="Counts of the paper's Figure 12. z test of two proportions (statsmodels), corrected "
        f"over {len(tests)} comparisons.",
        sortable=True,
    )


def _accuracy_cells(name: str) -> tuple[Cell, ...]:
    printed = paper.accuracies()[name]
    interval = printed.interval
    return (
        Cell(title_of(name), title_of(name)),
        Cell(integer(printed.correct), printed.correct),
        Cell(percent(printed.accuracy), printed.accuracy),
        Cell(percent_interval(interval.low, interval.high), interval.low),
    )
