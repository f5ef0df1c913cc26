"""The configuration of a run, checked at birth."""

import difflib
import math
import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from datasets.cache import CacheMode
from datasets.errors import ConfigError
from datasets.labels import EXPRESSIONS, HAPPINESS
from datasets.probe_images import probe_label
from trainers.architectures import ARCHITECTURES, architecture
from trainers.recipe import Recipe
from trainers.resilience import Resilience


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DrawnData(_Section):
    """Drawn faces, made in the run directory when `data.shards` is not set."""

    train: int = Field(default=480, ge=8)
    """Training images, with AffectNet's imbalance."""

    validation: int = Field(default=120, ge=8)
    """Validation images, balanced."""

    size: int | None = Field(default=None, ge=32)
    """Side, pixels; null: the recipe's image size."""

    seed: int = Field(default=0, ge=0)
    """Other seeds draw other faces."""


class DataSection(_Section):
    """What to train on."""

    shards: str | None = None
    """A directory that `fer-orch data prepare` or `data synth` made; null: draw faces."""

    drawn: DrawnData = DrawnData()
    """Used when `shards` is null."""

    cache_dir: str | None = None
    """Node-local disk for decoded images; null: `fer-orch-cache-UID` in its temporary
    folder."""

    cache_mode: CacheMode = "auto"
    """`decoded`, `encoded` (decode while training), or `auto`: decoded where the disk is enough."""

    prefetch_batches: int = Field(default=2, ge=0, le=256)
    """Training batches that are made ahead, so that the device does not wait. More take memory."""

    @property
    def cache_path(self) -> Path:
        """The cache's directory. The default is local to a node, which a home often is not."""
        if self.cache_dir:
            return Path(self.cache_dir).expanduser().absolute()
        return Path(tempfile.gettempdir()) / f"fer-orch-cache-{os.getuid()}"


class ResourceSection(_Section):
    """What a trial gets, and how many run at once."""

    cpus_per_trial: int = Field(default=1, ge=1)
    """CPUs of a trial; also its TensorFlow threads, on which the bits of a result depend."""

    gpus_per_trial: Annotated[float, Field(ge=0)] | Literal["auto"] | None = None
    """GPUs of a trial, below 1 a share of one, 0 to train on CPUs; null: one where there are GPUs,
    else none. `auto`: a share by an estimate of the memory that its architecture needs, where there
    are GPUs. A trial that fails on a GPU that it shares goes on alone on a whole one. No batch is
    changed."""

    gpu_memory_gb: float | None = Field(default=None, gt=0)
    """For `auto`: memory of a GPU, GiB; null: what the smallest GPU of the nodes has. Where no node
    tells it each trial gets a whole GPU."""

    max_concurrent: int | None = Field(default=None, ge=1)
    """Trials at once; null: as many as the resources hold."""

    max_failures: int = Field(default=2, ge=0)
    """Times that a trial is started again after a crash without having got further, before it
    counts as failed."""

    @field_validator("gpus_per_trial", mode="before")
    @classmethod
    def _share_or_whole_gpus(cls, value: Any) -> float | str | None:
        if value is None or value == "auto":
            return cast(str | None, value)
        gpus = _number(value)
        if gpus is None or gpus < 0 or (gpus > 1 and not gpus.is_integer()):
            raise PydanticCustomError(
                "gpus", 'valid: "auto", 0, a part of one GPU such as 0.5, or whole GPUs such as 2'
            )
        return gpus


def _number(value: Any) -> float | None:
    """A finite number, or a text that is one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


class EstimateSection(_Section):
    """Assumptions behind the hours and cost that `--dry-run` prints. They change no result.

    Once trials of the run have measured their rates, these are used.
    """

    cpu_gflops: float = Field(default=50.0, gt=0)
    """Effective rate of one CPU core in training, 1e9 floating point operations a second."""

    gpu_gflops: float | None = Field(default=None, gt=0)
    """The same for a trial's GPUs; null: unknown, so no hours are printed for GPU trials."""

    price_per_hour: float | None = Field(default=None, ge=0)
    """Price of what one trial occupies for an hour; with `resources.gpus_per_trial: auto`, of a
    whole GPU."""

    currency: str = "USD"
    """Printed behind the price."""


