"""Drawn faces: the same in any process, different by key, and readable."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier

from datasets.drawn import (
    AFFECTNET_TRAIN_COUNTS,
    Pose,
    draw_face,
    drawn_labels,
    face_index,
    probe_faces,
)
from datasets.drawn_actions import RECIPES, draw_actions
from datasets.drawn_parameters import Dice, draw_person, draw_view
from datasets.errors import ConfigError
from datasets.labels import EXPRESSIONS, NUM_CLASSES

ROOT = Path(__file__).resolve().parent.parent

_DIGEST_SCRIPT = """
import hashlib
from datasets.drawn import draw_face, drawn_labels
digest = hashlib.sha256(drawn_labels("train", 50, 3).tobytes())
for index in ORDER:
    digest.update(draw_face(index % 8, seed=3, index=index, size=64).tobytes())
print(digest.hexdigest())
"""


def _digest_here(order: list[int]) -> str:
    digest = hashlib.sha256(drawn_labels("train", 50, 3).tobytes())
    for index in order:
        digest.update(draw_face(index % 8, seed=3, index=index, size=64).tobytes())
    return digest.hexdigest()


@pytest.mark.slow
def test_another_process_draws_the_same_bytes() -> None:
    order = [5, 0, 11, 2, 30]
    # This process has drawn other faces before: nothing of them may be left.
    draw_face(1, seed=99, index=1, size=96)
    there = subprocess.run(
        [sys.executable, "-c", _DIGEST_SCRIPT.replace("ORDER", str(order))],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert there == _digest_here(order)


def test_key_is_the_pair() -> None:
    keys = [(7, 1), (8, 0), (1, 7), (0, 8), (7, 0)]
    faces = {draw_face(0, seed=s, index=i, size=48).tobytes() for s, i in keys}
    assert len(faces) == len(keys)


def test_many_indices_give_many_faces() -> None:
    faces = {draw_face(1, seed=0, index=i, size=32).tobytes() for i in range(60)}
    assert len(faces) == 60


def test_expression_changes_the_face_but_not_the_person() -> None:
    """Background and hair (the upper corners) stay; the face moves."""
    faces = [draw_face(e, seed=4, index=9, size=96, pose=Pose.FRONT).astype(int) for e in range(8)]
    for expression in range(1, NUM_CLASSES):
        difference = np.abs(faces[expression] - faces[0]).max(axis=2)
        assert difference[:8, :8].max() == 0
        assert difference[30:90, 20:76].max() > 60


@pytest.mark.parametrize("expression", range(NUM_CLASSES))
def test_every_expression_takes_the_same_draws(expression: int) -> None:
    dice, other = Dice(2, 3), Dice(2, 3)
    for stream, code in ((dice, expression), (other, 0)):
        draw_person(stream)
        draw_view(stream)
        draw_actions(code, stream)
    assert dice.unit() == other.unit()


@pytest.mark.parametrize("size", [32, 33, 57, 96, 128, 129, 224, 331, 512, 700])
def test_sizes(size: int) -> None:
    face = draw_face(3, seed=1, index=2, size=size)
    assert face.shape == (size, size, 3)
    assert face.dtype == np.uint8
    assert face.flags.c_contiguous
    assert face.std() > 15  # a picture, not a flat field


def test_size_does_not_change_what_is_drawn() -> None:
    large = draw_face(1, seed=6, index=0, size=192).astype(float)
    small = draw_face(1, seed=6, index=0, size=64).astype(float)
    reduced = large.reshape(64, 3, 64, 3, 3).mean(axis=(1, 3))
    assert np.abs(reduced - small).mean() < 10


@settings(max_examples=60, deadline=None)
@given(
    expression=st.integers(0, 7),
    seed=st.integers(0, 2**63 - 1),
    index=st.integers(0, 2**40),
    pose=st.sampled_from([None, *Pose]),
)
def test_any_key_draws_a_face(expression: int, seed: int, index: int, pose: Pose | None) -> None:
    face = draw_face(expression, seed=seed, index=index, size=40, pose=pose)
    assert face.shape == (40, 40, 3)
    assert face.std() > 4


def test_poses_differ_and_mirror() -> None:
    """A turned head shows its nose, mouth and eyes on the side to which it turns."""
    probes = probe_faces(96)
    assert list(probes) == ["front", "occluded", "right", "left"]
    assert len({face.tobytes() for face in probes.values()}) == 4
    happy = EXPRESSIONS.index("Happiness")
    for pose in Pose:
        expected = draw_face(happy, seed=0, index=0, size=96, pose=pose)
        assert np.array_equal(probes[pose.value], expected)


def test_nose_points_to_the_side_of_the_pose() -> None:
    """The smile's change against rest lies left of the middle in LEFT, right in RIGHT."""
    middles = {}
    for pose in (Pose.LEFT, Pose.FRONT, Pose.RIGHT):
        columns = []
        for index in range(12):
            rest = draw_face(0, seed=5, index=index, size=96, pose=pose).astype(float)
            smile = draw_face(1, seed=5, index=index, size=96, pose=pose).astype(float)
            change = np.abs(smile - rest).sum(axis=(0, 2))
            columns.append(float((change * np.arange(96)).sum() / change.sum()))
        middles[pose] = np.mean(columns)
    assert middles[Pose.LEFT] + 5 < middles[Pose.FRONT] < middles[Pose.RIGHT] - 5


