"""Probes: the pictures that are shown, what a model answers, and the files that it leaves."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.drawn import probe_faces
from datasets.errors import ConfigError
from datasets.images import decode_rgb
from datasets.probe_images import PROBE_SEED, drawn_probes, probe_label, read_probes
from tests.interrupted_trial import RECIPE, spec_of
from tests.resuming import finish, result_of
from trainers import examination
from trainers.architectures import ARCHITECTURES, architecture
from trainers.context import LocalContext
from trainers.examination import examine
from trainers.recipe import RECIPES
from trainers.result import PROBES_FILE, TrialProbes, read_record
from trainers.trial import run_trial

ARCHITECTURE = "mobilenet"
POSES = ("front", "occluded", "right", "left")
SMALL = RECIPES["demo"].model_copy(update={"image_size": 32})


def write_pictures(folder: Path, **names: str) -> Path:
    """Four drawn pictures of 48 by 40 pixels; `names` gives a pose another file name."""
    folder.mkdir(parents=True)
    for pose, pixels in probe_faces(48, seed=3).items():
        name = names.get(pose, f"{pose}.png")
        Image.fromarray(pixels[:40]).save(folder / name)
    return folder


def test_drawn_probes_are_one_happy_face_that_the_drawn_data_does_not_start_with():
    probes = drawn_probes(32)
    assert tuple(probe.pose.value for probe in probes) == POSES
    assert {probe.label for probe in probes} == {1}
    assert len({probe.image_HWC.tobytes() for probe in probes}) == 4
    assert all(probe.image_HWC.shape == (32, 32, 3) for probe in probes)
    assert probes[0].source == f"drawn face, seed {PROBE_SEED}, index 0"
    assert probes[0].image_HWC.tobytes() != probe_faces(32)["front"].tobytes()


def test_the_users_pictures_are_found_in_any_case_and_resized_as_training_images(tmp_path: Path):
    folder = write_pictures(tmp_path / "mine", front="Front.JPEG", left="left.bmp")
    (folder / "notes.txt").write_text("front")
    probes = read_probes(folder, 32, label=4)
    assert [probe.source for probe in probes] == [
        "Front.JPEG",
        "occluded.png",
        "right.png",
        "left.bmp",
    ]
    assert {probe.label for probe in probes} == {4}
    for probe in probes:
        expected = decode_rgb((folder / probe.source).read_bytes(), 32)
        np.testing.assert_array_equal(probe.image_HWC, expected)


def test_pictures_that_can_not_be_used_are_named_with_the_way_out(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none.*No such file.*front\.jpg"):
        read_probes(tmp_path / "none", 32, None)
    folder = write_pictures(tmp_path / "mine")
    (folder / "right.png").rename(folder / "rihgt.png")
    with pytest.raises(ConfigError, match=r"no picture is named 'right' \(like right\.jpg\)"):
        read_probes(folder, 32, None)
    (folder / "right.gif").write_bytes(b"GIF89a and no more")
    with pytest.raises(ConfigError, match=r"right\.gif: .*put another picture"):
        read_probes(folder, 32, None)
    (folder / "right.gif").unlink()
    (folder / "right.jpg").mkdir()
    with pytest.raises(ConfigError, match=r"right\.jpg: can't be read"):
        read_probes(folder, 32, None)
    (folder / "right.jpg").rmdir()
    (folder / "rihgt.png").rename(folder / "right.png")
    (folder / "front.webp").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"front\.png and front\.webp are both the pose front"):
        read_probes(folder, 32, None)


@pytest.mark.parametrize(
    ("given", "code"), [("happiness", 1), ("Fear", 4), (0, 0), ("7", 7), (None, None)]
)
def test_a_label_is_a_name_a_code_or_unknown(given: object, code: int | None):
    assert probe_label(given) == code


@pytest.mark.parametrize("given", ["bored", 8, "uncertain", -1, True, [1]])
def test_a_label_that_is_none_of_the_eight_is_refused(given: object):
    with pytest.raises(ConfigError, match=r"probes_label is .*Neutral, Happiness"):
        probe_label(given)


# Of the paper's figures: 64 maps for DenseNet121, 32 for NASNetMobile. The rest from the papers of
# the architectures: the filters of their first convolution.
FIRST_FILTERS = {
    name: 64 if row.family in ("ResNet", "ResNetV2", "DenseNet") else 32
    for name, row in ARCHITECTURES.items()
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_first_convolution_is_the_one_that_sees_the_image(name: str):
    import keras

    from trainers.model import build_model
    from trainers.probes import first_convolution

    row = architecture(name)
    recipe = SMALL.model_copy(update={"image_size": row.min_size})
    with keras.StatelessScope():  # shapes alone: no memory, no initialisation
        model = build_model(row, recipe, seed=0)
        layer = first_convolution(model)
        assert layer.filters == FIRST_FILTERS[name]
        assert tuple(layer.kernel.shape) == (*layer.kernel_size, 3, layer.filters)


@pytest.fixture(scope="module")
def trained(small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trial of one of the fourteen that has been trained."""
    folder = tmp_path_factory.mktemp("trained")
    finish(small_shards, folder, f"architecture:{ARCHITECTURE}")
    return folder


@pytest.fixture(scope="module")
def trial(trained: Path) -> Path:
    """Its files."""
    return trained / "trial"


