"""`run-all` as a user runs it: through Ray, to its end, and again; what it leaves behind."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from datasets.errors import ConfigError
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
    assert [path.name for path in (folder / "checkpoints").glob("e*")] == [
        "e000002-s000000000-a0001"
    ]
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


def test_ray_knows_every_epoch_and_has_a_checkpoint_that_plain_code_restores(
    mobilenet: tuple[Run, str],
):
    """By Ray's own results, and Ray's own `Checkpoint`."""
    import keras
    import numpy as np
    from ray import train, tune

    run, _ = mobilenet
    folder = run.trial(TRIAL)
    (heard,) = tune.ResultGrid(tune.ExperimentAnalysis(str(run.folder / "tune")))
    assert heard.metrics_dataframe is not None
    with (folder / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for name in rows[0]:
        assert list(heard.metrics_dataframe[name]) == [float(row[name]) for row in rows], name
    assert heard.metrics is not None
    assert heard.metrics["macro_f1"] == run.result(TRIAL).macro_f1
    assert list((run.folder / "tune" / TRIAL).glob("events.out.tfevents*"))

    trained = train.Result.from_path(str(folder / "checkpoints"))
    assert trained.checkpoint is not None
    assert trained.metrics is not None
    assert heard.metrics["checkpoint_path"] == trained.checkpoint.path
    assert trained.metrics["val_accuracy"] == float(rows[-1]["val_accuracy"])
    weights = keras.models.load_model(folder / "model.keras").get_weights()
    with trained.checkpoint.as_directory() as place:
        state = np.load(Path(place) / "state.npz", allow_pickle=False)
        stored = [state[name] for name in sorted(state.files) if name.startswith("model/")]
    assert sorted(one.tobytes() for one in stored) == sorted(one.tobytes() for one in weights)


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


def test_the_same_call_from_python_trains_nothing_and_has_the_checkpoint(
    mobilenet: tuple[Run, str],
):
    import orchestrator

    run, _ = mobilenet
    settings = yaml.safe_load("\n".join(one.replace("=", ": ") for one in run.settings))
    before = files(run.folder / "trials")
    done = orchestrator.run_all(
        run.folder, preset="demo", only=["mobilenet"], settings=settings, console=Console()
    )
    assert (done.exit_code, done.grid) == (0, None)
    assert done.report == run.folder / "report" / "index.html"
    checkpoint = done.checkpoint(TRIAL)
    assert checkpoint is not None
    with checkpoint.as_directory() as folder:
        assert (Path(folder) / "state.npz").is_file()
    with pytest.raises(ConfigError, match="has no trial 'resnet': mobilenet-s0"):
        done.checkpoint("resnet")
    assert files(run.folder / "trials") == before
