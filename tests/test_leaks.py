"""Training images that validation holds too: dropped on request, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datasets.audit import audit
from datasets.drawn import draw_face, face_index
from datasets.leaks import BY_NAME, REASON
from datasets.manifest import read_manifest
from datasets.prepare import prepare
from datasets.shards import read_checked
from datasets.verify import verify
from tests.shard_data import files_of

LEAKED = "train/1/copy.jpg"
AS: dict[str, Any] = {"image_size": 96, "rows_per_shard": 5, "label_order": "affectnet"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Folders of classes: 3 faces of each in training, 2 in validation; one of these is copied."""
    root = tmp_path / "source"
    for split, count in (("train", 3), ("validation", 2)):
        for label in range(8):
            folder = root / split / str(label)
            folder.mkdir(parents=True)
            for number in range(count):
                index = face_index(split, 8 * number + label)  # type: ignore[arg-type]
                face = Image.fromarray(draw_face(label, seed=5, index=index, size=96))
                face.save(folder / f"{number}.png")
    with Image.open(root / "validation" / "1" / "0.png") as face:
        face.save(root / LEAKED, quality=70)
    return root


def ids(dest: Path, split: str) -> set[str]:
    manifest = read_manifest(dest)
    return {
        row.image_id
        for shard in manifest.of_split(split)  # type: ignore[arg-type]
        for row in read_checked(dest, manifest, shard)
    }


@pytest.mark.slow
def test_a_copy_of_a_validation_image_leaves_training(source: Path, tmp_path: Path) -> None:
    plain, clean = tmp_path / "plain", tmp_path / "clean"
    before = prepare(source, plain, **AS)
    assert audit(plain, before).num_leaked("train") == 1
    assert LEAKED in ids(plain, "train")
    after = prepare(source, clean, **AS, without_leaks=True)
    assert after.excluded == {REASON: 1}
    assert ids(clean, "train") == ids(plain, "train") - {LEAKED}
    assert ids(clean, "validation") == ids(plain, "validation")
    assert after.classes["train"]["Happiness"] == before.classes["train"]["Happiness"] - 1
    assert audit(clean, after).num_leaked("train") == 0
    verify(clean, after)
    assert prepare(source, clean, **AS, without_leaks=True) == after


@pytest.mark.slow
def test_an_interruption_while_leaks_are_dropped_changes_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(directory: Path, manifest: object) -> None:
        raise KeyboardInterrupt

    dest = tmp_path / "shards"
    with monkeypatch.context() as patch:
        patch.setattr("datasets.prepare.write_manifest", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(source, dest, **AS, without_leaks=True)
    prepare(source, dest, **AS, without_leaks=True)
    prepare(source, tmp_path / "plain", **AS, without_leaks=True)
    assert files_of(dest) == files_of(tmp_path / "plain")


@pytest.mark.slow
def test_a_copy_of_which_only_the_name_tells_is_told_and_stays(
    source: Path, tmp_path: Path
) -> None:
    named = "train/1/v0_rot15.jpg"
    (source / "validation" / "1" / "0.png").rename(source / "validation" / "1" / "v0.png")
    with Image.open(source / "validation" / "1" / "v0.png") as face:
        face.rotate(15).save(source / named)
    clean = tmp_path / "clean"
    after = prepare(source, clean, **AS, without_leaks=True)
    assert after.excluded == {REASON: 1}
    assert after.remarks == {BY_NAME: 1}
    assert {LEAKED, named} & ids(clean, "train") == {named}
    found = audit(clean, after)
    assert found.num_leaked("train") == found.num_leaked("train", "name") == 1
    verify(clean, after)
