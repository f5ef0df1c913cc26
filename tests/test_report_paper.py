"""The paper's numbers as embedded: they agree with each other, and the report with them."""

import csv
import re

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from datasets.labels import EXPRESSIONS
from orchestrator.report import paper, write_report
from orchestrator.report.formats import percent
from orchestrator.report.scores.statistics import Interval, score, wilson_interval
from orchestrator.report.sections.paper_differences import against_best
from tests.made_up_predictions import predictions_with_counts, write_predictions
from tests.made_up_runs import MadeUpRun, write_run
from trainers.architectures import ARCHITECTURES


def test_every_table_has_the_fourteen_architectures():
    ids = set(ARCHITECTURES)
    tables = (paper.accuracies(), paper.table3_percent(), paper.recall(), paper.precision())
    for table in tables:
        assert set(table) == ids


def test_figure_12_equals_table_3_and_figure_10_in_every_cell():
    for name, printed in paper.accuracies().items():
        # Table 3 prints two decimals of a multiple of 0.025 (49.625 as 49.63).
        assert paper.table3_percent()[name] == pytest.approx(100 * printed.accuracy, abs=0.0051)
        assert printed.correct_by_expression == tuple(
            round(rate * paper.IMAGES_PER_EXPRESSION) for rate in paper.recall()[name]
        )


def test_the_papers_accuracies_print_as_in_its_table_3():
    for name, printed in paper.accuracies().items():
        assert percent(printed.accuracy) == f"{paper.table3_percent()[name]:.2f}"


def test_the_column_printed_beside_figure_12_is_wrong_for_five_resnets():
    wrong = paper.misprinted_accuracies()
    assert set(wrong) == {"resnet50v2", "resnet101", "resnet101v2", "resnet152", "resnet152v2"}
    assert sorted(printed for printed, _ in wrong.values()) == pytest.approx(
        sorted(counted for _, counted in wrong.values())
    )


def test_table_1_adds_up():
    assert sum(paper.class_counts()) == 291_651
    assert sum(paper.class_counts()) - paper.VALIDATION_IMAGES == 287_651


def test_the_papers_interval_is_scipys():
    printed = paper.accuracies()["resnet50"]
    expected = binomtest(1985, 4000).proportion_ci(0.95, method="wilson")
    assert printed.correct == 1985
    assert (printed.interval.low, printed.interval.high) == (expected.low, expected.high)


