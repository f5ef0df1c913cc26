"""The paper's Figure 7 as a command, and what its report says of two trainings."""

import json
import math
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.report import write_report
from orchestrator.report.sections.multistage import (
    RESULT_FILE,
    MultistageResult,
    multistage_section,
    write_multistage_report,
)
from tests.made_up_runs import MadeUpRun, write_run
from tests.trials_here import HERE
from tests.whole_runs import files

HEADER = "epoch,loss,accuracy,val_loss,val_accuracy\n"
SAME = {"loss": 0.0, "accuracy": 0.0, "val_loss": 0.0, "val_accuracy": 0.0}


def write_experiment(root: Path, **changes: object) -> None:
    """A finished experiment of two epochs, made up."""
    for kind, accuracy in (("continuous", 0.5), ("staged", changes.pop("accuracy", 0.5))):
        folder = root / kind / "trials" / "mobilenetv2-s0"
        folder.mkdir(parents=True)
        rows = f"1,2.0,0.25,2.1,0.2\n2,1.5,0.5,1.7,{accuracy}\n"
        (folder / "history.csv").write_text(HEADER + rows)
    result = {
        "architecture": "mobilenetv2",
        "seed": 0,
        "stages": [1, 1],
        "deterministic": True,
        "largest_difference": SAME,
        "weights_difference": 0.0,
        "same_predictions": True,
    }
    text = MultistageResult.model_validate(result | changes).model_dump_json()
    (root / RESULT_FILE).write_text(text)


def test_an_identical_pair_is_told_as_identical(tmp_path: Path):
    write_experiment(tmp_path)
    page = write_multistage_report(tmp_path).read_text()
    assert "curves, weights and predictions are identical" in page
    assert "MobileNetV2, 2 epochs in one go and in stages of 1 and 1" in page
    assert 'href="../multistage.json"' in page
    assert "results.csv" not in page


@pytest.mark.parametrize(
    "change",
    [
        {"largest_difference": SAME | {"val_accuracy": 0.25}, "accuracy": 0.75},
        {"weights_difference": 1e-6},
        {"same_predictions": False},
    ],
)
def test_any_difference_is_told(tmp_path: Path, change: dict[str, object]):
    write_experiment(tmp_path, **change)
    page = write_multistage_report(tmp_path).read_text()
    assert "predictions are identical" not in page
    assert "the curves differ by at most" in page


def test_the_curves_of_both_are_in_the_figure(tmp_path: Path):
    write_experiment(tmp_path, accuracy=0.75, largest_difference=SAME | {"val_accuracy": 0.25})
    section = multistage_section(tmp_path)
    assert section is not None
    figure = json.loads(section.figures[0].plotly_json)
    curves = {
        (trace["meta"]["trial"], trace["meta"]["stage"]): trace["y"] for trace in figure["data"]
    }
    assert curves["continuous", "validation"] == [20.0, 50.0]
    assert curves["staged", "validation"] == [20.0, 75.0]
    assert curves["staged", "training"] == [25.0, 50.0]
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [1.5]


@pytest.mark.slow
def test_a_runs_report_holds_the_experiment_beside_it(tmp_path: Path):
    store = write_run(tmp_path, MadeUpRun(trials=("densenet121-s0", "mobilenetv2-s0")))
    assert "Figure 7" not in write_report(store.root).read_text()
    write_experiment(store.root / "multistage")
    assert (
        "Training in one go and in stages (Figure 7 of the paper)"
        in write_report(store.root).read_text()
    )


def test_a_figure_that_is_not_a_number_is_read_back(tmp_path: Path):
    write_experiment(tmp_path, largest_difference=SAME | {"val_loss": float("nan")})
    assert "differ by at most" in write_multistage_report(tmp_path).read_text()


def test_two_equal_figures_that_are_no_numbers_do_not_differ(tmp_path: Path):
    from orchestrator.multistage import _curve_differences

    for name, last in (("one", "nan"), ("same", "nan"), ("other", "1.5")):
        rows = f"1,2.0,0.25,2.1,0.2\n2,1.5,0.5,{last},0.5\n"
        (tmp_path / name).write_text(HEADER + rows)
    assert _curve_differences(tmp_path / "one", tmp_path / "same") == SAME
    found = _curve_differences(tmp_path / "one", tmp_path / "other")
    assert math.isnan(found["val_loss"])


def test_curves_of_another_length_than_the_stages_are_not_shown(tmp_path: Path):
    write_experiment(tmp_path, stages=[2, 1])
    assert multistage_section(tmp_path) is None


@pytest.mark.slow
def test_in_stages_and_in_one_go_end_with_the_same_bits(tmp_path: Path):
    """Each stage in processes of its own. That Ray ends one and goes on: `test_packing`."""

    def multistage(stages: str) -> Result:
        words = ["multistage", "--architecture", "mobilenet", "--stages", stages]
        words += ["--preset", "demo", "--run-dir", str(tmp_path)]
        for setting in ("recipe.image_size=32", "data.drawn.train=48", "data.drawn.validation=16"):
            words += ["--set", setting]
        return CliRunner().invoke(app, words, obj=HERE)

    done = multistage("1,2")
    assert done.exit_code == 0, done.output
    assert "stage 1 of 2: epochs 1 to 1" in done.stdout
    assert "stage 2 of 2: epochs 2 to 3" in done.stdout
    for column in SAME:
        assert f"largest difference of {column}: 0\n" in done.stdout
    assert "largest difference of a weight: 0; predictions equal" in done.stdout
    result = MultistageResult.model_validate_json(
        (tmp_path / "multistage" / RESULT_FILE).read_text()
    )
    assert result.is_identical
    trial = tmp_path / "multistage/staged/trials/mobilenet-s0"
    assert json.loads((trial / "result.json").read_text())["restarts_by_cause"] == {"stage_over": 1}
    before = files(trial)
    assert multistage("1,2").exit_code == 0
    assert files(trial) == before
    other = multistage("2,1")
    assert other.exit_code == 2
    assert "stages of [1, 2], [2, 1] is asked for" in " ".join(other.output.split())
