"""What `run-all` looks at before anything starts: data, weights, pictures for the probes."""

import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from datasets.audit_record import read_record
from datasets.cache import stage
from datasets.errors import ConfigError
from datasets.files import write_data
from datasets.folder import Folder, absolute, as_folder
from datasets.images import UnreadableImageError, read_image_file
from datasets.manifest import MANIFEST_NAME, Manifest, read_manifest, verify_shards
from datasets.prepare import synth
from datasets.probe_images import pose_of, probe_files, probe_label, read_probes
from datasets.remote_folder import RemoteFolder
from datasets.sources.drawn import DRAWN_SOURCE
from orchestrator.config import RunConfig
from orchestrator.config_sources import Repeated
from orchestrator.progress_bar import bar
from orchestrator.run_store import RunDocument, RunStore, split_trial_name
from trainers.backend import keras_backend
from trainers.home import PROBES_DIR

_DATA_DIR = "data"


def data_place(config: RunConfig, store: RunStore) -> str:
    """Where the run's shards are: as configured, or drawn into the run directory."""
    if config.data.shards:
        return absolute(config.data.shards)
    data = store.folder.below(_DATA_DIR)
    return data.address if isinstance(data, RemoteFolder) else absolute(str(data))


def planned_rows(config: RunConfig, store: RunStore) -> dict[str, int]:
    """Images of each split, also before the drawn ones exist. Raises as `open_data` does."""
    drawn = config.data.drawn
    if config.data.shards is None:
        return {"train": drawn.train, "validation": drawn.validation}
    manifest = _fitting_manifest(config, as_folder(data_place(config, store)))
    return {str(split): manifest.rows(split) for split in manifest.classes}


def open_data(config: RunConfig, store: RunStore, console: Console) -> tuple[Folder, Manifest]:
    """The shards' folder and manifest; draws the faces of a run that names no shards.

    Shards smaller than the recipe's images, or without images in a split, raise `ConfigError`.
    """
    shards = as_folder(data_place(config, store))
    if config.data.shards is None:
        drawn = config.data.drawn
        if store.read() is None:
            _drop_earlier_drawing(store)
        with bar("drawing faces", console) as advance:
            synth(
                shards,
                train=drawn.train,
                validation=drawn.validation,
                size=drawn.size or config.recipe.image_size,
                seed=drawn.seed,
                progress=advance,
            )
    return shards, _fitting_manifest(config, shards)


def audit_text(store: RunStore, shards: Folder, manifest: Manifest) -> str:
    """What an audit of the shards has found, for people; empty where none is known.

    A run keeps what it knew: the shards that it goes on with may be another copy of the same.
    """
    record = read_record(shards, manifest)
    if record is not None:
        return record.text
    earlier = store.read()
    same = earlier is not None and earlier.data.fingerprint == manifest.fingerprint
    return earlier.data.audit if earlier and same else ""


def _fitting_manifest(config: RunConfig, shards: Folder) -> Manifest:
    manifest = read_manifest(shards)
    if manifest.image_size < config.recipe.image_size:
        raise ConfigError(
            f"the shards in {shards} hold images of {manifest.image_size} pixels, "
            f"recipe.image_size is {config.recipe.image_size}; prepare them again with a larger "
            "--size, or lower recipe.image_size"
        )
    for split in ("train", "validation"):
        if not manifest.rows(split):
            raise ConfigError(f"the shards in {shards} have no {split} images; prepare them again")
    fraction = config.recipe.selection_fraction
    if fraction and max(manifest.classes["train"].values()) < 2:
        raise ConfigError(
            f"recipe.selection_fraction {fraction:g} needs two training images of some expression, "
            f"the shards in {shards} have one of each at most; set it to 0"
        )
    return manifest


def _drop_earlier_drawing(store: RunStore) -> None:
    """Faces drawn for a request that then never became a run must not block the next one."""
    shards = store.folder.below(_DATA_DIR)
    if shards.has(MANIFEST_NAME) and read_manifest(shards).source == DRAWN_SOURCE:
        store.folder.remove_below(_DATA_DIR)


def check_fingerprint(store: RunStore, document: RunDocument) -> None:
    """Refuse to go on with a run whose data set has changed."""
    earlier = store.read()
    if earlier and earlier.data.fingerprint != document.data.fingerprint:
        raise ConfigError(
            f"{store.place} holds a run on other data: fingerprint {earlier.data.fingerprint} "
            f"there, {document.data.fingerprint} in {document.data.shards}. "
            "Name another --run-dir"
        )


