"""`fer-orch predict`: the right model, the right pixels, and every image told of."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from datasets.drawn import draw_face
from datasets.errors import ConfigError
from datasets.images import decode_rgb
from datasets.labels import EXPRESSIONS
from orchestrator.cli import app
from orchestrator.predict import find_images, find_model
from orchestrator.predict_cli import printable
from orchestrator.run_store import RunStore
from tests import small_net
from tests.made_up_runs import MadeUpRun, write_run
from trainers.backend import environment
from trainers.result import MODEL_FILE, TrialState

pytestmark = pytest.mark.slow  # it imports Keras

NAME = "mobilenet"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that takes and gives what a trial's does."""
    import keras

    from trainers.model import save_for_inference

    layers = keras.layers
    images = keras.Input((32, 32, 3), dtype="uint8", name="images")
    maps = layers.Conv2D(16, 5, strides=4)(keras.ops.cast(images, "float32") / 64)
    features = layers.Flatten()(layers.ReLU()(maps))
    head = layers.Dense(8, activation="softmax")(features)
    keras.utils.set_random_seed(3)
    path = tmp_path_factory.mktemp("model") / MODEL_FILE
    save_for_inference(keras.Model(images, head, name=NAME), path)
    return path


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as people have it: kinds of images, folders in it, and what is no image."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "below").mkdir()
    pictures = [Image.fromarray(draw_face(code, seed=0, index=code, size=48)) for code in range(6)]
    pictures[0].save(folder / "colour.jpg")
    pictures[1].convert("L").save(folder / "grey.png")
    pictures[2].putalpha(120)
    pictures[2].save(folder / "alpha.PNG")
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures[3].save(folder / "turned.jpg", exif=exif)
    pictures[4].resize((90, 31)).save(folder / "below" / "wide.bmp")
    pictures[5].convert("P").save(folder / "below" / "palette.gif")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.jpg").write_bytes(b"left by a file system")
    return folder


def predict(*words: object):
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def document(done) -> dict:
    return json.loads(done.stdout)


def test_every_kind_of_image_gets_what_the_model_says_of_its_pixels(model_file, faces: Path):
    import keras

    done = predict(model_file, faces, "--json")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    found = document(done)
    assert (found["model"], found["architecture"]) == (str(model_file), NAME)
    assert (found["image_size"], found["unreadable"]) == (32, [])
    files = [Path(one["file"]) for one in found["images"]]
    assert [str(path.relative_to(faces)) for path in files] == [
        "alpha.PNG",
        "below/palette.gif",
        "below/wide.bmp",
        "colour.jpg",
        "grey.png",
        "turned.jpg",
    ]
    pixels = np.stack([decode_rgb(path.read_bytes(), 32) for path in files])
    expected = keras.models.load_model(model_file).predict(pixels, verbose=0)
    for one, row in zip(found["images"], expected, strict=True):
        assert list(one["probabilities"]) == list(EXPRESSIONS)
        np.testing.assert_allclose(list(one["probabilities"].values()), row, atol=1e-5)
        assert one["expression"] == EXPRESSIONS[row.argmax()]
        assert one["probability"] == max(one["probabilities"].values())
    assert len({tuple(one["probabilities"].values()) for one in found["images"]}) == 6
    assert predict(model_file, faces, "--json").stdout == done.stdout


def test_an_image_does_not_depend_on_those_beside_it(model_file, faces: Path, monkeypatch):
    whole = document(predict(model_file, faces, "--json"))["images"]
    monkeypatch.setattr("trainers.prediction.BATCH_SIZE", 4)  # four, and two filled up
    cut = document(predict(model_file, faces, "--json"))["images"]
    for one, other in zip(whole, cut, strict=True):
        assert one["file"] == other["file"]
        np.testing.assert_allclose(
            list(one["probabilities"].values()), list(other["probabilities"].values()), atol=1e-5
        )


