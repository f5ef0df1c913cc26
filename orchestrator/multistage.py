"""The paper's experiment of Figure 7: one architecture trained in one go and in stages.

RUN/multistage/
  continuous/      a run directory: all epochs in one go
  staged/          a run directory: each stage in new processes, from the checkpoint of the last
  stages.json      the epochs of each stage
  multistage.json  what differs, see `MultistageResult`
  report/          the curves, overlaid

The paper cut 100 epochs into 45, 30 and 25, as its notebooks died after twelve hours.
"""

import io
import json
import zipfile
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console

from datasets.errors import ConfigError
from datasets.files import write_text
from orchestrator.config import RunConfig
from orchestrator.report.collect import read_history
from orchestrator.report.sections.multistage import (
    MULTISTAGE_DIR,
    RESULT_FILE,
    MultistageResult,
    write_multistage_report,
)
from orchestrator.run import Machines, RunRequest, run_all
from orchestrator.run_store import RunStore, trial_name
from trainers.result import HISTORY_COLUMNS, HISTORY_FILE, MODEL_FILE, PREDICTIONS_FILE

CONTINUOUS, STAGED = "continuous", "staged"
STAGES_FILE = "stages.json"


@dataclass(frozen=True)
class MultistageRequest:
    """One architecture and seed in `config`, whose epochs are the sum of `stages`."""

    config: RunConfig
    stages: tuple[int, ...]
    run_dir: Path
    address: str | None = None

    def __post_init__(self) -> None:
        if len(self.stages) < 2 or min(self.stages) < 1:
            raise ConfigError(
                f"--stages {','.join(map(str, self.stages))}: give the epochs of at least two "
                "stages, like 45,30,25"
            )

    @property
    def root(self) -> Path:
        """Where the experiment's files are."""
        return self.run_dir / MULTISTAGE_DIR


def run_multistage(
    request: MultistageRequest, console: Console, machines: Machines | None = None
) -> int:
    """Train continuously and in stages, compare, and report; 0, or 1 where a trial failed.

    The same request continues what was interrupted, and trains nothing that is done.
    """
    _keep_stages(request)
    whole = RunRequest(request.config, request.root / CONTINUOUS, request.address)
    console.print("continuous training", style="bold")
    if code := run_all(whole, console, machines):
        return code
    staged = replace(whole, run_dir=request.root / STAGED)
    ends = list(accumulate(request.stages))
    for number, (first, end) in enumerate(pairwise([0, *ends]), start=1):
        console.print(f"stage {number} of {len(ends)}: epochs {first + 1} to {end}", style="bold")
        until = None if end == ends[-1] else end
        if code := run_all(replace(staged, until_epoch=until), console, machines):
            return code
    result = compare(request)
    write_text(request.root / RESULT_FILE, result.model_dump_json(indent=2) + "\n")
    index = write_multistage_report(request.root)
    _print_outcome(result, index, console)
    return 0


def _keep_stages(request: MultistageRequest) -> None:
    """Note the stages before the first; refuse others on the same directory."""
    path = request.root / STAGES_FILE
    asked = json.dumps(list(request.stages))
    if path.is_file() and (earlier := path.read_text(encoding="utf-8").strip()) != asked:
        raise ConfigError(
            f"{request.root} holds a training in stages of {earlier}, {asked} is asked for: name "
            "another --run-dir, or ask for the same"
        )
    write_text(path, asked + "\n")


def compare(request: MultistageRequest) -> MultistageResult:
    """What differs between the two finished trainings, from their files alone."""
    (architecture,), (seed,) = request.config.architectures, request.config.seeds
    name = trial_name(architecture, seed)
    one, other = (RunStore(request.root / kind).trial_dir(name) for kind in (CONTINUOUS, STAGED))
    return MultistageResult(
        architecture=architecture,
        seed=seed,
        stages=list(request.stages),
        deterministic=request.config.recipe.deterministic,
        largest_difference=_curve_differences(one / HISTORY_FILE, other / HISTORY_FILE),
        weights_difference=_weights_difference(one / MODEL_FILE, other / MODEL_FILE),
        same_predictions=(
            (one / PREDICTIONS_FILE).read_bytes() == (other / PREDICTIONS_FILE).read_bytes()
        ),
    )


def _curve_differences(one: Path, other: Path) -> dict[str, float]:
    """The largest absolute difference in any epoch, by column of `history.csv`."""
    pairs = list(zip(read_history(one), read_history(other), strict=True))
    return {
        column: float(
            np.max([_difference(getattr(a, column), getattr(b, column)) for a, b in pairs])
        )
        for column in HISTORY_COLUMNS[1:]
    }


def _difference(one: float, other: float) -> float:
    """0 for two equal figures or two NaNs; NaN when one of them is."""
    return 0.0 if np.array_equal(one, other, equal_nan=True) else abs(one - other)


def _weights_difference(one: Path, other: Path) -> float:
    """The largest absolute difference of any weight; 0 for equal bits."""
    left, right = _weights(one), _weights(other)
    if left.keys() != right.keys():
        raise ConfigError(f"{one} and {other} are not of one architecture")
    return max(
        0.0
        if left[name].tobytes() == right[name].tobytes()
        else float(np.abs(left[name].astype(np.float64) - right[name]).max())
        for name in left
    )


def _weights(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a saved model, read without Keras."""
    found: dict[str, np.ndarray] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item)

    with zipfile.ZipFile(path) as archive:
        data = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(data, "r") as stored:
        stored.visititems(keep)
    return found


def _print_outcome(result: MultistageResult, index: Path, console: Console) -> None:
    for column, difference in result.largest_difference.items():
        console.print(f"largest difference of {column}: {difference:g}", highlight=False)
    console.print(
        f"largest difference of a weight: {result.weights_difference:g}; predictions "
        f"{'equal' if result.same_predictions else 'differ'}",
        highlight=False,
    )
    console.print(f"report: {index}", highlight=False, markup=False, soft_wrap=True)