@pytest.mark.slow
def test_a_trained_trial_leaves_answers_and_maps_as_a_model_made_by_hand_gives_them(trial: Path):
    import keras

    record = read_record(trial / "probes" / PROBES_FILE, TrialProbes)
    assert record is not None
    model = keras.models.load_model(trial / "model.keras")
    by_hand = keras.Model(model.inputs[0], [model.outputs[0], model.get_layer("conv1").output])
    assert (record.trial, record.source, record.layer) == ("mobilenet-s0", "drawn", "conv1")
    assert (record.channels, record.map_height, record.map_width) == (32, 16, 16)
    assert (record.grid_rows, record.grid_columns, record.gap) == (4, 8, 1)
    assert [one.pose.value for one in record.poses] == list(POSES)
    for one, probe in zip(record.poses, drawn_probes(RECIPE.image_size), strict=True):
        shown = np.asarray(Image.open(trial / "probes" / one.image_file))
        np.testing.assert_array_equal(shown, probe.image_HWC)
        probabilities, maps = (np.asarray(out)[0] for out in by_hand(shown[np.newaxis]))
        np.testing.assert_allclose(one.probabilities, probabilities, atol=1e-6)
        assert one.predicted == np.argmax(one.probabilities)
        assert one.label == 1
        picture = Image.open(trial / "probes" / one.maps_file)
        assert (picture.mode, picture.size) == ("L", (8 * 17 - 1, 4 * 17 - 1))
        grey = np.asarray(picture)
        for channel in range(32):
            top, left = (17 * place for place in divmod(channel, 8))
            values = maps[:, :, channel].astype(np.float64)
            low, high = values.min(), values.max()
            expected = 255 * (values - low) / (high - low)
            np.testing.assert_allclose(grey[top : top + 16, left : left + 16], expected, atol=0.51)


@pytest.mark.slow
def test_a_trained_trial_says_what_its_model_costs(trained: Path):
    result = result_of(trained)
    row = ARCHITECTURES[ARCHITECTURE]
    assert result.gflops == pytest.approx(2 * row.gmacs_224 * (32 / 224) ** 2, rel=0.01)
    assert result.latency_ms is not None
    assert 0 < result.latency_ms <= result.latency_ms_p90
    assert result.throughput_images_per_s > 0
    assert 200 < result.peak_memory_mb < 10_000
    assert result.gpu_peak_memory_mb is None or result.gpu_peak_memory_mb > 0
    assert result.device_name in (None, result.device)
    assert result.notes == []


@pytest.mark.slow
def test_examining_changes_nothing_in_the_model_and_gives_the_same_bytes_again(tmp_path: Path):
    from trainers.model import build_model, compile_model

    spec = spec_of(tmp_path / "shards", tmp_path, architecture=ARCHITECTURE)
    model = build_model(architecture(ARCHITECTURE), RECIPE, seed=0)
    compile_model(model, RECIPE)
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    before = [np.asarray(one).copy() for one in variables]
    made = model.to_json()
    one, other = (examine(model, spec, 10.0).probes for _ in range(2))
    assert one == other
    assert len(one.files) == 8
    assert model.to_json() == made
    for kept, now in zip(before, variables, strict=True):
        assert kept.tobytes() == np.asarray(now).tobytes()


@pytest.mark.slow
def test_the_users_pictures_are_shown_and_named_with_an_unknown_label(tmp_path: Path):
    from dataclasses import replace

    from trainers.model import build_model

    folder = write_pictures(tmp_path / "mine", front="front.JPG")
    spec = replace(
        spec_of(tmp_path / "shards", tmp_path, architecture=ARCHITECTURE),
        probes=folder,
        probes_label=None,
    )
    examined = examine(build_model(architecture(ARCHITECTURE), RECIPE, seed=0), spec, None)
    record = examined.probes.record
    assert record.source == "files"
    assert [one.source for one in record.poses][:2] == ["front.JPG", "occluded.png"]
    assert {one.label for one in record.poses} == {None}
    (tmp_path / "trial").mkdir()
    examined.probes.write(tmp_path / "trial")
    shown = np.asarray(Image.open(tmp_path / "trial" / "probes" / "front.png"))
    np.testing.assert_array_equal(shown, decode_rgb((folder / "front.JPG").read_bytes(), 32))


@pytest.mark.slow
def test_a_trial_is_not_lost_for_want_of_a_picture(
    small_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def no_memory(*_: object) -> None:
        raise MemoryError("not a byte left\nand more")

    monkeypatch.setattr(examination, "OneImageModel", no_memory)
    # Another test may have started TensorFlow in this process, which fixes its threads.
    monkeypatch.setattr("trainers.backend.configure", lambda *_: None)
    spec = spec_of(small_shards, tmp_path, architecture=ARCHITECTURE)
    result = run_trial(spec, LocalContext(spec.trial_dir))
    assert result.notes == ["without probes and latency: MemoryError: not a byte left"]
    assert (result.latency_ms, result.latency_ms_p90) == (None, None)
    assert result.gflops > 0
    assert not (spec.trial_dir / "probes").exists()


def test_a_result_without_the_figures_of_cost_is_still_read(tmp_path: Path):
    from tests.made_up_runs import MadeUpRun, write_run
    from trainers.result import TrialResult

    store = write_run(tmp_path / "run", MadeUpRun(trials=("mobilenetv2-s0",)))
    path = store.trial_dir("mobilenetv2-s0") / "result.json"
    stored = json.loads(path.read_text())
    added = ("gflops", "latency_ms", "latency_ms_p90", "throughput_images_per_s")
    added += ("peak_memory_mb", "gpu_peak_memory_mb", "device_name")
    for name in added:
        del stored[name]
    path.write_text(json.dumps(stored))
    result = read_record(path, TrialResult)
    assert [getattr(result, name) for name in added] == [None] * 7
