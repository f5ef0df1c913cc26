"""`comparisons.csv`, and what `results.json` says of comparisons, confusions and calibration."""

from pydantic import Field

from orchestrator.report.collect import RunReport
from orchestrator.report.rows import Row, finite
from orchestrator.report.scores.comparisons import Comparisons, Pair


class ComparisonRow(Row):
    """Two architectures; `architecture_a` has the higher mean accuracy over its seeds.

    Differences are a less b, fractions of 1. All up to `different` are over the same validation
    images of the two trials of `seed`; the rest is over seeds.
    """

    architecture_a: str
    architecture_b: str
    seed: int = Field(description="the lowest of those that most architectures have")
    images: int
    accuracy_difference: float
    accuracy_difference_low: float = Field(description="paired bootstrap, 95 %, percentile")
    accuracy_difference_high: float = Field(description="paired bootstrap, 95 %, percentile")
    macro_f1_difference: float
    macro_f1_difference_low: float = Field(description="paired bootstrap, 95 %, percentile")
    macro_f1_difference_high: float = Field(description="paired bootstrap, 95 %, percentile")
    only_a_right: int = Field(description="images that a has right and b wrong")
    only_b_right: int = Field(description="images that b has right and a wrong")
    mcnemar_p: float = Field(description="exact McNemar test")
    holm_p: float = Field(description="the same, corrected over all pairs")
    different: bool = Field(description="holm_p below 0.05; false does not say equal")
    common_seeds: int = Field(description="seeds that both architectures finished")
    seeds_accuracy_difference: float | None = Field(description="mean over the common seeds")
    seeds_p: float | None = Field(description="paired t test over seeds; null below two")
    seeds_holm_p: float | None = Field(description="the same, corrected over all pairs")


class SeedsRow(Row):
    """One architecture over its finished seeds; fractions of 1, standard deviations over n - 1."""

    architecture: str
    seeds: list[int]
    accuracy_mean: float
    accuracy_sd: float | None
    macro_f1_mean: float | None
    macro_f1_sd: float | None


class TestsSummary(Row):
    """What the comparisons image by image were made on, and what they say together."""

    seed: int
    images: int
    architectures: list[str] = Field(description="the highest mean accuracy first")
    cochran_q: float | None = Field(description="null where all are right on the same images")
    cochran_df: int | None
    cochran_p: float | None
    groups: list[list[str]] = Field(
        description="largest sets without a pair that differs; two share one iff not different"
    )


class ConfusionRow(Row):
    """`counts[label][predicted]`: validation images of one trial, in the order of the codes."""

    architecture: str
    seed: int
    counts: list[list[int]]
    run: str = Field("", description="the run that the trial is of")


class ReliabilityRow(Row):
    """One bin of one trial's reliability diagram, without those that hold no image."""

    architecture: str
    seed: int
    low: float = Field(description="the highest probability is above it")
    high: float = Field(description="and at most this")
    images: int
    confidence: float = Field(description="mean of the highest probabilities")
    accuracy: float = Field(description="share of the images predicted right")
    run: str = Field("", description="the run that the trial is of")


def comparison_rows(found: Comparisons | None) -> list[ComparisonRow]:
    """Every two architectures once, in the order of the highest mean accuracy."""
    return [_comparison_row(found, pair) for pair in found.pairs] if found else []


def _comparison_row(found: Comparisons, pair: Pair) -> ComparisonRow:
    return ComparisonRow(
        architecture_a=pair.first,
        architecture_b=pair.second,
        seed=found.seed,
        images=found.images,
        accuracy_difference=pair.accuracy_difference,
        accuracy_difference_low=pair.accuracy_interval.low,
        accuracy_difference_high=pair.accuracy_interval.high,
        macro_f1_difference=pair.macro_f1_difference,
        macro_f1_difference_low=pair.macro_f1_interval.low,
        macro_f1_difference_high=pair.macro_f1_interval.high,
        only_a_right=pair.test.only_first_right,
        only_b_right=pair.test.only_second_right,
        mcnemar_p=pair.test.p,
        holm_p=pair.test.holm_p,
        different=pair.is_different,
        common_seeds=len(pair.over_seeds.seeds),
        seeds_accuracy_difference=finite(pair.over_seeds.accuracy_difference),
        seeds_p=finite(pair.over_seeds.p),
        seeds_holm_p=finite(pair.over_seeds.holm_p),
    )


def seeds_rows(found: Comparisons | None) -> list[SeedsRow]:
    """The architectures with a finished trial, the highest mean accuracy first."""
    return [
        SeedsRow(
            architecture=one.architecture,
            seeds=list(one.seeds),
            accuracy_mean=one.accuracy,
            accuracy_sd=finite(one.accuracy_sd),
            macro_f1_mean=finite(one.macro_f1),
            macro_f1_sd=finite(one.macro_f1_sd),
        )
        for one in (found.over_seeds if found else ())
    ]


def tests_summary(found: Comparisons | None) -> TestsSummary | None:
    """None where nothing can be compared."""
    if found is None:
        return None
    cochran = found.cochran
    return TestsSummary(
        seed=found.seed,
        images=found.images,
        architectures=list(found.architectures),
        cochran_q=finite(cochran.q) if cochran else None,
        cochran_df=cochran.df if cochran else None,
        cochran_p=finite(cochran.p) if cochran else None,
        groups=[list(members) for members in found.groups],
    )


def confusion_rows(run: RunReport) -> list[ConfusionRow]:
    """One a trial with predictions, in plan order."""
    return [
        ConfusionRow(
            architecture=trial.record.architecture,
            seed=trial.record.seed,
            counts=[list(row) for row in trial.scores.confusion],
            run=trial.run,
        )
        for trial in run.trials
        if trial.scores
    ]


def reliability_rows(run: RunReport) -> list[ReliabilityRow]:
    """The filled bins of each trial with probabilities, in plan order."""
    return [
        ReliabilityRow(
            architecture=trial.record.architecture,
            seed=trial.record.seed,
            low=one.low,
            high=one.high,
            images=one.images,
            confidence=one.confidence,
            accuracy=one.accuracy,
            run=trial.run,
        )
        for trial in run.trials
        if trial.probability_scores
        for one in trial.probability_scores.bins
        if one.images
    ]
