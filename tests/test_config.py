from pathlib import Path

import pytest

from datasets.errors import ConfigError
from orchestrator.config_differences import differences
from orchestrator.config_sources import load_config
from trainers.architectures import ARCHITECTURES
from trainers.recipe import RECIPES, config_hash


def test_presets_are_the_papers_and_the_demos():
    paper = load_config(preset="paper")
    assert paper.recipe.image_size == 224
    assert paper.recipe.batch_size == 16
    assert paper.recipe.epochs == 100
    assert paper.recipe.learning_rate == 0.001
    assert paper.recipe.weights == "imagenet"
    assert paper.recipe.batch_norm_momentum is None
    assert paper.architectures == tuple(ARCHITECTURES)
    demo = load_config(preset="demo")
    assert demo.recipe.weights == "none"
    assert demo.recipe.deterministic


def test_without_a_preset_data_means_the_paper():
    assert load_config().preset == "demo"
    assert load_config(shards="some/shards").preset == "paper"
    assert load_config(shards="some/shards", preset="demo").preset == "demo"


def test_flags_go_over_the_file_and_settings_over_all(tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text("preset: demo\nseeds: [4]\nrecipe: {epochs: 7, batch_size: 8}\n")
    config = load_config(
        file=file,
        seeds=[1, 2],
        only=["xception"],
        settings=["recipe.epochs=9", "data.drawn.seed=3"],
    )
    assert config.seeds == (1, 2)
    assert config.architectures == ("xception",)
    assert (config.recipe.epochs, config.recipe.batch_size) == (9, 8)
    assert config.recipe.image_size == load_config(preset="demo").recipe.image_size
    assert config.data.drawn.seed == 3


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"preset": "modern"}, ["'modern'", "demo", "paper"]),
        ({"only": ["resnet51"]}, ["'resnet51'", "resnet50", "xception"]),
        ({"only": []}, ["architectures", "empty"]),
        ({"only": ["xception", "xception"]}, ["twice"]),
        ({"seeds": [-1]}, ["-1"]),
        ({"settings": ["recipe.epoch=3"]}, ["recipe.epoch", "did you mean epochs", "batch_size"]),
        ({"settings": ["recpie.epochs=3"]}, ["recpie", "did you mean recipe", "resources"]),
        ({"settings": ["recipe.epochs=0"]}, ["recipe.epochs", "0", "greater than or equal to 1"]),
        ({"settings": ["recipe.epochs=many"]}, ["recipe.epochs", "many"]),
        ({"settings": ["recipe.epochs"]}, ["key=value"]),
        ({"settings": ["preset.x=1"]}, ["preset", "paper, demo"]),
        ({"settings": ["seeds.x=1"], "seeds": [1]}, ["seeds.x", "not a section"]),
        ({"settings": ["recipe.image_size=[1"]}, ["YAML", "line 1, column 3"]),
        ({"file": Path("no-such.yaml")}, ["no-such.yaml"]),
    ],
)
def test_a_wrong_request_names_the_thing_and_the_way_out(request_, expected):
    with pytest.raises(ConfigError) as caught:
        load_config(**request_)
    for part in expected:
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2]", "just words", "a: [", "\x00"])
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str):
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        load_config(file=file)


def test_a_wrong_key_in_a_file_names_the_file(tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text("recipe: {epochz: 3}")
    with pytest.raises(ConfigError, match=r"run\.yaml .*'recipe\.epochz' \(did you mean epochs"):
        load_config(file=file)


def test_differences_print_both_sides_and_pass_over_what_changes_no_result():
    before = load_config(preset="demo").model_dump(mode="json")
    now = load_config(
        preset="demo", settings=["recipe.epochs=5", "resources.max_concurrent=1"]
    ).model_dump(mode="json")
    epochs = before["recipe"]["epochs"]
    assert differences(before, now) == [f"recipe.epochs: {epochs} there, 5 asked for"]
    assert differences(before, before) == []


def test_a_run_of_before_a_key_existed_had_its_default():
    now = load_config(preset="demo").model_dump(mode="json")
    before = {key: value for key, value in now.items() if key not in ("probes", "probes_label")}
    assert differences(before, now) == []
    other = load_config(preset="demo", probes="faces").model_dump(mode="json")
    assert differences(before, other) == [
        f"probes: None there, {str(Path('faces').absolute())!r} asked for"
    ]


def test_the_folder_of_the_probes_may_move_but_their_label_may_not_change():
    before = load_config(preset="demo", probes="faces").model_dump(mode="json")
    moved = load_config(preset="demo", probes="moved").model_dump(mode="json")
    assert differences(before, moved) == []
    labelled = moved | {"probes_label": "Fear"}
    assert differences(before, labelled) == ["probes_label: 'Happiness' there, 'Fear' asked for"]
    (left_out,) = differences(before, moved | {"probes": None})
    assert left_out.endswith("faces' there, None asked for")


def test_the_hash_of_a_trials_configuration_stays_what_checkpoints_hold():
    assert config_hash("mobilenetv2", 0, RECIPES["paper"]) == "5e502a72331c6d0b"
    assert config_hash("mobilenetv2", 0, RECIPES["demo"]) == "dc16b2695b5fed89"
