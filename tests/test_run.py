"""`run-all` as a user runs it: through Ray, to its end, and again; what it leaves behind."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.whole_runs import ONE, TRIALS, Run, files

pytestmark = pytest.mark.slow

TRIAL = TRIALS[0]


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A run of the true MobileNet by the program that users have, and what it printed."""
    run = Run(tmp_path_factory.mktemp("run") / "mobilenet", program="orchestrator")
    return run, run.finish(*ONE)


def test_a_run_leaves_the_contracts_files(mobilenet: tuple[Run, str]):
    run, _ = mobilenet
    folder = run.trial(TRIAL)
    for name in ("history.csv", "predictions.parquet", "model.keras", "log.txt"):
        assert (folder / name).stat().st_size > 0
    assert list((folder / "tensorboard").glob("events*"))
    assert not list((folder / "checkpoints").glob("*"))
    with (folder / "history.csv").open() as stream:
        epochs = list(csv.DictReader(stream))
    assert [row["epoch"] for row in epochs] == ["1", "2"]
    result = run.result(TRIAL)
    assert result.accuracy == float(epochs[-1]["val_accuracy"])
    assert result.accuracy * 24 == pytest.approx(round(result.accuracy * 24))  # of 24 images
    with (run.folder / "report" / "results.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert (row["status"], float(row["accuracy"])) == ("finished", result.accuracy)
    assert (run.folder / "report" / "index.html").stat().st_size > 10_000
    provenance = json.loads((run.folder / "provenance.json").read_text())
    assert provenance["versions"]["ray"].startswith("2.60")
    assert not (run.folder / ".ray").exists()


def test_output_without_a_terminal_is_plain_lines(mobilenet: tuple[Run, str]):
    run, output = mobilenet
    assert "starting Ray" in output
    assert "\x1b" not in output
    assert "raylet" not in output
    assert f"report: {run.folder / 'report' / 'index.html'}" in output


def test_the_same_command_again_trains_nothing_and_changes_no_file(mobilenet: tuple[Run, str]):
    run, _ = mobilenet
    before = files(run.folder)
    output = run.finish(*ONE)
    assert "starting Ray" not in output
    assert f"report: {run.folder / 'report' / 'index.html'}" in output
    assert files(run.folder) == before


def test_plain_keras_predicts_what_the_run_wrote(mobilenet: tuple[Run, str], tmp_path: Path):
    """The saved model takes raw images and needs none of our packages."""
    import numpy as np
    import pyarrow.parquet as pq

    from datasets.cache import stage

    run, _ = mobilenet
    trial = run.trial(TRIAL)
    split = stage(run.folder / "data", tmp_path / "cache", 32).split("validation")
    stored = pq.read_table(trial / "predictions.parquet")
    assert stored["image_id"].to_pylist() == list(split.image_ids)
    np.savez(
        tmp_path / "validation.npz",
        images=split.gather(np.arange(len(split))),
        probabilities=np.array(stored["probabilities"].to_pylist(), np.float32),
        predicted=stored["predicted"].to_numpy(),
    )
    script = (
        "import sys, keras, numpy as np\n"
        "stored = np.load('validation.npz')\n"
        f"found = keras.models.load_model({str(trial / 'model.keras')!r})"
        ".predict(stored['images'], verbose=0)\n"
        "assert not {'trainers', 'datasets', 'orchestrator'} & set(sys.modules)\n"
        "np.testing.assert_allclose(found, stored['probabilities'], atol=1e-5)\n"
        "assert (found.argmax(axis=1) == stored['predicted']).all()\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
