"""What a user meets at the terminal when a request is wrong: exit code 2, one message, no start."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from datasets.prepare import synth
from orchestrator import cli, models
from orchestrator.cli import app
from orchestrator.plan import Resources
from orchestrator.run import Machines, refuse_unfit_place
from orchestrator.run_specs import trial_specs
from orchestrator.run_store import RunStore
from tests.made_up_runs import finish
from trainers.architectures import ARCHITECTURES


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "drawn"
    synth(path, train=16, validation=8, size=96, seed=0)
    return path


def refused(*words: object) -> str:
    """Run a command that must exit with 2 before any trial starts; returns what it printed."""

    def no_start(*_: object) -> None:
        raise AssertionError("training was started")

    done = command(words, no_start)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def command(words: Iterable[object], train: Callable[..., None]) -> Result:
    """Run a command that trains by what is given in the place of Ray."""
    machines = Machines(refuse_unfit_place, train)
    return CliRunner().invoke(app, [str(word) for word in words], obj=machines)


def begin(words: Iterable[object]) -> None:
    """Leave a run that was begun: its `run.yaml`, and trials that failed."""
    done = command(words, lambda _, store, document, *__: store.write(document))
    assert done.exit_code == 1, done.output


def test_options_of_synth_without_effect_are_refused(tmp_path: Path):
    dest = tmp_path / "faces"
    said = refused("data", "synth", dest, "--layout", "yolo", "--encoding", "png")
    assert "--encoding has no effect with --layout yolo" in said
    assert "--format has no effect" in refused(
        "data", "synth", dest, "--layout", "yolo", "--format", "tfrecord"
    )
    assert "--quirks" in refused("data", "synth", dest, "--no-quirks")
    assert not dest.exists()


def test_an_address_where_no_cluster_answers_is_told_at_once(shards: Path, tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    begin = time.monotonic()
    here = ("--data", shards, "--preset", "demo", "--run-dir", tmp_path / "run")
    assert address in refused("run-all", *here, "--address", address, "--dry-run")
    assert time.monotonic() - begin < 120  # Ray itself would try for minutes


def test_unknown_names_are_told_with_the_valid_ones(tmp_path: Path):
    here = ("--run-dir", tmp_path / "run")
    assert "'resnet51'; valid: resnet50" in refused("run-all", "--only", "resnet51", *here)
    assert "'modern'; valid: paper, demo" in refused("run-all", "--preset", "modern", *here)
    message = refused("run-all", "--set", "recipe.epoch=3", *here)
    assert "'recipe.epoch' (did you mean epochs?)" in message
    assert "--seeds 'a'" in refused("run-all", "--seeds", "a", *here)
    assert not (tmp_path / "run").exists()


def test_missing_data_says_how_to_make_some(tmp_path: Path):
    message = refused("run-all", "--data", tmp_path / "none", "--run-dir", tmp_path / "run")
    assert str(tmp_path / "none") in message
    assert "data prepare" in message
    (tmp_path / "empty").mkdir()
    message = refused("run-all", "--data", tmp_path / "empty", "--run-dir", tmp_path / "run")
    assert "manifest.json" in message


def test_a_flipped_byte_in_a_shard_is_named(tmp_path: Path):
    synth(tmp_path / "data", train=16, validation=8, size=96, seed=0)
    shard = next((tmp_path / "data" / "train").glob("*.arrow"))
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    words = ("--preset", "demo", "--data", tmp_path / "data", "--run-dir", tmp_path / "run")
    message = refused("run-all", *words)
    assert f"train/{shard.name}: sha256" in message
    assert f"train/{shard.name}" in refused("data", "verify", tmp_path / "data")


def test_a_training_split_too_small_to_hold_a_part_out_is_refused(tmp_path: Path):
    synth(tmp_path / "few", train=1, validation=8, size=96, seed=0)
    words = ("--preset", "demo", "--data", tmp_path / "few", "--run-dir", tmp_path / "run")
    said = refused("run-all", *words, "--set", "recipe.selection_fraction=0.1")
    assert "recipe.selection_fraction 0.1 needs two training images of some expression" in said


def test_an_image_size_that_does_not_fit_is_refused(shards: Path, tmp_path: Path):
    words = ("run-all", "--preset", "demo", "--data", shards, "--run-dir", tmp_path / "run")
    assert "inceptionv3 needs 75" in refused(*words, "--set", "recipe.image_size=64")
    message = refused(*words, "--set", "recipe.image_size=128")
    assert "96 pixels" in message
    assert "128" in message
    small = ("--set", "data.drawn.size=64", "--run-dir", tmp_path / "drawn")
    assert "data.drawn.size is 64" in refused("run-all", "--preset", "demo", *small)


@pytest.mark.slow
def test_a_run_directory_of_another_config_is_refused_with_both_values(
    shards: Path, tmp_path: Path
):
    words = ["run-all", "--preset", "demo", "--data", str(shards), "--run-dir", str(tmp_path)]
    begin(words)
    written = (tmp_path / "run.yaml").read_bytes()
    message = refused(*words, "--set", "recipe.epochs=77")
    epochs = RunStore(tmp_path).read().config["recipe"]["epochs"]
    assert f"recipe.epochs: {epochs} there, 77 asked for" in message
    assert (tmp_path / "run.yaml").read_bytes() == written


@pytest.mark.slow
def test_a_run_directory_on_other_data_is_refused(shards: Path, tmp_path: Path):
    synth(tmp_path / "other", train=16, validation=8, size=96, seed=1)
    words = ["run-all", "--preset", "demo", "--run-dir", str(tmp_path / "run"), "--data"]
    begin([*words, shards])
    assert "fingerprint" in refused(*words, tmp_path / "other")


def test_a_second_driver_is_refused_and_told_of_the_first(shards: Path, tmp_path: Path):
    from orchestrator.run_lock import run_lock
    from orchestrator.run_store import RunStore

    tmp_path.mkdir(exist_ok=True)
    with run_lock(RunStore(tmp_path), Console()):
        message = refused("run-all", "--preset", "demo", "--data", shards, "--run-dir", tmp_path)
    assert f"process {os.getpid()}" in message


def test_a_place_without_permission_is_named(shards: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    place = tmp_path / "file" / "run"
    message = refused("run-all", "--preset", "demo", "--data", shards, "--run-dir", place)
    assert str(place) in message
    assert "can't be written" in message


@pytest.mark.slow
def test_weights_that_are_missing_or_do_not_fit_are_named(shards: Path, tmp_path: Path):
    (tmp_path / "weights").mkdir()
    words = (
        *("run-all", "--preset", "demo", "--data", shards, "--run-dir", tmp_path / "run"),
        *("--only", "mobilenet", "--set", f"recipe.weights={tmp_path / 'weights'}"),
    )
    assert "no weights of mobilenet" in refused(*words)
    (tmp_path / "weights" / "mobilenet.weights.h5").write_bytes(b"junk")
    assert "mobilenet.weights.h5 don't fit mobilenet" in refused(*words)


def test_more_than_the_machine_has_is_refused_with_the_numbers(tmp_path: Path):
    message = refused(
        *("run-all", "--dry-run", "--run-dir", tmp_path / "run"),
        *("--set", "resources.cpus_per_trial=4096"),
    )
    assert "4,096 CPUs" in message
    message = refused(
        *("run-all", "--run-dir", tmp_path / "run"), *("--set", "resources.cpus_per_trial=4096")
    )
    assert "4,096 CPUs" in message
    assert not (tmp_path / "run").exists()


def test_an_unreadable_image_and_an_unknown_expression_are_listed(tmp_path: Path):
    source = tmp_path / "faces"
    source.mkdir()
    rows = ["image,label"]
    for place in range(40):
        name = f"{place}.png"
        Image.fromarray(np.full((40, 40, 3), place, np.uint8)).save(source / name)
        rows.append(f"{name},{['happy', 'SAD'][place % 2]}")
    (source / "bad.png").write_bytes(b"no image")
    rows += ["bad.png,happy", "0.png,gleeful"]
    (source / "labels.csv").write_text("\n".join(rows) + "\n")
    message = refused("data", "prepare", source, tmp_path / "shards", "--size", 40)
    assert "line 43: unknown label 'gleeful'" in message
    limit = ("--max-rejected", 0.03)  # one row is within it, two are not
    message = refused("data", "prepare", source, tmp_path / "shards", "--size", 40, *limit)
    assert "bad.png" in message
    done = CliRunner().invoke(
        app,
        [
            *("data", "prepare", str(source), str(tmp_path / "shards")),
            *("--size", "40", "--max-rejected", "0.1"),
        ],
    )
    assert done.exit_code == 0, done.output
    listed = (tmp_path / "shards" / "rejected.csv").read_text()
    assert "bad.png" in listed
    assert "gleeful" in listed


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path):
    words = ["run-all", "--dry-run", "--preset", "demo", "--run-dir", str(tmp_path / "run")]
    done = CliRunner().invoke(app, [*words, "--set", "estimate.price_per_hour=1.5"])
    assert done.exit_code == 0, done.output
    places = [done.output.index(f"{name}-s0") for name in ("resnet152", "resnet50", "mobilenet")]
    assert places == sorted(places)
    assert "USD" in done.output
    assert "data: drawn faces, 480 training and 120 validation images" in done.output
    assert f"run directory: {tmp_path / 'run'}, new" in done.output
    assert all(f"{name}-s0" in done.output for name in ARCHITECTURES)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_dry_run_names_the_data_and_how_far_the_run_is(shards: Path, tmp_path: Path):
    words = ["run-all", "--data", str(shards), "--run-dir", str(tmp_path / "run")]
    words += ["--preset", "demo", "--only", "mobilenet"]
    begin(words)
    done = CliRunner().invoke(app, [*words, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert f"data: {shards}, 16 training and 8 validation images" in done.output
    assert f"run directory: {tmp_path / 'run'}, 0 of 1 trial done" in done.output
    assert "1 trial, in the order of" in done.output
    finish(RunStore(tmp_path / "run"), "mobilenet-s0")
    done = CliRunner().invoke(app, [*words, "--dry-run"])
    assert "0 trials, in the order of" in done.output
    assert "estimated 0 s in all" in done.output


def test_more_than_the_machine_has_is_refused_before_anything_is_written(tmp_path: Path):
    words = ("run-all", "--set", "resources.cpus_per_trial=999", "--run-dir", tmp_path / "run")
    assert "a trial asks for 999 CPUs" in refused(*words)
    assert not (tmp_path / "run").exists()


def test_report_and_status_of_no_run_say_so(tmp_path: Path):
    assert "run.yaml" in refused("status", tmp_path)
    assert str(tmp_path) in refused("report", tmp_path)


@pytest.mark.parametrize(("backend", "begin"), [("jax", "KERAS_BACKEND=jax "), ("tensorflow", "")])
def test_the_hint_how_to_continue_keeps_the_runs_backend(monkeypatch, backend: str, begin: str):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr("sys.argv", ["/no/where/fer-orch", "run-all", "--preset", "demo"])
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert cli._command() == f"{begin}fer-orch run-all --preset demo"


@pytest.mark.slow
def test_models_json_counts_the_papers_table_2(monkeypatch: pytest.MonkeyPatch):
    """All fourteen: `test_architectures`."""
    two = {name: ARCHITECTURES[name] for name in ("mobilenet", "mobilenetv2")}
    monkeypatch.setattr(models, "ARCHITECTURES", two)
    done = CliRunner().invoke(app, ["models", "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [(row["id"], row["parameters"]) for row in rows] == [
        ("mobilenet", 4_253_864),
        ("mobilenetv2", 3_538_984),
    ]


def test_the_list_of_commands_and_options_changes_on_purpose_only():
    import typer.main

    group = typer.main.get_command(app)
    options = {
        name: sorted(option for parameter in command.params for option in parameter.opts)
        for name, command in group.commands.items()
        if not hasattr(command, "commands")
    }
    assert options == {
        "run-all": sorted(
            [
                *("--config", "--preset", "--data", "--run-dir", "--only", "--seeds"),
                *("--probes", "--set", "--address", "--dry-run"),
            ]
        ),
        "report": sorted(["runs", "--out", "--allow-different-data"]),
        "status": ["--address", "--json", "--watch", "run"],
        "stop": ["--address", "run"],
        "models": ["--json"],
        "check": ["--address", "--config", "--data", "--run-dir", "--set"],
        "multistage": sorted(
            [
                *("--architecture", "--stages", "--config", "--preset", "--data", "--run-dir"),
                *("--seed", "--set", "--address"),
            ]
        ),
        "predict": sorted(
            ["model", "images", "--architecture", "--seed", "--top", "--json"],
        ),
        "watch-preemption": sorted(
            ["--cloud", "--address", "--interval", "--rebalance", "--metadata-url", "--node-id"]
        ),
    }
    data = ["audit", "inspect", "prepare", "synth", "verify"]
    assert sorted(group.commands["data"].commands) == data


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--stages", "3"), "at least two stages"),
        (("--stages", "3,0"), "at least two stages"),
        (("--stages", "3;2"), "whole numbers"),
        (("--set", "recipe.epochs=9"), "the sum of --stages"),
        (("--architecture", "vgg16"), "vgg16"),
    ],
)
def test_a_multistage_training_that_makes_no_sense_is_refused(tmp_path: Path, words, said):
    given = ("--architecture", "mobilenet", "--preset", "demo", "--run-dir", tmp_path / "run")
    assert said in refused("multistage", *given, *words)
    assert not (tmp_path / "run").exists()


def test_a_watch_without_a_cloud_is_refused():
    said = refused("watch-preemption", "--metadata-url", "http://127.0.0.1:9")
    assert "no metadata service of aws, gcp, azure answers" in said


def test_a_dry_run_refuses_what_the_run_would(tmp_path: Path):
    assert (
        not CliRunner()
        .invoke(
            app,
            [
                "data",
                "synth",
                str(tmp_path / "small"),
                "--train",
                "16",
                "--validation",
                "8",
                "--size",
                "32",
            ],
        )
        .exit_code
    )
    message = refused("run-all", "--data", tmp_path / "small", "--dry-run")
    assert "hold images of 32 pixels" in message


def test_where_a_result_can_not_be_written_is_told_before_the_work(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for words in (("audit", "--csv"), ("audit", "--sheet"), ("inspect", "--sheet")):
        path = tmp_path / "file" / "x.png"
        message = refused("data", words[0], tmp_path / "none", words[1], path)
        assert f"{words[1]} {path} can't be written" in message


def write_probes(folder: Path, *poses: str) -> Path:
    folder.mkdir()
    for number, pose in enumerate(poses):
        Image.new("RGB", (40, 40), (40 * number, 90, 0)).save(folder / f"{pose}.png")
    return folder


POSES = ("front", "occluded", "right", "left")


def test_probes_that_can_not_be_used_are_told_before_anything_starts(shards: Path, tmp_path: Path):
    words = ("run-all", "--preset", "demo", "--data", shards, "--run-dir", tmp_path / "run")
    assert f"probes {tmp_path / 'none'}" in refused(*words, "--probes", tmp_path / "none")
    folder = write_probes(tmp_path / "mine", *POSES[:3])
    assert "no picture is named 'left' (like left.jpg)" in refused(*words, "--probes", folder)
    assert "no picture is named 'left'" in refused(*words, "--probes", folder, "--dry-run")
    (folder / "left.jpg").write_bytes(b"\xff\xd8 no more")
    assert f"probe {folder / 'left.jpg'}" in refused(*words, "--probes", folder)
    assert "probes_label is 'bored'; valid: Neutral" in refused(
        *words, "--set", "probes_label=bored"
    )
    assert not (tmp_path / "run" / "run.yaml").exists()


@pytest.mark.slow
def test_the_users_probes_are_kept_with_the_run_and_may_not_change_in_it(
    shards: Path, tmp_path: Path
):
    folder = write_probes(tmp_path / "mine", *POSES)
    (folder / "notes.txt").write_text("mine")
    words = ["run-all", "--preset", "demo", "--data", str(shards), "--probes", str(folder)]
    words += ["--run-dir", str(tmp_path / "run"), "--set", "probes_label=fear"]
    (tmp_path / "run" / "probes").mkdir(parents=True)
    (tmp_path / "run" / "probes" / "front.gif").write_bytes(b"of a request that was no run")
    specs = []

    def keep(request, store, document, names, _: object) -> None:
        store.write(document)
        specs.extend(trial_specs(request.config, store, names, Resources(1, 0, 1), None))

    command(words, keep)
    command(words, keep)  # the same again
    kept = tmp_path / "run" / "probes"
    assert sorted(path.name for path in kept.iterdir()) == sorted(f"{one}.png" for one in POSES)
    assert len(specs) == 2 * len(ARCHITECTURES)
    assert {(spec.probes, spec.probes_label) for spec in specs} == {(kept, 4)}
    Image.new("RGB", (40, 40)).save(folder / "left.png")
    assert "other probes: left.png is not as in" in refused(*words)
    assert "probes_label: 'Fear' there, 'Happiness' asked for" in refused(*words[:-2])


@pytest.mark.slow
def test_a_run_goes_on_with_its_own_pictures_where_the_folder_has_moved_or_gone(
    shards: Path, tmp_path: Path
):
    folder = write_probes(tmp_path / "mine", *POSES)
    words = ["run-all", "--preset", "demo", "--data", str(shards)]
    words += ["--run-dir", str(tmp_path / "run"), "--probes"]
    starts = []

    def start(request, store, document, *_: object) -> None:
        starts.append(document)
        store.write(document)

    def goes_on(*more: object) -> bool:
        before = len(starts)
        command([*words, *more], start)
        return len(starts) == before + 1

    assert goes_on(folder)
    moved = folder.rename(tmp_path / "moved")
    assert goes_on(folder)  # the same command
    assert goes_on(moved)
    assert CliRunner().invoke(app, [*words, str(folder), "--dry-run"]).exit_code == 0
    (moved / "front.png").unlink()
    assert goes_on(moved)
    (moved / "front.jpg").write_bytes(b"another")
    assert f"front.jpg is not as in {moved}" in refused(*words, moved)
    assert f"the run's are in {tmp_path / 'run' / 'probes'}" in refused(*words, moved, "--dry-run")
    (tmp_path / "run" / "probes" / "left.png").unlink()
    assert f"probes {folder}: No such file" in refused(*words, folder)  # no copy to go on with
    (moved / "front.jpg").unlink()
    assert "no picture is named 'front'" in refused(*words, moved)
