"""Architectures over their seeds: mean, spread, and the paired test beside the one over images."""

from orchestrator.report.blocks import Cell, Header, Table
from orchestrator.report.collect import title_of
from orchestrator.report.formats import MISSING, fixed, integer, p_value, percent, plural, points
from orchestrator.report.scores.comparisons import Comparisons, OverSeeds, SeedPair
from orchestrator.report.sections.tables import number_cell


def seeds_table(found: Comparisons) -> Table | None:
    """None where no architecture has more than one seed."""
    if not found.many_seeds:
        return None
    best = found.over_seeds[0]
    others = found.over_seeds[1:]
    rows = (
        _row(best, None),
        *(_row(one, found.seed_pair(best.architecture, one.architecture)) for one in others),
    )
    most = max(len(one.seeds) for one in found.over_seeds)
    return Table(
        id="seeds-table",
        caption="Over seeds: mean and standard deviation",
        headers=(
            Header("Architecture", numeric=False),
            Header("Seeds"),
            Header("Accuracy", "%, mean"),
            Header("SD", "points"),
            Header("Macro F1", "%, mean"),
            Header("SD", "points"),
            Header("Best less this", "points, mean"),
            Header("Common seeds"),
            Header("p", "paired t test"),
            Header("p corrected", "Holm"),
        ),
        rows=rows,
        note=f"The best is {title_of(best.architecture)}. {plural(most, 'seed')} are "
        "few: a t test over them finds large differences only, and takes accuracies to be normally "
        "distributed over seeds. It asks whether architectures differ over trainings; the tests "
        f"above ask whether the models of seed {found.seed} differ over images. Not defined "
        f"({MISSING}) below two common seeds, or where all differences are equal.",
        sortable=True,
    )


def _row(one: OverSeeds, pair: SeedPair | None) -> tuple[Cell, ...]:
    title = title_of(one.architecture)
    return (
        Cell(title, title),
        Cell(
            integer(len(one.seeds)),
            len(one.seeds),
            "; ".join((", ".join(map(str, one.seeds)), *one.odd)),
        ),
        number_cell(one.accuracy, percent(one.accuracy)),
        number_cell(one.accuracy_sd, percent(one.accuracy_sd)),
        number_cell(one.macro_f1, percent(one.macro_f1)),
        number_cell(one.macro_f1_sd, percent(one.macro_f1_sd)),
        *_pair_cells(pair),
    )


def _pair_cells(pair: SeedPair | None) -> tuple[Cell, ...]:
    if pair is None:
        return tuple(Cell(MISSING) for _ in range(4))
    return (
        number_cell(pair.accuracy_difference, points(pair.accuracy_difference)),
        Cell(fixed(len(pair.seeds), 0), len(pair.seeds)),
        number_cell(pair.p, p_value(pair.p)),
        number_cell(pair.holm_p, p_value(pair.holm_p)),
    )
