"""The slower look finds turned, moved, cropped and inverted copies, and no other faces."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from datasets.audit import audit
from datasets.manifest import SplitName
from datasets.shards import ShardRow
from datasets.turned_copies import VIEWS, grey, turned_of, turned_pairs
from tests.made_up_shards import write_shards
from tests.test_audit import SIZE, cropped, face, jpeg, mirrored


def turned(picture: Image.Image, degrees: float) -> Image.Image:
    return picture.rotate(degrees, Image.Resampling.BICUBIC)


def moved(picture: Image.Image, right: float, down: float) -> Image.Image:
    width, height = picture.size
    by = (1, 0, -right * width, 0, 1, -down * height)
    return picture.transform(picture.size, Image.Transform.AFFINE, by, Image.Resampling.BILINEAR)


CHANGES: dict[str, tuple[float, Callable[[Image.Image], Image.Image]]] = {
    "turned by 5°": (1.0, lambda one: turned(one, 5)),
    "turned by 11°": (0.95, lambda one: turned(one, -11)),
    "turned by 15°": (1.0, lambda one: turned(one, 15)),
    "cropped by 5 %": (0.95, lambda one: cropped(one, 0.05, 0.05, 0.05, 0.05)),
    "cropped by 5 % at a corner": (0.95, lambda one: cropped(one, 0.05, 0.05, 0.0, 0.0)),
    "moved by 5 %": (1.0, lambda one: moved(one, -0.05, 0.05)),
    "inverted": (1.0, ImageOps.invert),
    "mirrored and turned": (1.0, lambda one: turned(mirrored(one), 10)),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_other_faces_are_not(change: str) -> None:
    least_found, changed = CHANGES[change]
    # 64 is no multiple of what is kept: 48.
    faces = [face(number, size=64) for number in range(40)]
    greys = np.stack([grey(np.asarray(one)) for one in [*faces, *map(changed, faces)]])
    found = set()
    for pairs in turned_pairs(turned_of(greys), np.arange(len(greys)), radius=6):
        both = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
        found.update((min(pair), max(pair)) for pair in both)
    assert all(right == left + len(faces) for left, right in found)
    assert len(found) >= least_found * len(faces)


def test_every_view_is_another_part() -> None:
    hashes = turned_of(grey(np.asarray(face(1)))[None]).hashes[:, 0]
    assert len(np.unique(hashes, axis=0)) > 0.9 * len(VIEWS)


@pytest.mark.slow
def test_an_audit_looks_for_them_where_it_is_asked_to(tmp_path: Path) -> None:
    rows: dict[SplitName, list[ShardRow]] = {
        "train": [ShardRow(f"t{number}", 1, jpeg(face(number))) for number in range(6)],
        "validation": [
            ShardRow("turned", 1, jpeg(turned(face(0), 12))),
            ShardRow("inverted", 2, jpeg(ImageOps.invert(face(1)))),
            ShardRow("other", 1, jpeg(face(9))),
        ],
    }
    manifest = write_shards(tmp_path, rows, image_size=SIZE, rows_per_shard=4)
    assert audit(tmp_path, manifest, workers=1).groups == ()
    found = audit(tmp_path, manifest, workers=1, thorough=True)
    told = {(one.image_id, one.duplicate_of, one.kind, one.leak) for one in found.members()}
    assert told == {
        ("t0", "turned", "near", True),
        ("turned", "t0", "near", True),
        ("t1", "inverted", "near", True),
        ("inverted", "t1", "near", True),
    }
    assert found == audit(tmp_path, manifest, workers=2, thorough=True)