def test_the_table_names_the_best_and_the_eight_and_top_the_first_ones(model_file, faces: Path):
    found = document(predict(model_file, faces, "--json"))["images"]
    table = predict(model_file, faces).stdout
    lines = table.splitlines()
    assert len(lines) == 1 + len(found)
    for one, line in zip(found, lines[1:], strict=True):
        assert line.startswith(one["file"])
        assert one["expression"] in line
        assert f"{100 * one['probability']:.1f}" in line
    top = document(predict(model_file, faces, "--json", "--top", "3"))["images"]
    for one, all_eight in zip(top, found, strict=True):
        values = list(one["probabilities"].values())
        assert values == sorted(all_eight["probabilities"].values(), reverse=True)[:3]
        assert next(iter(one["probabilities"])) == one["expression"]
    line = predict(model_file, faces / "colour.jpg", "--top", "8").stdout.splitlines()[1]
    assert all(expression in line for expression in EXPRESSIONS)


def test_an_unreadable_image_is_told_of_and_the_others_are_predicted(
    model_file, faces: Path, tmp_path: Path
):
    (tmp_path / "broken.jpg").write_bytes((faces / "colour.jpg").read_bytes()[:300])
    (tmp_path / "text.png").write_text("not an image")
    done = predict(
        model_file,
        tmp_path,
        faces / "grey.png",
        tmp_path / "none.jpg",
        faces / "notes.txt",
        "--json",
    )
    assert done.exit_code == 1
    found = document(done)
    assert [one["file"] for one in found["images"]] == [str(faces / "grey.png")]
    assert [Path(bad["file"]).name for bad in found["unreadable"]] == [
        "broken.jpg",
        "text.png",
        "none.jpg",
        "notes.txt",
    ]
    for bad in found["unreadable"]:
        assert f"{bad['file']}: {bad['reason']}" in done.stderr
    assert "no such file" in done.stderr
    only = predict(model_file, tmp_path / "text.png")
    assert (only.exit_code, only.stdout) == (1, "")


def test_hostile_names_come_out_as_text(model_file, faces: Path, tmp_path: Path):
    names = ["[bold red]x[bold].jpg", "a\x1b[2Jb.jpg", "two\nlines.jpg", "-x.jpg", "ü😀.jpg"]
    names += [os.fsdecode(b"caf\xe9.jpg"), "long" * 60 + ".jpg"]
    (tmp_path / "bad").mkdir()
    for name in names:
        (tmp_path / name).write_bytes((faces / "colour.jpg").read_bytes())
        (tmp_path / "bad" / name).write_bytes(b"no image")
    done = predict(model_file, tmp_path)
    assert done.exit_code == 1, done.output
    assert "\x1b" not in done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 1 + len(names)
    assert len(done.stderr.splitlines()) == len(names)
    for name in names:
        assert f"{tmp_path}/{printable(Path(name))} " in done.stdout
        assert f"{tmp_path}/bad/{printable(Path(name))}: not an image" in done.stderr
    found = document(predict(model_file, tmp_path, "--json"))
    stored = {os.fsencode(one["file"]) for one in found["images"]}
    assert stored == {os.fsencode(str(tmp_path / name)) for name in names}


def test_a_trials_own_model_is_found_in_its_directory_and_used(undisturbed: Path, faces: Path):
    trial = undisturbed / "trial"
    probes = json.loads((trial / "probes" / "probes.json").read_text())["poses"]
    pictures = [trial / "probes" / one["image_file"] for one in probes]
    found = document(predict(trial, *pictures, "--json"))
    assert found["architecture"] == small_net.NAME
    for one, probe in zip(found["images"], probes, strict=True):
        np.testing.assert_allclose(
            list(one["probabilities"].values()), probe["probabilities"], atol=1e-5
        )


def refused(*words: object) -> str:
    done = predict(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_a_wrong_request_is_told_with_the_way_out(model_file, faces: Path, tmp_path: Path):
    assert "no model" in refused(tmp_path / "none.keras", faces)
    assert "RUN/trials/NAME" in refused(tmp_path / "none.keras", faces)
    assert "holds no model.keras" in refused(tmp_path, faces)
    (tmp_path / "broken.keras").write_bytes(b"PK no zip")
    assert "broken.keras can't be loaded as a model" in refused(tmp_path / "broken.keras", faces)
    assert "can't be loaded as a model" in refused(faces / "colour.jpg", faces)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("none")
    assert f"no image in {tmp_path / 'empty'}" in refused(model_file, tmp_path / "empty")
    assert f"there is no file {tmp_path / 'none.jpg'}" in refused(model_file, tmp_path / "none.jpg")
    assert "--architecture mobilenet chooses" in refused(model_file, faces, "--architecture", NAME)
    assert refused(model_file, faces, "--top", "9")


def test_a_backend_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / MODEL_FILE).write_bytes(b"PK")
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    said = refused(tmp_path / MODEL_FILE, tmp_path / "one.png")
    assert said == (
        "error: KERAS_BACKEND is 'jax', which is not installed: install fer-orch[jax], or leave "
        "KERAS_BACKEND out"
    )