class RunConfig(_Section):
    """A whole run. A trial is an architecture and a seed."""

    preset: str
    """Where the defaults come from."""

    architectures: tuple[str, ...] = tuple(ARCHITECTURES)
    """Architecture ids; see `fer-orch models`."""

    seeds: tuple[int, ...] = (0,)
    """Each architecture is trained once per seed."""

    probes: str | None = None
    """A folder with pictures `front`, `occluded`, `right` and `left` of a face: each trained model
    is shown them. Null: a drawn face."""

    probes_label: str | None = EXPRESSIONS[HAPPINESS]
    """The expression in these pictures, null if unknown. A drawn face is happy, as the paper's."""

    tracking: Literal["none", "mlflow", "wandb"] = "none"
    """Where Tune sends each epoch's figures besides the run's files: `mlflow` or `wandb` (Weights &
    Biases), with the package of `pip install 'fer-orch[mlflow]'` or `[wandb]`. Keys and passwords
    are read from the environment alone."""

    tracking_uri: str | None = None
    """MLflow's server, such as `http://192.0.2.7:5000`; null: what `MLFLOW_TRACKING_URI` says."""

    tracking_experiment: str | None = Field(default=None, min_length=1)
    """MLflow's experiment or W&B's project; null: what `MLFLOW_EXPERIMENT_NAME` or `WANDB_PROJECT`
    says, else `fer-orch`."""

    data: DataSection = DataSection()
    recipe: Recipe = Recipe()
    resources: ResourceSection = ResourceSection()
    resilience: Resilience = Resilience()
    estimate: EstimateSection = EstimateSection()

    @model_validator(mode="after")
    def _drawn_large_enough(self) -> "RunConfig":
        size = self.data.drawn.size
        if self.data.shards is None and size is not None and size < self.recipe.image_size:
            raise ConfigError(
                f"data.drawn.size is {size}, smaller than recipe.image_size "
                f"{self.recipe.image_size}; leave data.drawn.size out or raise it"
            )
        return self

    @model_validator(mode="after")
    def _batches_divide_among_gpus(self) -> "RunConfig":
        gpus, batch_size = self.resources.gpus_per_trial, self.recipe.batch_size
        if isinstance(gpus, float) and gpus > 1 and batch_size % gpus:
            raise ConfigError(
                f"recipe.batch_size {batch_size} can't be cut into equal parts for "
                f"resources.gpus_per_trial {gpus:g}; choose a multiple of {gpus:g}"
            )
        return self

    @model_validator(mode="after")
    def _switches_are_of_one_gpu(self) -> "RunConfig":
        gpus = self.resources.gpus_per_trial
        if not isinstance(gpus, float) or gpus <= 1:
            return self
        if self.recipe.precision == "mixed_float16":
            # `LossScaleOptimizer` asks the first replica's gradients alone whether they are finite.
            raise ConfigError(
                f"recipe.precision is mixed_float16, resources.gpus_per_trial {gpus:g}: Keras "
                "looks for gradients that overflow on the first GPU alone; set "
                "recipe.precision=mixed_bfloat16, or resources.gpus_per_trial=1"
            )
        if self.recipe.xla:
            raise ConfigError(
                f"recipe.xla is true, resources.gpus_per_trial {gpus:g}: TensorFlow's XLA compiles "
                "no step that several GPUs share; set recipe.xla=false, or "
                "resources.gpus_per_trial=1"
            )
        return self

    @field_validator("tracking_uri")
    @classmethod
    def _mlflows_without_secrets(cls, uri: str | None, info: ValidationInfo) -> str | None:
        if uri is not None and info.data.get("tracking") == "wandb":
            raise ConfigError("tracking_uri is MLflow's: for wandb set WANDB_BASE_URL instead")
        if uri is not None and re.search("://[^/]*@|^https?:.*@", uri):
            raise ConfigError(  # it is not to be printed
                "tracking_uri holds a user or a password, and a run keeps its configuration in a "
                "file: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or all of it as "
                "MLFLOW_TRACKING_URI"
            )
        return uri

    @field_validator("probes")
    @classmethod
    def _absolute_probes(cls, folder: str | None) -> str | None:
        return None if folder is None else str(Path(folder).expanduser().absolute())

    @field_validator("probes_label", mode="before")
    @classmethod
    def _named_expression(cls, label: Any) -> str | None:
        code = probe_label(label)
        return None if code is None else EXPRESSIONS[code]

    @field_validator("architectures")
    @classmethod
    def _known_architectures(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            architecture(name)
        return _distinct(names, "architectures")

    @field_validator("seeds")
    @classmethod
    def _valid_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= seed < 2**31 for seed in seeds):
            raise ConfigError(f"seeds {list(seeds)}: each must be from 0 to 2147483647")
        return _distinct(seeds, "seeds")


def _distinct(values: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    if not values:
        raise ConfigError(f"{what} is empty; name at least one")
    if len(set(values)) < len(values):
        raise ConfigError(f"{what} {list(values)} names something twice")
    return values


def parse_config(values: dict[str, Any], origin: str = "configuration") -> RunConfig:
    """A checked configuration; errors name its origin, key, value and what is valid."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        lines = [_describe(dict(item)) for item in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from error


def _section(location: tuple[Any, ...]) -> type[BaseModel] | None:
    """The model that holds the key at a location."""
    model: Any = RunConfig
    for key in location[:-1]:
        field = getattr(model, "model_fields", {}).get(key)
        model = field.annotation if field else None
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _describe(error: dict[str, Any]) -> str:
    location = tuple(error["loc"])
    key = ".".join(str(part) for part in location)
    if error["type"] != "extra_forbidden":
        return f"{key} is {error['input']!r}: {error['msg']}"
    section = _section(location)
    valid = list(section.model_fields) if section else []
    close = difflib.get_close_matches(str(location[-1]), valid, n=1)
    hint = f" (did you mean {close[0]}?);" if close else ""
    return f"unknown key {key!r}{hint or ';'} valid: {', '.join(valid)}"
