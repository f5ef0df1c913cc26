"""A run can be repeated from its own `run.yaml`, which says when the data are others."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import orchestrator
from datasets.errors import ConfigError
from orchestrator.cli import app
from orchestrator.config_sources import Repeated, load_config, repeated_run
from orchestrator.preflight import tell_differences
from orchestrator.run import RunRequest
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
    assert repeated_run(file) == Repeated(FINGERPRINT, None)
    changed = load_config(file=file, settings=["recipe.epochs=9"])
    assert changed.recipe.epochs == 9


def test_a_configuration_of_the_users_repeats_nothing(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("recipe: {epochs: 3}\n")
    assert repeated_run(file) is None
    assert repeated_run(None) is None


@pytest.mark.parametrize(
    ("repeats", "told"),
    [
        (None, ""),
        (Repeated(FINGERPRINT, None), ""),
        (Repeated("b" * 64, None), f"fingerprint {FINGERPRINT}, {'b' * 64} there"),
        (Repeated(FINGERPRINT, "jax"), "this repeats computed with jax, this one with tensorflow"),
    ],
)
def test_what_differs_is_told(repeats: Repeated | None, told: str):
    console = Console(file=io.StringIO(), record=True, width=300)
    here = document().model_copy(update={"keras_backend": "tensorflow"})
    tell_differences(here, repeats, console)
    text = console.export_text()
    assert told in text
    assert bool(told) == bool(text)


def test_another_preset_than_the_runs_is_refused(tmp_path: Path):
    RunStore(tmp_path).write(document())
    with pytest.raises(ConfigError, match="is of a run of preset demo: leave out --preset paper"):
        load_config(file=tmp_path / "run.yaml", preset="paper")
    assert load_config(file=tmp_path / "run.yaml", preset="demo").preset == "demo"


def test_the_command_and_the_function_hand_on_what_they_repeat(tmp_path: Path, monkeypatch):
    RunStore(tmp_path).write(document())
    seen: list[RunRequest] = []

    def carry_out(request: RunRequest, *_: object) -> int:
        seen.append(request)
        return 0

    monkeypatch.setattr("orchestrator.run.run_all", carry_out)
    monkeypatch.setattr("orchestrator.api.carry_out", carry_out)
    options = ["--config", str(tmp_path / "run.yaml"), "--run-dir", str(tmp_path / "again")]
    assert CliRunner().invoke(app, ["run-all", *options]).exit_code == 0
    orchestrator.run_all(tmp_path / "again", config=tmp_path / "run.yaml")
    assert [one.repeats for one in seen] == [Repeated(FINGERPRINT, None)] * 2


def test_the_command_takes_it(tmp_path: Path):
    RunStore(tmp_path).write(document(only=["mobilenet"]))
    options = ["--config", str(tmp_path / "run.yaml"), "--run-dir", str(tmp_path / "again")]
    done = CliRunner().invoke(app, ["run-all", *options, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "mobilenet-s0" in done.output
