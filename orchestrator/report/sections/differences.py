"""The section “Which differences are real”, and the sentence of the lead that sums it up."""

from orchestrator.report.blocks import Cell, Header, Section, Table
from orchestrator.report.collect import RunReport, title_of
from orchestrator.report.formats import (
    MISSING,
    fixed,
    integer,
    p_value,
    percent,
    percent_interval,
    plural,
    points,
    points_interval,
)
from orchestrator.report.scores.bootstrap import NUM_RESAMPLES
from orchestrator.report.scores.comparisons import Comparisons, Pair
from orchestrator.report.scores.groups import letter
from orchestrator.report.scores.paired_tests import ALPHA
from orchestrator.report.sections.pair_matrix import pair_matrix
from orchestrator.report.sections.seeds_table import seeds_table
from orchestrator.report.sections.tables import number_cell


def undecided_sentence(run: RunReport) -> str:
    """How the best stands against the others; empty where it was not compared.

    The best is so by its mean over seeds, the test is of one seed: it may be behind there.
    """
    found = run.comparisons
    if found is None or not found.pairs or not _has_the_best(run, found):
        return ""
    where = f"trials of seed {found.seed}, " if found.many_seeds else ""
    begin = (
        f"Compared image by image ({where}exact McNemar tests, Holm's correction over "
        f"{_all_pairs(found)}), "
    )
    missing = len(found.over_seeds) - len(found.architectures)
    end = f" {plural(missing, 'architecture')} could not be compared." if missing else ""
    return f"{begin}{_standing(found)}.{end}"


def _standing(found: Comparisons) -> str:
    best, others = found.architectures[0], found.architectures[1:]
    pairs = [found.pair(best, other) for other in others]
    near = sum(not pair.is_different for pair in pairs)
    ahead = sum(pair.is_different and pair.accuracy_difference < 0 for pair in pairs)
    if len(others) == 1:
        return f"the other architecture {_verdict(near, ahead)}"
    if ahead:
        does = "does" if ahead == 1 else "do"
        return (
            f"{ahead} of {_the_other(others)} {does} better than it there, {near} can't be told "
            "from it: the order by the mean over seeds is provisional"
        )
    if near == 0:
        return f"all other {len(others)} architectures differ from it"
    which = "none" if near == len(others) else f"{near}"
    can = "can" if near == len(others) else "can't"
    return (
        f"{which} of {_the_other(others)} {can} be told from it: the order among them is "
        "provisional"
    )


def _the_other(others: tuple[str, ...]) -> str:
    return f"the other {plural(len(others), 'architecture')}"


def _verdict(near: int, ahead: int) -> str:
    if ahead:
        return "does better than it there: the order by the mean over seeds is provisional"
    if near:
        return "can't be told from it: the order of the two is provisional"
    return "differs from it"


def _has_the_best(run: RunReport, found: Comparisons) -> bool:
    return found.architectures[0] == found.over_seeds[0].architecture and bool(run.finished)


def _all_pairs(found: Comparisons) -> str:
    return "one pair" if len(found.pairs) == 1 else f"all {len(found.pairs):,} pairs"


def differences_section(run: RunReport) -> Section | None:
    """None where there is nothing to compare."""
    found = run.comparisons
    if found is None or not (found.pairs or found.many_seeds):
        return None
    tables: list[Table | None] = []
    if found.pairs:
        tables = [_best_table(run, found), _groups_table(run, found), pair_matrix(found)]
    tables.append(seeds_table(found))
    return Section(
        "differences",
        "Which differences are real",
        paragraphs=_paragraphs(found),
        tables=tuple(table for table in tables if table),
    )


def _paragraphs(found: Comparisons) -> tuple[str, ...]:
    if not found.pairs:
        return ("Only one architecture can be compared yet.",)
    of = (
        f"the trials of seed {found.seed}, the lowest that most have"
        if found.many_seeds
        else "one trial each"
    )
    return (
        f"{plural(len(found.architectures), 'architecture')}, {of}, on the same "
        f"{plural(found.images, 'validation image')}. {_cochran_sentence(found)}",
        "“Different” says that McNemar's exact test, corrected by Holm over "
        f"{_all_pairs(found)}, gives p below {ALPHA:g}. “Can't be told apart” does not say equal: "
        "more images could tell them apart.",
        "These tests are of the trained models on these images. Another training of the same "
        "architecture, from another seed, can come out differently; "
        + (
            "the table over seeds shows by how much."
            if found.many_seeds
            else "with one seed the report can't say by how much."
        ),
    )