def tell_differences(document: RunDocument, repeats: Repeated | None, console: Console) -> None:
    """Say where a run that repeats another has other data, or computes with another backend."""
    if repeats is None:
        return
    if repeats.keras_backend not in (None, document.keras_backend):
        _warn(
            console,
            f"the run that this repeats computed with {repeats.keras_backend}, this one with "
            f"{document.keras_backend}",
        )
    if repeats.fingerprint != document.data.fingerprint:
        _warn(
            console,
            "the data differ from those of the run that this repeats: fingerprint "
            f"{document.data.fingerprint}, {repeats.fingerprint} there",
        )


def _warn(console: Console, text: str) -> None:
    console.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)


def check_keras_backend(config: RunConfig, store: RunStore) -> None:
    """Refuse what Keras' backend can't do, and to go on with a run on another, of other bits."""
    earlier, now = store.read(), keras_backend()
    gpus = config.resources.gpus_per_trial
    if now == "jax" and isinstance(gpus, float) and gpus > 1:
        raise ConfigError(
            f"resources.gpus_per_trial is {gpus:g}, and Keras' JAX backend trains a trial on one "
            "GPU: set resources.gpus_per_trial=1, or KERAS_BACKEND=tensorflow"
        )
    if earlier and earlier.keras_backend not in (None, now):
        raise ConfigError(
            f"{store.place} holds a run on Keras' backend {earlier.keras_backend}, and this would "
            f"go on with {now}: set KERAS_BACKEND={earlier.keras_backend}, or name another "
            "--run-dir"
        )


def check_shards(shards: Folder, manifest: Manifest, console: Console) -> None:
    """Verify every shard's size and checksum, with progress."""
    with bar("checking shards", console) as advance:
        verify_shards(shards, manifest, progress=advance)


def check_weights(config: RunConfig, trials: list[str]) -> None:
    """Find each trial's first weights, and load files into a model to see that they fit.

    That happens in a process of its own, without a GPU, which this one must leave to the trials.
    """
    if config.recipe.weights == "none" or not trials:
        return
    names = sorted({split_trial_name(trial)[0] for trial in trials})
    done = subprocess.run(
        [sys.executable, "-m", "trainers.check_weights", config.recipe.model_dump_json(), *names],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise ConfigError(lines[-1] if lines else "checking the weights failed")


def check_probes(config: RunConfig, store: RunStore) -> None:
    """See that the user's pictures for the probes are there and whole.

    A run that goes on has its own copies: the folder may have moved or gone, but what is in it must
    be as the run has used it so far. Raises `ConfigError` with the file and the way out.
    """
    if config.probes is None:
        return
    folder = Path(config.probes)
    if not _has_its_pictures(config, store):
        _read_probes(config, folder)
        return
    for path in _pictures_in(folder):
        if _content(path) != _content(store.probes_dir / path.name):
            raise _other_probes(store, path)


def keep_probes(config: RunConfig, store: RunStore) -> None:
    """Copy the user's pictures for the probes into the run directory, where every node finds them.

    Raises as `check_probes` does.
    """
    check_probes(config, store)
    if config.probes is None or _has_its_pictures(config, store):
        return
    folder, kept = Path(config.probes), store.probes_dir
    wanted = {path.name: read_image_file(path) for path in probe_files(folder).values()}
    others = [path for path in _pictures_in(kept) if _content(path) != wanted.get(path.name)]
    if others and store.read() is not None:
        raise _other_probes(store, folder / others[0].name)
    for path in others:  # of a request that never became a run
        store.remove(f"{PROBES_DIR}/{path.name}")
    for name, data in wanted.items():
        write_data(kept / name, data)
    store.publish(PROBES_DIR)


def _has_its_pictures(config: RunConfig, store: RunStore) -> bool:
    """True for a run that has been started and whose four copies can be read."""
    if store.read() is None:
        return False
    try:
        _read_probes(config, store.probes_dir)
    except ConfigError:
        return False
    return True


def _read_probes(config: RunConfig, folder: Path) -> None:
    read_probes(folder, config.recipe.image_size, probe_label(config.probes_label))


def _pictures_in(folder: Path) -> list[Path]:
    """Empty where there is no such folder."""
    return sorted(path for path in folder.glob("*") if pose_of(path.name))


def _content(path: Path) -> bytes | None:
    try:
        return read_image_file(path)
    except UnreadableImageError:
        return None


def _other_probes(store: RunStore, path: Path) -> ConfigError:
    return ConfigError(
        f"{store.place} holds a run with other probes: {path.name} is not as in {path.parent}. "
        "Name another --run-dir, or give the same pictures (the run's are in "
        f"{store.place}/{PROBES_DIR})"
    )


def stage_here(config: RunConfig, shards: str, console: Console) -> None:
    """Decode the images into this machine's cache before the trials start, with progress."""
    with bar("staging images", console) as advance:
        stage(
            shards,
            config.data.cache_path,
            config.recipe.image_size,
            mode=config.data.cache_mode,
            progress=advance,
        )