def test_another_kind_of_model_is_refused_by_its_shapes(faces: Path, tmp_path: Path):
    import keras

    path = tmp_path / "digits.keras"
    keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    ).save(path)
    said = refused(path, faces)
    assert "float32 [None, 28, 28, 1]" in said
    assert "[None, 10]" in said


@pytest.mark.parametrize("shape", [(12,), (None, None, 3), (32, 3), (32, 24, 3), (32, 32, 3)])
def test_a_model_of_eight_outputs_whose_input_is_no_picture_is_refused(
    faces: Path, tmp_path: Path, shape: tuple[int | None, ...]
):
    import keras

    images = keras.Input(shape, dtype="uint8")
    numbers = keras.ops.cast(images, "float32")
    if len(shape) == 3 and shape != (32, 32, 3):  # with square pictures: a row of answers each
        numbers = keras.layers.GlobalAveragePooling2D()(numbers)
    path = tmp_path / "other.keras"
    keras.Model(images, keras.layers.Dense(8)(numbers)).save(path)
    said = refused(path, faces)
    assert f"other.keras is another model: it takes uint8 {[None, *shape]} and gives" in said


def test_a_model_is_chosen_in_a_run_directory(tmp_path: Path):
    trials = ("mobilenet-s0", "mobilenet-s1", "xception-s0", "resnet50-s0")
    states = {"resnet50-s0": TrialState.RUNNING}
    store = write_run(tmp_path / "run", MadeUpRun(trials=trials, states=states))
    for trial in trials[:3]:
        (store.trial_dir(trial) / MODEL_FILE).write_bytes(b"")
    file = store.trial_dir("xception-s0") / MODEL_FILE
    assert find_model(store.root, "xception") == file
    assert find_model(store.trial_dir("xception-s0")) == file
    assert find_model(file) == file
    chosen = find_model(store.root, "mobilenet", 1)
    assert chosen == store.trial_dir("mobilenet-s1") / MODEL_FILE
    for words, said in (
        (("mobilenet",), r"several trials of mobilenet.*mobilenet-s0, mobilenet-s1"),
        ((), r"several trials of the model.*xception-s0"),
        (("resnet50",), r"no finished trial of resnet50; finished: mobilenet-s0"),
        (("mobilenet", 7), r"no finished trial of mobilenet seed 7"),
    ):
        with pytest.raises(ConfigError, match=said):
            find_model(store.root, *words)
    with pytest.raises(ConfigError, match="has not finished"):
        find_model(store.trial_dir("resnet50-s0"))
    one = write_run(tmp_path / "one", MadeUpRun(trials=("xception-s0",), states={}))
    with pytest.raises(ConfigError, match=r"holds no model\.keras"):
        find_model(one.root)


def test_ten_thousand_images_are_read_a_batch_at_a_time(tmp_path: Path, monkeypatch):
    from trainers import prediction
    from trainers.prediction import Predictor

    sizes = []

    class Model:
        def predict_on_batch(self, batch: np.ndarray) -> np.ndarray:
            sizes.append(len(batch))
            return np.full((len(batch), 8), 0.125, np.float32)

    predictor = Predictor.__new__(Predictor)
    predictor.image_size, predictor._model = 8, Model()
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    data = (tmp_path / "one.png").read_bytes()
    monkeypatch.setattr(prediction, "read_image_file", lambda path: data)
    found = predictor.predict([Path(f"{number}.png") for number in range(10_000)])
    assert next(found).path == Path("0.png")
    assert sizes == [32]  # no more is read than was asked for
    assert [one.path.stem for one in found] == [str(number) for number in range(1, 10_000)]
    assert set(sizes) == {32}


def test_folders_are_searched_in_a_stable_order(faces: Path):
    given = find_images([faces / "turned.jpg", faces / "below", faces / "turned.jpg"])
    assert [path.name for path in given] == [
        "turned.jpg",
        "palette.gif",
        "wide.bmp",
        "turned.jpg",
    ]
    assert RunStore(faces).read() is None
