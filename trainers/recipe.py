"""How a trial is trained: every choice that can change its numbers, and the named recipes."""

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from datasets.errors import ConfigError


class Recipe(BaseModel):
    """One way of training, the same for all architectures of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    image_size: int = Field(default=224, ge=32, le=1024)
    """Side of the square input, pixels. Images are staged at this size."""

    batch_size: int = Field(default=16, ge=1)
    """Images a training step."""

    epochs: int = Field(default=100, ge=1)
    """Passes over the training split."""

    optimizer: Literal["adam"] = "adam"
    """Keras' Adam with its default betas and epsilon."""

    learning_rate: float = Field(default=0.001, gt=0)
    """Constant. The paper states none; 0.001 is Keras' default for Adam."""

    loss: Literal["categorical_crossentropy"] = "categorical_crossentropy"
    """Over the eight softmax outputs, in float32."""

    weights: str = "imagenet"
    """`imagenet` (Keras' files), `none` (random by seed), or a directory of weight files."""

    batch_norm_momentum: float | None = Field(default=None, ge=0, lt=1)
    """Momentum of all batch-norm moving statistics; null keeps each architecture's own (0.9 to
    0.9997). A run of few steps needs a lower one, or evaluation uses statistics that still stand
    near their start."""

    deterministic: bool = False
    """Bit-identical repeats and resumes, at some cost in speed on a GPU."""

    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """What layers compute in (Keras' dtype policies). Weights and the softmax stay float32; with
    `mixed_float16`, refused on several GPUs, the loss is scaled, so that small gradients are not
    lost."""

    xla: bool = False
    """Compile the training step with XLA. TensorFlow does not with `deterministic`, nor for several
    GPUs; on Keras' JAX backend every step is."""

    evaluation_batch_size: int = Field(default=64, ge=1)
    """Images a step when evaluating."""

    selection_fraction: float = Field(default=0.0, ge=0, le=0.5)
    """Part of each class of the training split that is not trained on but chooses the best epoch;
    0: none, and the best epoch is that of the validation split, which flatters it."""

    @model_validator(mode="after")
    def _xla_is_not_deterministic(self) -> "Recipe":
        # Keras leaves XLA off with a warning then (`model_supports_jit`): not all of TensorFlow's
        # operations are deterministic in it.
        if self.xla and self.deterministic:
            raise ConfigError(
                "recipe.xla and recipe.deterministic exclude each other in TensorFlow; with "
                "recipe.xla=true set recipe.deterministic=false, which the preset may have on"
            )
        return self

    @field_validator("weights")
    @classmethod
    def _absolute_directory(cls, weights: str) -> str:
        """A worker's working directory is not the user's: keep a directory's full path."""
        if weights in ("imagenet", "none"):
            return weights
        return str(Path(weights).expanduser().absolute())


RECIPES: dict[str, Recipe] = {
    # Mostafa, El-Sayed and Belal: 224 pixels, batch 16, 100 epochs, Adam, no augmentation, no class
    # weights, ImageNet weights. What it leaves open is Keras' default.
    "paper": Recipe(),
    # For two CPU cores: from scratch, small images, few steps, the same bits every time.
    "demo": Recipe(
        image_size=76,  # InceptionV3 needs 75
        # Small batches: a short run learns by the number of its steps.
        batch_size=8,
        epochs=2,
        learning_rate=0.0005,
        weights="none",
        batch_norm_momentum=0.8,
        deterministic=True,
    ),
}


def config_hash(architecture: str, seed: int, recipe: Recipe, devices: int = 1) -> str:
    """Short SHA-256 of all that decides a trial's numbers besides the data."""
    chosen = recipe.model_dump(mode="json")
    # Newer than the hashes of runs that go on: where they change nothing, neither does the hash.
    for name in ("selection_fraction", "precision", "xla"):
        if chosen[name] == Recipe.model_fields[name].default:
            del chosen[name]
    several = {"devices": devices} if devices > 1 else {}
    trial = {"architecture": architecture, "seed": seed, "recipe": chosen} | several
    text = json.dumps(trial, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
