"""What the page says of differences, confusion and calibration, against results.json."""

import json
import re

import pytest

from datasets.labels import EXPRESSIONS
from orchestrator.report import write_report
from orchestrator.run_store import RunStore
from tests.made_up_runs import MadeUpRun, write_run
from tests.test_report_html import Reader, figure_data
from tests.test_report_paper import markdown_table
from trainers.architectures import ARCHITECTURES

TITLES = {name: row.title for name, row in ARCHITECTURES.items()}
TRIALS = tuple(f"{name}-s0" for name in list(ARCHITECTURES)[:6])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    run = MadeUpRun(trials=TRIALS, states={}, validation_images=2400)
    store = write_run(tmp_path_factory.mktemp("sections"), run)
    write_report(store.root)
    return store


@pytest.fixture(scope="module")
def page(store: RunStore) -> Reader:
    return Reader((store.report_dir / "index.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def text(store: RunStore) -> str:
    return (store.report_dir / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results(store: RunStore) -> dict:
    return json.loads((store.report_dir / "results.json").read_text())


def test_the_lead_counts_those_that_the_corrected_test_cannot_tell_from_the_best(results, text):
    best, *others = results["tests"]["architectures"]
    verdicts = [row["different"] for row in results["comparisons"] if row["architecture_a"] == best]
    near = verdicts.count(False)
    # A made-up run that shows both: else the sentence would be another.
    assert 0 < near < len(others)
    sentence = f"{near} of the other {len(others)} architectures can't be told from it"
    lead = text.split("\n\n- ")[0].replace("\\", "")
    assert f"# Facial-expression benchmark: made-up\n\n{TITLES[best]} reached" in lead
    assert f"all {len(results['comparisons'])} pairs" in lead
    assert f"{sentence}: the order among them is provisional." in lead


def test_the_matrix_marks_every_pair_from_both_sides(results, text):
    names = [TITLES[name] for name in results["tests"]["architectures"]]
    rows = {
        row[0]: dict(zip(names, row[1:], strict=True)) for row in markdown_table(text, "All pairs")
    }
    assert list(rows) == names
    for row in results["comparisons"]:
        one, other = TITLES[row["architecture_a"]], TITLES[row["architecture_b"]]
        there, back = (rows[a][b].replace("\\", "") for a, b in ((one, other), (other, one)))
        if not row["different"]:
            assert there[0] == back[0] == "≈"
        else:
            ahead = row["accuracy_difference"] > 0
            assert (there[0], back[0]) == ((">", "<") if ahead else ("<", ">"))
        assert there[1:] == back[1:]
        assert float(there[1:]) == pytest.approx(abs(100 * row["accuracy_difference"]), abs=0.0051)


def test_the_best_stands_against_each_other_with_its_letters(results, text):
    rows = markdown_table(
        text, f"{TITLES[results['tests']['architectures'][0]]} against each other"
    )
    assert [row[0] for row in rows] == [TITLES[name] for name in results["tests"]["architectures"]]
    found = {row["architecture_b"]: row for row in results["comparisons"][: len(rows) - 1]}
    for name, row in zip(results["tests"]["architectures"][1:], rows[1:], strict=True):
        letters = {
            chr(97 + place)
            for place, group in enumerate(results["tests"]["groups"])
            if name in group
        }
        assert set(row[1]) == letters
        verdict = "different" if found[name]["different"] else "can'tbetoldapart"
        assert row[-1] == verdict
        counts = [int(cell.replace(",", "")) for cell in row[7:9]]
        assert counts == [found[name]["only_a_right"], found[name]["only_b_right"]]


def test_the_heat_map_has_every_trials_counts_and_one_is_chosen(results, page):
    figure = figure_data(page)["confusion-matrix"]
    traces = {trace["meta"]["trial"]: trace for trace in figure["data"]}
    assert len(traces) == len(results["confusions"]) == len(TRIALS)
    for row in results["confusions"]:
        trace = traces[f"{row['architecture']}-s{row['seed']}"]
        assert trace["text"] == row["counts"]
        assert trace["y"] == trace["x"] == list(EXPRESSIONS)
        for shares in trace["z"]:
            assert sum(shares) == pytest.approx(100)
    options = [attributes["value"] for attributes in page.with_tag("option")]
    assert options == [*traces, *traces]  # confusion, calibration
    assert len(page.with_tag("select")) == 2


def test_the_most_frequent_confusions_are_those_of_the_matrix(results, text):
    for row in markdown_table(text, "The most frequent confusions"):
        counts = next(
            one["counts"] for one in results["confusions"] if TITLES[one["architecture"]] == row[0]
        )
        wrong = [n for i, line in enumerate(counts) for j, n in enumerate(line) if i != j]
        assert int(row[1].replace(",", "")) == sum(wrong)
        printed = [re.fullmatch(r"(\w+?)for(\w+):(\d+)\([\d.]+%\)", cell) for cell in row[2:]]
        assert [int(match[3]) for match in printed if match] == sorted(wrong)[:-4:-1]
        for match in printed:
            assert match
            label, predicted = EXPRESSIONS.index(match[1]), EXPRESSIONS.index(match[2])
            assert counts[label][predicted] == int(match[3])


def test_the_reliability_diagram_has_the_bins_and_the_diagonal(results, page):
    figure = figure_data(page)["reliability"]
    diagonal, *traces = figure["data"]
    assert diagonal["meta"]["trial"] is None
    assert diagonal["x"] == diagonal["y"] == [0, 100]
    for trace in traces:
        rows = [
            row
            for row in results["reliability"]
            if f"{row['architecture']}-s{row['seed']}" == trace["meta"]["trial"]
        ]
        assert trace["x"] == pytest.approx([100 * row["confidence"] for row in rows])
        assert trace["y"] == pytest.approx([100 * row["accuracy"] for row in rows])
        assert trace["customdata"] == [row["images"] for row in rows]


def test_the_page_warns_of_choosing_an_epoch_on_the_validation_set(page, text):
    for form in (page.text, text):
        assert "Choosing an epoch on the validation set is choosing on the test set" in form


def test_folded_tables_can_be_opened_and_are_what_figures_point_to(page):
    assert len(page.with_tag("summary")) == len(page.with_tag("details")) == 3
    tables = {attributes.get("id") for attributes in page.with_tag("table")}
    assert {"confusion-table", "reliability-table", "recall-intervals-table"} <= tables