def _cochran_sentence(found: Comparisons) -> str:
    cochran = found.cochran
    if cochran is None or cochran.q != cochran.q:
        return "All are right on the same images, so there is nothing to test."
    verdict = (
        "not all have the same accuracy"
        if cochran.p < ALPHA
        else "no evidence that any two differ in accuracy"
    )
    p = p_value(cochran.p)
    return (
        f"Cochran's Q over all of them at once is {fixed(cochran.q, 2)} with "
        f"{plural(cochran.df, 'degree')} of freedom, p {p if p[0] == '<' else f'= {p}'}: {verdict}."
    )


_BEST_HEADERS = (
    Header("Architecture", numeric=False),
    Header("Groups", numeric=False),
    Header("Accuracy", "%"),
    Header("Best less this: accuracy", "points"),
    Header("95 % interval", "points, bootstrap"),
    Header("Best less this: macro F1", "points"),
    Header("95 % interval", "points, bootstrap"),
    Header("Only best right", "images"),
    Header("Only this right", "images"),
    Header("p", "McNemar, exact"),
    Header("p corrected", "Holm"),
    Header("Verdict", numeric=False),
)


def _best_table(run: RunReport, found: Comparisons) -> Table:
    best = found.architectures[0]
    letters, accuracies = found.letters, _accuracies(run, found)
    pairs = {other: found.pair(best, other) for other in found.architectures[1:]}
    rows = tuple(
        (
            Cell(title_of(name), title_of(name)),
            Cell(letters[name], letters[name]),
            number_cell(accuracies[name], percent(accuracies[name])),
            *(_pair_cells(pairs[name]) if name in pairs else _own_cells(found)),
        )
        for name in found.architectures
    )
    note = (
        f"{_trials_note(found)}Architectures that share a letter can't be told apart. Intervals: "
        f"paired bootstrap, percentiles of {NUM_RESAMPLES:,} resamples of the images. p is "
        f"corrected over {_all_pairs(found)} (comparisons.csv holds them). An interval is of one "
        "pair alone and is not corrected: it can leave 0 out where the corrected test finds no "
        "difference."
    )
    caption = f"{title_of(best)} against each other architecture"
    return Table("differences-table", caption, _BEST_HEADERS, rows, note, sortable=True)


def _trials_note(found: Comparisons) -> str:
    if not found.many_seeds:
        return ""
    return f"Trials of seed {found.seed}, the lowest that most architectures have. "


def _accuracies(run: RunReport, found: Comparisons) -> dict[str, float]:
    """Of the trials that are compared."""
    return {
        trial.group: trial.accuracy for trial in run.finished if trial.record.seed == found.seed
    }


def _pair_cells(pair: Pair) -> tuple[Cell, ...]:
    verdict = _pair_verdict(pair)
    test = pair.test
    return (
        Cell(points(pair.accuracy_difference), pair.accuracy_difference),
        Cell(points_interval(pair.accuracy_interval.low, pair.accuracy_interval.high)),
        Cell(points(pair.macro_f1_difference), pair.macro_f1_difference),
        Cell(points_interval(pair.macro_f1_interval.low, pair.macro_f1_interval.high)),
        Cell(integer(test.only_first_right), test.only_first_right),
        Cell(integer(test.only_second_right), test.only_second_right),
        Cell(p_value(test.p), test.p),
        Cell(p_value(test.holm_p), test.holm_p),
        Cell(verdict, verdict),
    )


def _pair_verdict(pair: Pair) -> str:
    """`first` is the best, by the mean over seeds; in the trials compared it may be behind."""
    if not pair.is_different:
        return "can't be told apart"
    return "different" if pair.accuracy_difference > 0 else "different, and better here"


def _own_cells(found: Comparisons) -> tuple[Cell, ...]:
    best = "the best by mean" if found.many_seeds else "the best"
    return (*(Cell(MISSING) for _ in range(8)), Cell(best, best))


def _groups_table(run: RunReport, found: Comparisons) -> Table:
    accuracies = _accuracies(run, found)
    rows = []
    for number, members in enumerate(found.groups):
        own = [accuracies[name] for name in members]
        rows.append(
            (
                Cell(letter(number)),
                Cell(", ".join(title_of(name) for name in members)),
                Cell(integer(len(members)), len(members)),
                Cell(percent_interval(min(own), max(own))),
            )
        )
    return Table(
        id="groups-table",
        caption="Groups that can't be told apart",
        headers=(
            Header("Group", numeric=False),
            Header("Architectures", numeric=False),
            Header("How many"),
            Header("Accuracy", "%, lowest to highest"),
        ),
        rows=tuple(rows),
        note="Each is a largest set of which no two are different (compact letter display, Piepho "
        "2004): two architectures are in a common group exactly where the corrected test finds no "
        "difference. Groups overlap where A can't be told from B, nor B from C, but A from C.",
    )
