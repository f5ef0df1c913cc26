"""Fixtures that several modules share."""

from pathlib import Path

import pytest

from datasets.prepare import synth


@pytest.fixture(scope="session")
def small_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces for the small trial: three steps an epoch, the last of four images."""
    path = tmp_path_factory.mktemp("small") / "drawn"
    synth(path, train=20, validation=16, size=32, seed=0)
    return path


@pytest.fixture(scope="session")
def undisturbed(small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small trial, left alone."""
    from tests.resuming import finish

    folder = tmp_path_factory.mktemp("undisturbed")
    finish(small_shards, folder)
    return folder
