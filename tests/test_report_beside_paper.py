"""The paper's tables beside ours: every printed number, where it means something."""

from pathlib import Path

import pytest

from datasets.labels import EXPRESSIONS
from orchestrator.report import paper
from orchestrator.report.blocks import Table
from orchestrator.report.collect import RunReport, collect
from orchestrator.report.formats import fixed, percent
from orchestrator.report.page import build_page
from orchestrator.report.sections.paper_tables import (
    bests_table,
    counts_table,
    expression_tables,
    printed_section,
    sizes_section,
)
from tests.made_up_predictions import predictions_with_counts, write_predictions
from tests.made_up_runs import MadeUpRun, write_run
from trainers.architectures import ARCHITECTURES

AFFECTNET = {
    "train": {
        name: count - paper.IMAGES_PER_EXPRESSION
        for name, count in zip(EXPRESSIONS, paper.class_counts(), strict=True)
    },
    "validation": dict.fromkeys(EXPRESSIONS, paper.IMAGES_PER_EXPRESSION),
}


@pytest.fixture(scope="module")
def as_printed(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    """A run on the paper's class counts whose predictions have the counts of its Figure 12."""
    run = MadeUpRun(states={}, classes=AFFECTNET)
    store = write_run(tmp_path_factory.mktemp("printed"), run)
    for name, printed in paper.accuracies().items():
        labels, predicted = predictions_with_counts(printed.correct_by_expression, 500)
        write_predictions(store.trial_dir(f"{name}-s0") / "predictions.parquet", labels, predicted)
    return collect(store.root)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    return collect(write_run(tmp_path_factory.mktemp("elsewhere")).root)


def by_title(table: Table) -> dict[str, tuple]:
    return {row[0].text: row[1:] for row in table.rows}


def test_every_embedded_table_has_its_architectures():
    ids = set(ARCHITECTURES)
    densenets = {name for name in ids if name.startswith("densenet")}
    assert set(paper.sizes()) == set(paper.pose_predictions()) == ids
    assert set(paper.average("recall")) == set(paper.average("precision")) == ids
    assert set(paper.best_epochs()) == ids - densenets


def test_table_2_is_the_1000_class_count_of_keras():
    for name, row in ARCHITECTURES.items():
        assert paper.sizes()[name] == paper.PaperSize(row.parameters_1000, row.size_mb_paper)


def test_table_4_by_pose():
    poses = paper.pose_predictions()
    assert poses["xception"] == {"front": 6, "occluded": 1, "right": 6, "left": 1}
    assert paper.POSE_LABEL == 1
    assert {row["left"] for row in poses.values()} == {1}
    right = {name for name, row in poses.items() if row["right"] == paper.POSE_LABEL}
    assert right == {"densenet121", "densenet201", "resnet50", "resnet152v2"}


def test_the_text_of_section_6():
    assert paper.best_epochs()["xception"] == paper.PaperBests(0.95, 0.13, 0.51, 1.6)
    assert paper.best_epochs()["mobilenet"] == paper.PaperBests(0.88, 0.3, 0.508, 1.8)
    assert paper.multistage()["staged"] == paper.PaperBests(0.815, 0.505, 0.497, 1.46)


def test_counts_are_figure_12_and_the_best_of_each_column_is_marked(as_printed):
    table = counts_table(as_printed)
    for name, cells in by_title(table).items():
        printed = paper.accuracies()[name.lower()]
        assert [cell.sort for cell in cells] == [*printed.correct_by_expression, printed.correct]
    for column in range(1, 10):
        values = {row[column].sort for row in table.rows}
        marked = {row[column].sort for row in table.rows if row[column].best}
        assert marked == {max(values)}
    # The paper's own highlights: MobileNet for anger, NASNetMobile for fear, Xception contempt.
    marked = {row[0].text: [cell.best for cell in row] for row in table.rows}
    assert marked["MobileNet"][7]
    assert marked["NASNetMobile"][5]
    assert marked["Xception"][8]


def test_on_the_papers_data_its_figures_stand_in_the_same_cells(as_printed):
    recall, precision, counts = expression_tables(as_printed)
    for title, cells in by_title(recall).items():
        # Ours has two decimals, the paper's one: the same number, as the predictions are its own.
        for cell in cells[:8]:
            assert cell.detail == f"paper {float(cell.text):.1f}"
        assert cells[8].detail == f"paper {fixed(100 * paper.average('recall')[title.lower()], 1)}"
    for title, cells in by_title(counts).items():
        assert [cell.detail for cell in cells[:8]] == [f"paper {cell.text}" for cell in cells[:8]]
        assert cells[8].detail == f"paper {fixed(cells[8].sort, 0)}", title
    printed = by_title(precision)["MobileNetV2"]
    assert printed[7].detail == "paper 100.0"
    assert printed[8].detail == "paper 63.2"
    assert printed_section(as_printed) is None


def test_on_other_data_they_stand_apart_as_printed(elsewhere):
    for table in expression_tables(elsewhere):
        assert not any(cell.detail for row in table.rows for cell in row)
    section = printed_section(elsewhere)
    assert "AffectNet" in section.paragraphs[0]
    recall, precision, counts = section.tables
    assert [len(table.rows) for table in section.tables] == [14] * 3
    assert by_title(recall)["DenseNet121"][0].text == "73.8"
    assert by_title(precision)["MobileNetV2"][7].text == "100.0"
    assert by_title(counts)["DenseNet169"][8].text == "2,095"
    assert by_title(counts)["DenseNet169"][8].best


def test_sizes_are_table_2_beside_the_models_trained(elsewhere):
    (table,) = sizes_section(elsewhere).tables
    rows = by_title(table)
    assert len(rows) == 14
    for name, row in ARCHITECTURES.items():
        printed, size, keras, trained, _ = rows[row.title]
        assert printed.text == keras.text == f"{row.parameters_1000:,}"
        assert size.text == str(row.size_mb_paper)
        results = [trial.result for trial in elsewhere.finished]
        own = [result.parameters for result in results if result.architecture == name]
        assert trained.text == (f"{own[0]:,}" if own else "–")


def test_the_best_epochs_stand_beside_the_papers_text(as_printed, elsewhere):
    rows = by_title(bests_table(as_printed))
    for trial in as_printed.trials:
        best = max(trial.history, key=lambda row: row.accuracy)
        cells = rows[trial.title]
        assert (cells[0].text, cells[2].sort) == (percent(best.accuracy), best.loss)
        assert cells[4].sort == max(row.val_accuracy for row in trial.history)
    assert [cell.text for cell in rows["ResNet101"][1::2]] == ["94.40", "1.550", "50.00", "1.500"]
    assert [cell.text for cell in rows["DenseNet121"][1::2]] == ["–"] * 4
    units = [header.unit for header in bests_table(elsewhere).headers[2::2]]
    assert all(unit.endswith("paper, not comparable") for unit in units)
    assert [header.unit for header in bests_table(as_printed).headers[2:4]] == ["%, paper", "nats"]


@pytest.mark.slow
def test_the_misprinted_column_is_pointed_out(as_printed):
    how = next(section for section in build_page(as_printed).sections if section.id == "how")
    assert any(
        "is in another order" in bullet and "resnet152v2" in bullet for bullet in how.bullets
    )


def test_the_readme_of_the_data_names_every_file():
    folder = Path(paper.__file__).parent / "data"
    said = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"`{path.name}`" in said for path in folder.glob("*.csv"))
