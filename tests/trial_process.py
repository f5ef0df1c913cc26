"""Runs one trial without Ray in a process of its own, so that a test can kill it.

`python tests/trial_process.py ARCHITECTURE SHARDS FOLDER`: files go to FOLDER/trial.
"""

import sys
from pathlib import Path

from trainers.context import LocalContext
from trainers.recipe import Recipe
from trainers.resilience import Resilience
from trainers.spec import TrialSpec
from trainers.trial import run_trial

RECIPE = Recipe(
    image_size=32,
    batch_size=8,
    epochs=2,
    weights="none",
    batch_norm_momentum=0.8,
    deterministic=True,
    evaluation_batch_size=16,
)


def spec_of(architecture: str, shards: Path, folder: Path) -> TrialSpec:
    """The trial that this process runs."""
    return TrialSpec(
        name=f"{architecture}-s0",
        architecture=architecture,
        seed=0,
        recipe=RECIPE,
        shards=str(shards),
        cache_dir=shards.parent / "cache",
        cache_mode="auto",
        trial_dir=folder / "trial",
        threads=1,
        resilience=Resilience(checkpoint_steps=3),
    )


if __name__ == "__main__":
    spec = spec_of(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    run_trial(spec, LocalContext(spec.trial_dir))
