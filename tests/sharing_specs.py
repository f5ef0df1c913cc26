"""A trial that shares a GPU with others, in a run directory of its own."""

from dataclasses import replace
from pathlib import Path

from tests.interrupted_trial import spec_of
from trainers.spec import TrialSpec


def sharing_spec(root: Path) -> TrialSpec:
    """Half a GPU, of the session `one`; nothing is there yet."""
    place = root / "trials" / "resnet50-s0"
    one = spec_of(root / "shards", root)
    return replace(one, name=place.name, trial_dir=place, gpus=0.5, session="one")
