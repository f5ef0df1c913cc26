"""Where a trial's first weights come from, and clear words when they are not there."""

import os
from pathlib import Path

from datasets.errors import ConfigError
from trainers.architectures import Architecture


def keras_cache() -> Path:
    """The folder where Keras keeps the files of `weights="imagenet"`."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def find_weights(row: Architecture, weights: str) -> Path | None:
    """The file to load before training, or None for random weights.

    `weights` is `none`, `imagenet` (Keras' cache, downloaded there when absent) or a directory that
    holds `ID.weights.h5` or Keras' own file name. A file that is not there raises `ConfigError`:
    never a silent fall back to random weights.
    """
    if weights == "none":
        return None
    if weights == "imagenet":
        return _imagenet_file(row)
    directory = Path(weights).expanduser()
    if not directory.is_dir():
        raise ConfigError(
            f"recipe.weights is {weights!r}: neither 'imagenet' nor 'none' nor a directory"
        )
    names = (f"{row.id}.weights.h5", row.weights_file)
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise ConfigError(
        f"no weights of {row.id} in {directory}: put {names[0]} or {names[1]} there, "
        "or set recipe.weights to none to train from scratch"
    )


def _imagenet_file(row: Architecture) -> Path:
    cache = keras_cache()
    path = cache / row.weights_file
    if path.is_file():
        return path
    try:
        _download(row)
    except Exception as error:  # Keras raises bare Exception when a download fails.
        raise ConfigError(
            f"the ImageNet weights of {row.id} are not on this machine and can't be downloaded "
            f"({error}). Put {row.weights_file} into {cache}, or set recipe.weights to a directory "
            "that holds it, or to none to train from scratch"
        ) from error
    return path


def _download(row: Architecture) -> None:
    """Let Keras fetch its own file: building the model is its one public way to do so."""
    import keras

    module = getattr(keras.applications, row.module)
    getattr(module, row.builder)(include_top=False, weights="imagenet")
