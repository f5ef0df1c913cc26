"""The section of the four poses: Table 4 beside the paper's, and the feature maps as pictures."""

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from datasets.labels import EXPRESSIONS
from orchestrator.report import paper
from orchestrator.report.collect import collect
from orchestrator.report.sections.poses import poses_section, probed_trials
from orchestrator.run_store import RunStore
from tests.made_up_runs import MadeUpRun, write_run
from trainers.result import PROBES_DIR, PROBES_FILE, TrialProbes, read_record


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return write_run(tmp_path, MadeUpRun())


@pytest.mark.slow
def test_each_cell_is_what_the_trial_wrote_and_the_paper_printed(store: RunStore):
    run = collect(store.root)
    section = poses_section(run)
    assert section is not None
    (table,) = section.tables
    assert [row[0].text for row in table.rows] == [trial.title for trial in run.finished]
    for row, trial in zip(table.rows, run.finished, strict=True):
        record = read_record(trial.record.directory / PROBES_DIR / PROBES_FILE, TrialProbes)
        assert record is not None
        printed = paper.pose_predictions()[trial.record.architecture]
        for cell, outcome in zip(row[1:5], record.poses, strict=True):
            assert cell.sort == EXPRESSIONS[outcome.predicted]
            assert cell.best == (outcome.predicted == outcome.label)
            assert cell.detail == f"paper: {EXPRESSIONS[printed[outcome.pose]]}"
        assert row[5].sort == sum(one.predicted == one.label for one in record.poses)


@pytest.mark.slow
def test_every_architecture_has_its_maps_for_every_pose(store: RunStore):
    run = collect(store.root)
    section = poses_section(run)
    assert section is not None
    faces, *maps = section.galleries
    assert len(faces.pictures) == 4
    assert [gallery.id for gallery in maps] == [f"maps-{pose}" for pose in paper.POSES]
    for gallery in maps:
        assert len(gallery.pictures) == len(run.finished)
        for picture in gallery.pictures:
            with Image.open(io.BytesIO(base64.b64decode(picture.address.partition(",")[2]))) as one:
                assert one.size == (71, 71)
            assert "64 maps of 8 by 8" in picture.alternative


@pytest.mark.slow
def test_large_pictures_are_shrunk(store: RunStore):
    (first, *_) = probed_trials(collect(store.root))
    Image.new("L", (911, 911)).save(first.folder / "front-maps.png")
    section = poses_section(collect(store.root))
    assert section is not None
    with Image.open(io.BytesIO(section.galleries[1].pictures[0].png)) as one:
        assert max(one.size) == 320


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["missing", "cut", "other version", "picture cut"])
def test_damaged_probes_cost_their_trial_its_row_or_picture_alone(store: RunStore, damage: str):
    whole = probed_trials(collect(store.root))
    path = whole[0].folder / PROBES_FILE
    picture = whole[0].folder / "front-maps.png"
    match damage:
        case "missing":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:100])
        case "other version":
            path.write_text('{"schema_version": 99}')
        case "picture cut":
            picture.write_bytes(picture.read_bytes()[:200])
    left = probed_trials(collect(store.root))
    section = poses_section(collect(store.root))
    assert section is not None
    lost = 0 if damage == "picture cut" else 1
    assert len(left) == len(section.tables[0].rows) == len(whole) - lost
    assert len(section.galleries[1].pictures) == len(whole) - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("predicted", 8),
        ("predicted", -3),
        ("label", 11),
        ("image_file", "/etc/icon.png"),
        ("image_file", "../../private.png"),
        ("maps_file", ".hidden.png"),
        ("maps_file", "front.png\n"),
    ],
)
def test_a_record_that_no_trial_writes_is_passed_over(store: RunStore, field: str, value: object):
    whole = probed_trials(collect(store.root))
    path = whole[0].folder / PROBES_FILE
    stored = json.loads(path.read_text())
    stored["poses"][0][field] = value
    path.write_text(json.dumps(stored))
    section = poses_section(collect(store.root))
    assert section is not None
    assert len(section.tables[0].rows) == len(whole) - 1


def test_of_several_seeds_the_lowest_is_shown(tmp_path: Path):
    trials = tuple(f"mobilenet-s{seed}" for seed in (2, 0, 1))
    write_run(tmp_path, MadeUpRun(trials=trials, states={}))
    (one,) = probed_trials(collect(tmp_path))
    assert one.trial.record.seed == 0
