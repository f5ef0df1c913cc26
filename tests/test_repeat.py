"""A run can be repeated from its own `run.yaml`, which says when the data are others."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.config_sources import load_config, repeated_fingerprint
from orchestrator.preflight import tell_other_data
from orchestrator.run_store import RunData, RunDocument, RunStore

FINGERPRINT = "a" * 64


def document(fingerprint: str = FINGERPRINT, **options: object) -> RunDocument:
    config = load_config(preset="demo", **options)  # type: ignore[arg-type]
    data = RunData(
        shards="/data/shards",
        fingerprint=fingerprint,
        image_size=64,
        encoding="jpeg",
        classes={"train": {"Neutral": 3}, "validation": {"Neutral": 2}},
    )
    return RunDocument(name="first", trials=[], config=config.model_dump(mode="json"), data=data)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"only": ["mobilenet", "xception"], "seeds": [3, 4]},
        {"settings": ["recipe.epochs=7", "resources.max_failures=2", "recipe.learning_rate=0.5"]},
        {"shards": "/data/shards"},
    ],
)
def test_a_runs_own_file_asks_for_the_same_run(tmp_path: Path, options: dict[str, object]):
    store = RunStore(tmp_path)
    store.write(document(**options))
    file = tmp_path / "run.yaml"
    assert load_config(file=file) == load_config(preset="demo", **options)  # type: ignore[arg-type]
    assert repeated_fingerprint(file) == FINGERPRINT
    changed = load_config(file=file, settings=["recipe.epochs=9"])
    assert changed.recipe.epochs == 9


def test_a_configuration_of_the_users_repeats_nothing(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("recipe: {epochs: 3}\n")
    assert repeated_fingerprint(file) is None
    assert repeated_fingerprint(None) is None


@pytest.mark.parametrize(
    ("repeats", "told"), [(None, False), (FINGERPRINT, False), ("b" * 64, True)]
)
def test_other_data_are_told(repeats: str | None, told: bool):
    console = Console(file=io.StringIO(), record=True, width=300)
    tell_other_data(document(), repeats, console)
    text = console.export_text()
    assert bool(text) == told
    if told:
        assert f"fingerprint {FINGERPRINT}, {repeats} there" in text


def test_the_command_takes_it(tmp_path: Path):
    RunStore(tmp_path).write(document(only=["mobilenet"]))
    options = ["--config", str(tmp_path / "run.yaml"), "--run-dir", str(tmp_path / "again")]
    done = CliRunner().invoke(app, ["run-all", *options, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "mobilenet-s0" in done.output