@pytest.mark.slow
def test_predictions_with_the_papers_counts_give_its_table_3_and_figure_10(tmp_path):
    """Run on AffectNet's class counts, the report prints the paper's numbers and compares them."""
    classes = {
        "train": {
            name: count - paper.IMAGES_PER_EXPRESSION
            for name, count in zip(EXPRESSIONS, paper.class_counts(), strict=True)
        },
        "validation": dict.fromkeys(EXPRESSIONS, paper.IMAGES_PER_EXPRESSION),
    }
    store = write_run(tmp_path, MadeUpRun(states={}, classes=classes))
    for name, printed in paper.accuracies().items():
        labels, predicted = predictions_with_counts(printed.correct_by_expression, 500)
        path = store.trial_dir(f"{name}-s0") / "predictions.parquet"
        write_predictions(path, labels, predicted)
    page = write_report(store.root).read_text()
    with (store.report_dir / "results.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            assert row["accuracy"] == row["paper_accuracy"]
            assert row["accuracy_low"] == row["paper_accuracy_low"]
            stated = paper.table3_percent()[row["architecture"]]
            assert 100 * float(row["accuracy"]) == pytest.approx(stated, abs=0.0051)
    with (store.report_dir / "per_class.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            code = EXPRESSIONS.index(row["expression"])
            assert float(row["recall"]) == paper.recall()[row["architecture"]][code]
    assert "not comparable" not in page
    assert_every_cell_is_the_papers((store.report_dir / "report.md").read_text())


def markdown_table(text: str, title: str) -> list[list[str]]:
    """The cells of the table whose heading begins with `title`, without marks of the best."""
    lines = text.split(f"### {title}")[1].split("\n\n")[1].splitlines()[2:]
    rows = [line.strip("| ").split(" | ") for line in lines]
    return [[re.sub(r"[*★ ]", "", cell) for cell in row] for row in rows]


def assert_every_cell_is_the_papers(text: str) -> None:
    """Table 3 in the accuracy table, Figure 10 in the recall table, as printed."""
    by_title = {row.title: name for name, row in ARCHITECTURES.items()}
    accuracies = markdown_table(text, "Validation accuracy of the final epoch")
    recalls = markdown_table(text, "Recall, percent: of the images")
    assert len(accuracies) == len(recalls) == 14
    for title, accuracy, *_ in accuracies:
        assert accuracy == f"{paper.table3_percent()[by_title[title]]:.2f}"
    for title, *cells, macro in recalls:
        name = by_title[title]
        printed = paper.recall()[name]
        assert cells == [f"{100 * rate:.2f}:paper{100 * rate:.1f}" for rate in printed]
        # 500 images of each: the macro mean is the accuracy.
        assert macro.partition(":")[0] == f"{paper.table3_percent()[name]:.2f}"


@pytest.mark.slow
def test_the_papers_best_against_the_others_is_statsmodels():
    total = paper.VALIDATION_IMAGES
    counts = {name: printed.correct for name, printed in paper.accuracies().items()}
    best = max(counts, key=lambda name: counts[name])
    assert best == "densenet169"
    tests = against_best()
    assert {test.architecture for test in tests} == set(counts) - {best}
    expected = [
        proportions_ztest([counts[best], counts[test.architecture]], [total, total])[1]
        for test in tests
    ]
    adjusted = multipletests(expected, method="holm")[1]
    assert [test.p for test in tests] == pytest.approx(expected, abs=1e-9)
    assert [test.holm_p for test in tests] == pytest.approx(list(adjusted), abs=1e-9)
    assert {test.architecture for test in tests if test.is_different} == {
        "resnet101v2",
        "resnet152",
    }


def test_the_page_says_who_cannot_be_told_from_the_papers_best(tmp_path):
    write_report(write_run(tmp_path, MadeUpRun(trials=("mobilenet-s0",))).root)
    text = (tmp_path / "report" / "report.md").read_text()
    assert "11 of the other 13 architectures can't be told from it." in text
    assert "Its predictions are not published" in text


@pytest.mark.slow
def test_other_data_is_flagged_as_not_comparable(tmp_path):
    page = write_report(write_run(tmp_path).root).read_text()
    markdown = (tmp_path / "report" / "report.md").read_text()
    for text in (page, markdown):
        assert "AffectNet, not comparable" in text
        assert "are not comparable: this run" in text


def test_wilson_interval_of_nothing_is_nan_and_of_the_edges_stays_inside():
    nothing = wilson_interval(0, 0)
    assert np.isnan(nothing.low)
    assert np.isnan(nothing.high)
    assert wilson_interval(0, 10).low == 0
    assert wilson_interval(10, 10).high == 1


def test_an_interval_checks_itself_and_knows_overlap():
    with pytest.raises(ValueError, match="upside down"):
        Interval(0.6, 0.5)
    assert Interval(0.1, 0.3).overlaps(Interval(0.3, 0.4))
    assert not Interval(0.1, 0.3).overlaps(Interval(0.31, 0.4))


def test_an_expression_without_images_has_no_recall_and_one_never_predicted_no_hits():
    labels = np.array([0, 0, 1, 1, 2])
    predicted = np.array([0, 1, 1, 1, 1])
    scores = score(labels, predicted)
    never, absent = scores.classes[2], scores.classes[7]
    assert (never.support, never.predicted) == (1, 0)
    assert (never.precision, never.recall, never.f1) == (0, 0, 0)
    assert (absent.support, absent.predicted) == (0, 0)
    assert np.isnan([absent.precision, absent.recall, absent.f1]).all()
    # The macro figures are of the three that occur, one without a prediction as 0.
    assert scores.macro_recall == pytest.approx((0.5 + 1 + 0) / 3)
    assert scores.macro_precision == pytest.approx((1 + 0.5 + 0) / 3)


def test_predictions_that_do_not_pair_up_are_refused():
    with pytest.raises(ValueError, match="don't pair up"):
        score(np.zeros(3, dtype=int), np.zeros(2, dtype=int))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with probes, as Markdown."""
    store = write_run(tmp_path_factory.mktemp("run"), MadeUpRun(trials=("densenet121-s0",)))
    write_report(store.root)
    return (store.report_dir / "report.md").read_text()


@pytest.mark.parametrize("number", range(8, 22))  # Figure 7: in a report of multistage training
def test_every_figure_of_the_papers_results_is_found_by_name(page: str, number: int):
    ranges = re.findall(r"Figures (\d+) to (\d+)", page)
    within = any(int(low) <= number <= int(high) for low, high in ranges)
    assert within or re.search(rf"\bFigure {number}\b", page)


@pytest.mark.parametrize("number", range(1, 5))
def test_every_table_of_the_paper_is_found_by_name(page: str, number: int):
    assert re.search(rf"\bTable {number}\b", page)
