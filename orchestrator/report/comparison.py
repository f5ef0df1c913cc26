"""May the paper's figures stand beside ours? Only on its data; and what the recipes differ in."""

from collections import defaultdict
from collections.abc import Callable, Mapping

from datasets.labels import EXPRESSIONS
from orchestrator.report import paper
from orchestrator.report.collect import RunReport, RunSource
from orchestrator.report.formats import plural

# Copies of AffectNet differ by a few lost or unreadable images.
COUNT_TOLERANCE = 0.01

EPOCH_WARNING = (
    "Accuracies and tests outside this section are of the final epoch. Choosing an epoch on the "
    "validation set is choosing on the test set: the best epoch's accuracy flatters, "
    "and is not compared."
)

NO_BEST = (
    "The runs are of different data, so their accuracies can't be compared: none is called the "
    "best, and the trials stand in the order in which they were planned."
)


def why_not_comparable(run: RunReport) -> str | None:
    """One clause that says why the data is not the paper's, or None where it is.

    Judged by the class counts of both splits (the paper's Table 1 less 500 each, and 500 each), and
    by the source where the run names one: drawn faces can have any counts.
    """
    if not run.same_data:
        return "the runs of this report are of different data"
    source = data_source(run)
    if source.startswith("drawn"):
        return "this run's faces are drawn, not photographed"
    train, validation = class_counts(run, "train"), class_counts(run, "validation")
    theirs = paper.IMAGES_PER_EXPRESSION
    if all(
        abs(ours_train - (total - theirs)) <= COUNT_TOLERANCE * (total - theirs)
        and abs(ours_validation - theirs) <= COUNT_TOLERANCE * theirs
        for ours_train, ours_validation, total in zip(
            train, validation, paper.class_counts(), strict=True
        )
    ):
        return None
    paper_train = sum(paper.class_counts()) - paper.VALIDATION_IMAGES
    return (
        f"this run's data has {sum(train):,} training and "
        f"{plural(sum(validation), 'validation image')}, AffectNet as the paper used it "
        f"{paper_train:,} and {paper.VALIDATION_IMAGES:,}"
    )


def data_source(run: RunReport) -> str:
    """What the manifest called its source, lower case; empty where the run does not say."""
    return str(run.document.data.model_dump().get("source") or "").lower()


def class_counts(run: RunReport, split: str) -> tuple[int, ...]:
    """Images of a split by expression code; an expression that is not listed has none."""
    counts = run.document.data.classes.get(split, {})
    return tuple(counts.get(expression, 0) for expression in EXPRESSIONS)


def told_by_run(run: RunReport, tell: Callable[[RunSource], str]) -> list[str]:
    """What there is to tell of each run: once where it is the same of all, else with their names.

    An empty text is nothing to tell.
    """
    by_text: dict[str, list[str]] = defaultdict(list)
    for source in run.sources:
        by_text[tell(source)].append(source.label)
    if len(by_text) == 1:
        return [text for text in by_text if text]
    return [
        f"Run{'s' if len(labels) > 1 else ''} {' and '.join(labels)}: {text}"
        for text, labels in by_text.items()
        if text
    ]


def recipe(source: RunSource) -> Mapping[str, object]:
    """The recipe's part of a run's configuration; empty where there is none."""
    found = source.document.config.get("recipe")
    return found if isinstance(found, Mapping) else {}


def recipe_differences(source: RunSource) -> str:
    """Where a run's recipe differs from the paper's, for example `epochs 2 (paper: 100)`."""
    ours = recipe(source)
    found = [
        f"{name.replace('_', ' ')} {ours[name]} (paper: {theirs})"
        for name, theirs in paper.RECIPE.items()
        if name in ours and ours[name] != theirs
    ]
    return f"The recipe differs from the paper's: {', '.join(found)}." if found else ""


def choices(run: RunReport) -> list[str]:
    """What the paper left open, and what was done; of each run where they differ."""
    return [
        *told_by_run(run, _learning_rate),
        "Head: not stated. Here: the architecture without its top, global average pooling, one "
        "dense layer of eight units, softmax.",
        "Preprocessing: not stated. Here: each architecture's own convention of its ImageNet "
        "weights, as the model's first layer.",
        "Which layers were trained: not stated. Here: all of them.",
        "Which epoch was reported: not stated. Here: the last. The best epoch stands apart, "
        "because choosing an epoch on the validation images is choosing on the test.",
        *told_by_run(run, batch_norm_note),
    ]


def _learning_rate(source: RunSource) -> str:
    rate = recipe(source).get("learning_rate")
    used = "0.001" if rate is None else f"{rate}"
    return f"Learning rate: not stated. Here: {used}; Keras' default for Adam is 0.001."


def batch_norm_note(source: RunSource) -> str:
    """Why a short run lowers the momentum of batch normalisation; empty where it does not."""
    momentum = recipe(source).get("batch_norm_momentum")
    if momentum is None:
        return ""
    return (
        f"Batch normalisation: its momentum was lowered to {momentum} in every architecture. "
        "With the architectures' own (0.9 to 0.9997) the moving mean and variance of a short run "
        "stay behind the data's, and validation, which uses them, falls behind training."
    )
