"""The choice: what each architecture costs, the fronts, and what the seeds make of them."""

from pathlib import Path
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.collect import collect
from orchestrator.report.formats import MISSING
from orchestrator.report.scores.choice import COSTS, Choice, choices_of, front, known_costs
from orchestrator.report.sections import choice_figures
from orchestrator.report.sections.choice import choice_section
from tests.made_up_runs import MadeUpRun, write_run

PARAMETERS = COSTS[0]


def choice(name: str, accuracy: float, parameters: float | None) -> Choice:
    return Choice(
        name, name, accuracy, "", {cost.key: None for cost in COSTS} | {"parameters": parameters}
    )


def test_the_front_holds_what_no_other_beats():
    small, good, dear = choice("s", 0.4, 1e6), choice("g", 0.5, 2e6), choice("d", 0.45, 3e6)
    assert front([dear, good, small], PARAMETERS) == [small, good]


def test_equals_stay_and_the_unknown_is_left_out():
    one, twin, worse = choice("a", 0.5, 2e6), choice("b", 0.5, 2e6), choice("c", 0.4, 2e6)
    assert front([one, twin, worse, choice("u", 0.9, None)], PARAMETERS) == [one, twin]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), max_size=12))
def test_the_front_is_what_its_definition_says(points: list[tuple[int, int]]):
    choices = [
        choice(str(number), accuracy / 10, cost * 1e6)
        for number, (accuracy, cost) in enumerate(points)
    ]

    def beats(one: Choice, other: Choice) -> bool:
        mine, its = one.costs["parameters"], other.costs["parameters"]
        assert mine is not None
        assert its is not None
        return (
            one.accuracy >= other.accuracy
            and mine <= its
            and (one.accuracy > other.accuracy or mine < its)
        )

    expected = {one.title for one in choices if not any(beats(other, one) for other in choices)}
    assert {one.title for one in front(choices, PARAMETERS)} == expected


@pytest.mark.slow
def test_seeds_make_one_row_with_mean_and_deviation(tmp_path: Path):
    trials = tuple(f"{name}-s{seed}" for name in ("mobilenet", "resnet50") for seed in range(3))
    write_run(tmp_path, MadeUpRun(trials=trials, states={}))
    run = collect(tmp_path)
    rows = {one.architecture: one for one in choices_of(run)}
    own = [trial.accuracy for trial in run.finished if trial.record.architecture == "resnet50"]
    assert rows["resnet50"].accuracy == pytest.approx(fmean(own))
    assert rows["resnet50"].spread == f"± {100 * stdev(own):.2f}"
    section = choice_section(run)
    assert section is not None
    assert len(section.tables[0].rows) == 2


def test_a_single_seed_has_no_deviation(tmp_path: Path):
    trials = ("mobilenet-s0", "mobilenet-s1", "resnet50-s0")
    write_run(tmp_path, MadeUpRun(trials=trials, states={}))
    run = collect(tmp_path)
    spreads = {one.architecture: one.spread for one in choices_of(run)}
    assert spreads["resnet50"] == MISSING
    assert spreads["mobilenet"].startswith("± ")
    section = choice_section(run)
    assert section is not None
    header = section.tables[0].headers[2]
    assert (header.text, header.unit) == ("± SD over seeds", "points")


@pytest.mark.slow
def test_every_measured_cost_has_a_column_a_front_and_its_limit(tmp_path: Path):
    write_run(tmp_path, MadeUpRun())
    section = choice_section(collect(tmp_path))
    assert section is not None
    assert section.chooser is not None
    assert [limit.key for limit in section.chooser.limits] == [
        "parameters",
        "size_mb",
        "latency_ms",
    ]
    assert [figure.id for figure in section.figures] == [
        "parameters-front",
        "gflops-front",
        "latency-ms-front",
        "train-seconds-front",
        "peak-memory-mb-front",
    ]
    (table,) = section.tables
    for limit in section.chooser.limits:
        (column,) = [index for index, one in enumerate(table.headers) if one.key == limit.key]
        assert limit.largest == max(row[column].sort for row in table.rows)


def test_the_price_is_there_only_where_the_configuration_gives_one(tmp_path: Path):
    store = write_run(tmp_path, MadeUpRun(trials=("mobilenet-s0",), states={}))
    assert "price" not in {cost.key for cost in known_costs(choices_of(collect(tmp_path)))}
    document = store.read()
    assert document is not None
    priced = document.config | {"estimate": {"price_per_hour": 3.0, "currency": "EUR"}}
    store.write(document.model_copy(update={"config": priced}))
    (one,) = choices_of(collect(tmp_path))
    assert one.costs["price"] == pytest.approx(one.costs["train_seconds"] / 3600 * 3)


def test_a_run_without_a_finished_trial_has_nothing_to_choose_from(tmp_path: Path):
    from trainers.result import TrialState

    states = {"mobilenet-s0": TrialState.PENDING}
    write_run(tmp_path, MadeUpRun(trials=("mobilenet-s0",), states=states))
    assert choice_section(collect(tmp_path)) is None


@given(st.floats(1e-3, 1e6), st.floats(1.5, 1e4))
def test_an_axis_has_a_few_round_ticks_within_its_ends(low: float, ratio: float):
    ticks = choice_figures._ticks(low, low * ratio)
    assert 2 <= len(ticks) <= 15
    assert all(low * 0.999 <= tick <= low * ratio * 1.001 for tick in ticks)
    assert len({f"{tick:,g}" for tick in ticks}) == len(ticks)


@given(st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=14))
def test_every_point_of_an_axis_has_room_for_its_name(values: list[float]):
    low, high = choice_figures._range(values)
    for value in values:
        assert low * 1.2 <= value <= high / 1.2


@given(st.floats(1e-3, 1e6), st.floats(1.5, 1e4))
def test_a_name_near_an_end_of_an_axis_points_away_from_it(low: float, ratio: float):
    high = low * ratio
    places = [low * ratio**part for part in (0.0, 0.3, 0.4, 0.6, 0.7, 1.0)]
    sides = [choice_figures._side(place, low, high).removeprefix("top ") for place in places]
    assert sides == ["right", "right", "center", "center", "left", "left"]
