"""The figures as files: what is drawn, in which colours, the same bytes each time."""

import io
import re
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix

from orchestrator.report import write_report
from orchestrator.report.collect import RunReport, collect, read_predictions
from orchestrator.report.pictures import draw as pictures
from orchestrator.report.pictures import palette
from orchestrator.report.pictures.curves import (
    accuracy_curves,
    accuracy_intervals,
    loss_curves,
    short,
)
from orchestrator.report.pictures.matrices import confusions, recall_map
from tests.made_up_runs import ALL_TRIALS, MadeUpRun, write_run
from tests.test_report_beside_paper import AFFECTNET
from tests.test_report_html import HOSTILE, HOSTILE_TRIAL
from trainers.architectures import ARCHITECTURES
from trainers.result import TrialState

WITH_PICTURES = True  # see conftest.py
ROOT = Path(__file__).parents[1]
FEW = MadeUpRun(trials=("densenet121-s0", "mobilenet-s0", "xception-s0"), states={})


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    return collect(write_run(tmp_path_factory.mktemp("few"), FEW).root)


@pytest.mark.slow
def test_every_picture_is_a_file_of_either_kind_and_linked(tmp_path):
    store = write_run(tmp_path, FEW)
    page = write_report(store.root).read_text(encoding="utf-8")
    for name in pictures.FILES:
        assert f'<a href="{name}">' in page
        data = (store.report_dir / name).read_bytes()
        if name.endswith(".svg"):
            assert ElementTree.fromstring(data).tag.endswith("svg")
        else:
            image = Image.open(io.BytesIO(data))
            assert min(image.size) > 150
            assert len(data) < 1_000_000
    drawn = {
        path.relative_to(store.report_dir).as_posix() for path in store.report_dir.glob("f*/*")
    }
    assert drawn == set(pictures.FILES)


@pytest.mark.slow
def test_equal_input_gives_equal_bytes_in_another_process_with_other_settings(few, tmp_path):
    here = pictures.draw(few)
    settings = tmp_path / "matplotlibrc"
    settings.write_text(
        "font.size: 20\nlines.linewidth: 9\nsavefig.dpi: 30\ntext.parse_math: True\n"
    )
    code = (
        "import sys; from pathlib import Path\n"
        "from orchestrator.report.pictures import draw as pictures\n"
        "from orchestrator.report.collect import collect\n"
        "for name, data in pictures.draw(collect(Path(sys.argv[1]))).items():\n"
        "    (Path(sys.argv[2]) / name.replace('/', '-')).write_bytes(data)\n"
    )
    root = few.trials[0].record.directory.parents[1]
    subprocess.run(
        [sys.executable, "-c", code, str(root), str(tmp_path)],
        check=True,
        cwd=ROOT,
        env={"MATPLOTLIBRC": str(settings), "PATH": "/usr/bin", "HOME": str(tmp_path)},
    )
    for name, data in here.items():
        assert (tmp_path / name.replace("/", "-")).read_bytes() == data, name


@pytest.mark.slow
def test_a_picture_that_is_gone_from_the_run_is_removed(tmp_path):
    store = write_run(tmp_path, FEW)
    write_report(store.root)
    kept = store.report_dir / "figures" / "mine.png"
    kept.write_bytes(b"of the user")
    for name in FEW.trials:
        (store.trial_dir(name) / "predictions.parquet").unlink()
    page = write_report(store.root).read_text(encoding="utf-8")
    assert "confusion-matrices" not in page
    names = {path.name for path in kept.parent.iterdir()}
    curves = {
        f"{metric}-curves.{kind}" for metric in ("accuracy", "loss") for kind in ("svg", "png")
    }
    assert names == curves | {"mine.png"}


def test_a_run_without_any_result_has_no_pictures(tmp_path):
    states = dict.fromkeys(ALL_TRIALS, TrialState.PENDING)
    run = collect(write_run(tmp_path, MadeUpRun(states=states)).root)
    assert pictures.draw(run) == {}


@pytest.mark.slow
def test_intervals_are_those_of_the_table_and_the_papers_only_where_comparable(tmp_path):
    run = collect(write_run(tmp_path / "paper", MadeUpRun(states={}, classes=AFFECTNET)).root)
    (axes,) = accuracy_intervals(run).axes
    points = {float(bar[0].get_ydata()[0]): bar[0].get_xdata()[0] for bar in axes.containers}
    ours = {float(row): 100 * trial.accuracy for row, trial in enumerate(run.finished)}
    assert {row: value for row, value in points.items() if row in ours} == pytest.approx(ours)
    assert len(points) == 28
    ends = axes.containers[0][2][0].get_segments()[0][:, 0]
    interval = run.finished[0].scores.interval
    assert list(ends) == pytest.approx([100 * interval.low, 100 * interval.high])
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == [trial.title for trial in run.finished]
    elsewhere = collect(write_run(tmp_path / "other", FEW).root)
    assert len(accuracy_intervals(elsewhere).axes[0].containers) == 3