def test_pose_none_is_drawn_from_the_face() -> None:
    counts = dict.fromkeys(Pose, 0)
    for index in range(600):
        dice = Dice(0, index)
        draw_person(dice)
        counts[draw_view(dice).pose] += 1
    assert 0.60 < counts[Pose.FRONT] / 600 < 0.80
    assert all(count > 12 for count in counts.values())


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"expression": 8}, "8"),
        ({"expression": -1}, "-1"),
        ({"seed": -3}, "-3"),
        ({"index": -2}, "-2"),
        ({"size": 4}, "4"),
    ],
)
def test_bad_requests_name_their_value(arguments: dict[str, int], value: str) -> None:
    request = {"expression": 0, "seed": 0, "index": 0, "size": 64} | arguments
    with pytest.raises(ConfigError, match=value):
        draw_face(
            request["expression"],
            seed=request["seed"],
            index=request["index"],
            size=request["size"],
        )


def test_train_labels_have_affectnets_imbalance() -> None:
    labels = drawn_labels("train", 10_000, seed=0)
    assert labels.dtype == np.int8
    counts = np.bincount(labels, minlength=8)
    expected = np.array(AFFECTNET_TRAIN_COUNTS) / sum(AFFECTNET_TRAIN_COUNTS) * 10_000
    assert np.abs(counts - expected).max() < 1.0


@settings(max_examples=80, deadline=None)
@given(count=st.integers(0, 500), seed=st.integers(0, 1000))
def test_label_counts(count: int, seed: int) -> None:
    train, validation = (drawn_labels(split, count, seed) for split in ("train", "validation"))
    assert len(train) == len(validation) == count
    balanced = np.bincount(validation, minlength=NUM_CLASSES)
    assert balanced.max() - balanced.min() <= 1
    if count >= NUM_CLASSES:
        assert np.bincount(train, minlength=NUM_CLASSES).min() >= 1
    assert np.array_equal(train, drawn_labels("train", count, seed))


def test_label_order_is_shuffled_by_the_seed() -> None:
    first, second = (drawn_labels("validation", 64, seed) for seed in (0, 1))
    assert not np.array_equal(first, np.sort(first))
    assert not np.array_equal(first, second)
    assert np.array_equal(np.sort(first), np.sort(second))


def test_splits_share_no_face() -> None:
    rows = range(50)
    train, validation = ({face_index(split, row) for row in rows} for split in _SPLITS)
    assert len(train) == len(validation) == 50
    assert not train & validation


_SPLITS = ("train", "validation")


@pytest.mark.parametrize("split", ["test", "Train", ""])
def test_unknown_split_is_refused(split: str) -> None:
    with pytest.raises(ConfigError, match="validation"):
        drawn_labels(split, 8, 0)
    with pytest.raises(ConfigError, match="validation"):
        face_index(split, 0)


def test_every_expression_has_variants() -> None:
    assert len(RECIPES) == NUM_CLASSES
    assert all(len(recipe) >= 2 for recipe in RECIPES)


def _grey_faces(first: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    labels = np.arange(count) % NUM_CLASSES
    faces = [
        draw_face(int(label), seed=11, index=first + row, size=32).mean(axis=2).ravel()
        for row, label in enumerate(labels)
    ]
    stacked = np.stack(faces)
    return (stacked - stacked.mean(axis=1, keepdims=True)) / stacked.std(axis=1)[:, None], labels


@pytest.mark.slow
def test_expressions_can_be_told_apart() -> None:
    """A linear classifier on 32-pixel grey images of unseen people beats chance (0.125) by far."""
    train, train_labels = _grey_faces(0, 800)
    unseen, unseen_labels = _grey_faces(100_000, 240)
    accuracy = RidgeClassifier(alpha=300.0).fit(train, train_labels).score(unseen, unseen_labels)
    assert accuracy > 0.35
    assert accuracy < 0.98  # faces that a linear rule solves would test nothing


@pytest.mark.slow
def test_speed() -> None:
    draw_face(0, seed=0, index=0, size=224)
    start = time.process_time()
    for index in range(60):
        draw_face(index % 8, seed=0, index=index, size=224)
    assert 60 / (time.process_time() - start) > 60
