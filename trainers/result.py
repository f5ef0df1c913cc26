"""What a trial leaves behind: the schema of its files, without any training code.

`result.json` is written last and atomically: where it exists, the trial is finished and immutable.
The report reads these classes on machines that have neither Keras nor Ray running.
"""

from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datasets.drawn_parameters import Pose
from datasets.errors import DataError
from datasets.labels import NUM_CLASSES

RESULT_FILE = "result.json"
FAILURE_FILE = "failure.json"
PROGRESS_FILE = "progress.json"
HISTORY_FILE = "history.csv"
PREDICTIONS_FILE = "predictions.parquet"
MODEL_FILE = "model.keras"
LOG_FILE = "log.txt"
PROBES_DIR = "probes"
PROBES_FILE = "probes.json"

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
SELECTION_COLUMN = "selection_accuracy"
"""The last column of a history, where `recipe.selection_fraction` holds out a part of training."""


class TrialState(StrEnum):
    """The states of a trial, in every output."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    DIVERGED = "diverged"

    def is_over(self) -> bool:
        """True when this run does nothing more for the trial."""
        return self in (TrialState.FINISHED, TrialState.FAILED, TrialState.DIVERGED)


class _Record(BaseModel):
    # NaN stays NaN in the file; as null it would not be read back.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class TrialResult(_Record):
    """`result.json`: the figures of a finished trial.

    Metrics are of the final epoch's model on the whole validation split; rates are fractions of 1.
    What could not be measured is null, never 0; older files lack the fields with a default.
    `macro_*` are unweighted means over the expressions that the validation images have
    (scikit-learn, `zero_division=0`).
    """

    schema_version: Literal[1] = 1
    trial: str
    architecture: str
    seed: int
    status: Literal[TrialState.FINISHED] = TrialState.FINISHED
    image_size: int = Field(description="side of the square input image, pixels")
    batch_size: int
    epochs: int
    steps_per_epoch: int
    train_images: int
    validation_images: int
    accuracy: float
    loss: float = Field(description="mean categorical cross-entropy, nats")
    macro_precision: float
    macro_recall: float
    macro_f1: float
    best_epoch: int = Field(description="epoch (from 1) of the highest validation accuracy")
    best_accuracy: float
    selected_epoch: int | None = Field(
        default=None,
        description="epoch of the highest accuracy on the part of training that is held out "
        "(`recipe.selection_fraction`); null where there is none",
    )
    selected_accuracy: float | None = Field(
        default=None, description="validation accuracy of that epoch"
    )
    parameters: int = Field(description="of the model with its eight-class head")
    size_mb: float = Field(
        description="parameters as float32, MiB (the unit of the paper's Table 2)"
    )
    train_seconds: float = Field(description="in the training steps that led to these weights")
    train_images_per_s: float | None = Field(
        description="without the first step of each attempt; null where there was only one step"
    )
    evaluate_seconds: float
    checkpoint_seconds: float = Field(
        default=0.0, description="in which training stood still for its checkpoints"
    )
    restarts: int = Field(
        description="times that the trial was started again after its first start"
    )
    restarts_by_cause: dict[str, int] = Field(
        default_factory=dict, description="see `trainers.interruption.Cause`"
    )
    steps_repeated: int = Field(description="training steps done again after a restart")
    seconds_lost: float = Field(
        default=0.0,
        description="from the last step before each restart to the first that was new again; the "
        "time between two commands of the user is left out",
    )
    gflops: float | None = Field(
        default=None,
        description="1e9 operations of one image's forward pass at `image_size`, a multiply-add "
        "counted as two; convolutions and dense layers",
    )
    latency_ms: float | None = Field(
        default=None,
        description="median of single images, from pixels in memory to probabilities in memory",
    )
    latency_ms_p90: float | None = Field(
        default=None, description="which nine of ten single images keep"
    )
    throughput_images_per_s: float | None = Field(
        default=None,
        description="of the model alone in the last evaluation, in batches of "
        "`recipe.evaluation_batch_size`, without its first; null where there was only one",
    )
    peak_memory_mb: float | None = Field(
        default=None, description="largest resident size of the last attempt's process, MiB"
    )
    gpu_peak_memory_mb: float | None = Field(
        default=None, description="most that its tensors held on the GPU, MiB; null without a GPU"
    )
    device_name: str | None = Field(
        default=None, description="model of the GPU, else of the processor; null where unknown"
    )
    data_fingerprint: str
    config_hash: str
    device: str
    threads: int
    versions: dict[str, str]
    notes: list[str] = Field(
        default_factory=list, description="what a reader must know; may be empty"
    )


# No path: a report shows these files, and a foreign run must not name others of this machine.
_PLAIN_NAME = r"^[\w-][\w.-]*$"


class ProbeOutcome(_Record):
    """One picture of a face, what the model takes it for, and where its feature maps are."""

    pose: Pose
    source: str = Field(description="name of the user's file, or what was drawn")
    image_file: str = Field(
        pattern=_PLAIN_NAME, description="PNG of what the model saw, beside this record"
    )
    maps_file: str = Field(
        pattern=_PLAIN_NAME, description="PNG of the feature maps, beside this record"
    )
    label: int | None = Field(
        ge=0, lt=NUM_CLASSES, description="true expression, code 0 to 7; null if unknown"
    )
    predicted: int = Field(ge=0, lt=NUM_CLASSES, description="code 0 to 7")
    probabilities: list[float] = Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)


class TrialProbes(_Record):
    """`probes/probes.json`: a trained model shown one face in four poses, as the paper did.

    A picture of maps holds the channels of the first convolution's output row by row, `grid_rows`
    by `grid_columns` of them, with `gap` pixels between; each channel from black (its least value)
    to white (its greatest), a constant one black. They are shown at `shown_height` by
    `shown_width`, which is smaller than `map_height` by `map_width` where those are large.
    """

    schema_version: Literal[1] = 1
    trial: str
    source: Literal["drawn", "files"]
    image_size: int = Field(description="side of the pictures, pixels")
    layer: str = Field(description="name of the first convolution")
    channels: int
    map_height: int
    map_width: int
    shown_height: int
    shown_width: int
    grid_rows: int
    grid_columns: int
    gap: int
    poses: list[ProbeOutcome] = Field(description="front, occluded, right, left")


class TrialFailure(_Record):
    """`failure.json`: why a trial did not finish. Removed when the trial starts again."""

    trial: str
    state: Literal[TrialState.FAILED, TrialState.DIVERGED]
    reason: str = Field(description="one line")
    traceback: str = ""
    epoch: int | None = None
    step: int | None = None


Phase = Literal["starting", "staging", "building", "compiling", "training", "evaluating", "saving"]


class TrialProgress(_Record):
    """`progress.json`: where a running trial is, for the live table. Rewritten about each second.

    `epoch` counts finished epochs; `step` counts finished steps of the current epoch.
    """

    trial: str
    phase: Phase
    epoch: int
    epochs: int
    step: int
    steps_per_epoch: int
    steps_per_s: float | None = None
    accuracy: float | None = Field(default=None, description="latest validation accuracy")
    seconds_left: float | None = None
    updated_at: float = Field(description="seconds since 1970 UTC")
    host: str
    pid: int


RecordT = TypeVar("RecordT", bound=BaseModel)


def read_record(path: Path, kind: type[RecordT]) -> RecordT | None:
    """The record in a file, or None where there is no file or only a part of one.

    A whole file that is no such record (of another version, say) raises `DataError`: taking it for
    none would train a finished trial again.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return None
        raise DataError(
            f"{path} is of another version ({'.'.join(map(str, first['loc']))}: {first['msg']}); "
            "use the version that wrote it, or remove the file to train the trial again"
        ) from error