def test_curves_hold_both_stages_in_the_colour_of_the_family(few):
    training, validation = accuracy_curves(few).axes
    for axes, column in ((training, "accuracy"), (validation, "val_accuracy")):
        for trial, line in zip(few.trials, axes.get_lines(), strict=True):
            expected = [100 * getattr(row, column) for row in trial.history]
            assert list(line.get_ydata()) == pytest.approx(expected)
            assert (line.get_color(), line.get_marker()) == palette.style(trial.record.architecture)


def test_seeds_are_thin_lines_and_their_mean_a_thick_one(tmp_path):
    trials = ("mobilenet-s0", "mobilenet-s1", "mobilenet-s2")
    run = collect(write_run(tmp_path, MadeUpRun(trials=trials, states={})).root)
    *thin, mean = loss_curves(run).axes[1].get_lines()
    assert len(thin) == 3
    assert list(mean.get_ydata()) == pytest.approx(np.mean([one.get_ydata() for one in thin], 0))
    assert mean.get_label() == "MobileNet, mean of 3"


def test_a_trial_that_diverged_does_not_press_the_others_flat(tmp_path):
    store = write_run(tmp_path, FEW)
    path = store.trial_dir("xception-s0") / "history.csv"
    path.write_text(path.read_text() + "6,1e9,0.1,1e12,0.1\n7,nan,0.1,inf,0.1\n")
    training, validation = loss_curves(collect(store.root)).axes
    assert training.get_ylim()[1] < 10
    assert "cut off" in validation.get_title(loc="right")


def test_the_map_of_recall_holds_the_tables_figures(few):
    (axes,) = recall_map(few).axes
    values = np.asarray(axes.images[0].get_array())
    for row, trial in zip(values, few.finished, strict=True):
        assert list(row[:8]) == [one.recall for one in trial.scores.classes]
        assert row[8] == trial.scores.macro_recall
    stars = [text.get_text() for text in axes.texts if "★" in text.get_text()]
    assert len(stars) >= 9


def test_confusions_are_scikit_learns(few):
    panels = confusions(few).axes
    for axes, trial in zip(panels, few.finished, strict=True):
        read = read_predictions(trial.record.directory / "predictions.parquet")
        shares = confusion_matrix(read.labels, read.predicted, labels=range(8), normalize="true")
        assert np.asarray(axes.images[0].get_array()) == pytest.approx(shares)
        assert axes.get_title().split("\n")[0] == trial.title


def test_the_palette_is_that_of_the_page():
    style = (ROOT / "orchestrator/report/forms/templates/report.css").read_text(encoding="utf-8")
    light = style[: style.index("@media")]
    assert tuple(re.findall(r"--series-\d: (#\w{6});", light)) == palette.SERIES
    for name in ("INK", "MUTED", "RULE", "TINT"):
        assert f"--{name.lower()}: {getattr(palette, name)};" in light
    styles = [palette.style(name) for name in ARCHITECTURES]
    assert len(set(styles)) == len(ARCHITECTURES)
    assert palette.style("someone-elses") not in styles


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_hostile_names_are_drawn_as_text(tmp_path):
    name = f"{HOSTILE_TRIAL[:-3]}$\\frac{{1}}$ 漢 --> ]]> \x1b[31m-s0"
    run = MadeUpRun(name=HOSTILE, trials=(name, "mobilenet-s0"), states={})
    for path, data in pictures.draw(collect(write_run(tmp_path, run).root)).items():
        if path.endswith(".svg"):
            tags = {one.tag.rpartition("}")[2] for one in ElementTree.fromstring(data).iter()}
            assert not tags & {"script", "img", "a", "foreignObject"}
            assert b"\x1b" not in data
            assert not re.search(rb"<[^!?>]* on\w+=", data)


def test_a_long_name_is_cut():
    assert len(short("x" * 400)) <= 33
    assert short("a b\nc") == "a b c"


@pytest.mark.slow
def test_fourteen_architectures_with_three_seeds_are_drawn_in_bounded_time(tmp_path):
    seconds, files = {}, {}
    for seeds in (1, 3):
        trials = tuple(f"{name}-s{seed}" for name in ARCHITECTURES for seed in range(seeds))
        made = MadeUpRun(trials=trials, states={}, epochs=100, validation_images=4000)
        run = collect(write_run(tmp_path / str(seeds), made).root)
        begin = time.process_time()
        files = pictures.draw(run)
        seconds[seeds] = time.process_time() - begin
    # Against one seed on the same machine: a bound in seconds depends on how fast that is.
    assert seconds[3] < 4 * seconds[1]
    assert sum(map(len, files.values())) < 4_000_000
