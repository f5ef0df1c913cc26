"""What `fer-orch predict` works on: which model is meant, and which images."""

import os
from collections.abc import Sequence
from pathlib import Path

from datasets.errors import ConfigError
from datasets.images import EXTENSIONS
from orchestrator.run_store import RUN_FILE, RunStore, TrialRecord
from trainers.home import TRIALS_DIR
from trainers.result import MODEL_FILE, TrialState


def find_model(given: str | Path, architecture: str | None = None, seed: int | None = None) -> Path:
    """The model's file in a run directory or a trial's, or `given` itself.

    In a run directory, here or in an object store, `architecture` and `seed` choose; they may be
    left out where that leaves one finished trial. Raises `ConfigError` with what there is.
    """
    store = RunStore.at(given)
    store.refresh()
    place = store.root
    if store.storage is not None or (place / RUN_FILE).is_file():
        record = _chosen(store, architecture, seed)
        store.fetch(f"{TRIALS_DIR}/{record.name}/{MODEL_FILE}")
        return _model_in(record.directory)
    for option, value in (("--architecture", architecture), ("--seed", seed)):
        if value is not None:
            raise ConfigError(f"{option} {value} chooses in a run directory, {place} is none")
    if place.is_dir():
        return _model_in(place)
    if not place.is_file():
        raise ConfigError(
            f"there is no model {place}; name a model.keras, a trial's directory "
            "(RUN/trials/NAME), or a run directory and --architecture"
        )
    return place


def _chosen(store: RunStore, architecture: str | None, seed: int | None) -> TrialRecord:
    finished = [record for record in store.trials() if record.state is TrialState.FINISHED]
    found = [
        record
        for record in finished
        if architecture in (None, record.architecture) and seed in (None, record.seed)
    ]
    if len(found) == 1:
        return found[0]
    asked = [architecture or "", "" if seed is None else f"seed {seed}"]
    what = " ".join(word for word in asked if word) or "the model"
    names = ", ".join(record.name for record in finished) or "none"
    if found:
        raise ConfigError(
            f"{store.place} holds several trials of {what}: choose by --architecture and --seed "
            f"among {', '.join(record.name for record in found)}"
        )
    raise ConfigError(f"{store.place} has no finished trial of {what}; finished: {names}")


def _model_in(directory: Path) -> Path:
    path = directory / MODEL_FILE
    if not path.is_file():
        raise ConfigError(
            f"{directory} holds no {MODEL_FILE}: it is no trial's directory, or the trial has not "
            "finished"
        )
    return path


def find_images(places: Sequence[Path]) -> list[Path]:
    """Files as given, and in folders all images below, sorted; hidden ones are left out.

    A file that is not there is kept, to be told of. Raises `ConfigError` where there is no image.
    """
    found: list[Path] = []
    for place in places:
        found += _images_below(place) if place.is_dir() else [place]
    missing = [place for place in places if not place.exists()]
    if len(missing) == len(places):
        raise ConfigError(f"there is no file {' and no '.join(map(str, missing))}")
    if not any(path.exists() for path in found):
        given = ", ".join(map(str, places))
        raise ConfigError(
            f"no image in {given}: name image files, or folders that hold some "
            f"({', '.join(sorted(EXTENSIONS))})"
        )
    return found


def _images_below(folder: Path) -> list[Path]:
    found = []
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(directory, name)
            for name in files
            if Path(name).suffix.casefold() in EXTENSIONS and not name.startswith(".")
        ]
    return sorted(found)
